"""The errors of access: files of keys, seals, and the server directory.

HyperShellError
├── StartError               3  NoHome AccessFileExists AccessFileUnwritable
│                               DirectoryUnusable DirectoryForeign DirectoryExposed DirectoryOpen
│                               DirectoryLocked DirectoryBusy DirectoryClaimed CurrentBlocked
│                               RunLives
├── CommandError             2  RunsAmbiguous
├── NoServer                 4  AccessFileMissing NeverStarted ServerEnded ServerDied
│                               ServerOutOfReach RunMissing
└── Refused                  5  FileExposed FileForeign FileUnreadable
                                AccessFileDamaged AccessFileNewer AccessFileTampered PartMissing
                                SealKeyMissing SealKeyDiffers SealKeyDamaged SealKeyUnmade
                                PassphraseMissing PassphraseWrong PassphraseUnusable
"""

import os
import re
import shlex

from hypershell.core.errors import CommandError, NoServer, Refused, StartError, system_reason

_PLAIN = re.compile(r"[\w@%+=:,./~-]+")


def shown(path: str | os.PathLike[str]) -> str:
    """A path as a message shows it: one line, fit to be pasted into a shell.

    A name may hold line ends or what moves a terminal's cursor; those come out escaped.
    """
    text = os.fspath(path)
    if _PLAIN.fullmatch(text):
        return text
    return shlex.quote(text) if text.isprintable() else ascii(text)


class NoHome(StartError):
    """HOME is not set, and nothing else says where the user's files are."""

    says = "HOME is not set to a directory, so there is no place for {wanted}"
    hint = "set HOME, or {instead}"


class AccessFileExists(StartError):
    """An access file is never written over anything."""

    says = "{path} already exists, and is not overwritten"
    hint = "give another name, or look at it with `hyper-shell access info {path}`"


class AccessFileUnwritable(StartError):
    """An access file cannot be written there."""

    says = "cannot write the access file {path}: {reason}"
    hint = "give a path in a directory that you can write to"


class DirectoryUnusable(StartError):
    """The server directory cannot be made, entered, written or locked."""

    says = "cannot use {path} as the server directory: {reason}"
    hint = "choose another with --server-dir DIR or HYPERSHELL_SERVER_DIR"

    @classmethod
    def because(cls, path: str | os.PathLike[str], error: OSError) -> "DirectoryUnusable":
        """The error for a directory in which an operation failed."""
        return cls(path=shown(path), reason=system_reason(error))


class DirectoryForeign(DirectoryUnusable):
    """The server directory, or something in it that a server uses, is another user's."""

    says = "{path} belongs to another user (uid {owner}), so a server cannot trust it"


class DirectoryExposed(DirectoryUnusable):
    """Other users could put files into the server directory."""

    says = "other users can write to the server directory {path} (mode {mode:04o})"
    hint = "run `chmod 700 {path}`, or choose another with --server-dir DIR"


class DirectoryOpen(DirectoryUnusable):
    """An empty directory that was made for more than one user."""

    says = "others may enter the empty directory {path} (mode {mode:04o})"
    hint = (
        "run `chmod 700 {path}` to use it as the server directory, or name one that does not exist"
    )


class DirectoryLocked(StartError):
    """A running server has the directory."""

    says = "a server is already running in {path}: {holder}"
    hint = "stop it with `{stop}`, or choose another directory with --server-dir DIR"


class DirectoryBusy(StartError):
    """A short command has the directory for longer than others wait for it."""

    says = "{path} is in use: {holder}"
    hint = "wait until that command has ended, or stop it, and try again"


class DirectoryClaimed(StartError):
    """The last user ran on another machine, and may still be running."""

    says = "{path} is in use on another machine: {holder}; it cannot be checked from here"
    hint = "stop it there with `{stop}`; if it has certainly ended, start with --take-over"


class RunLives(StartError):
    """A server still works on the run that was to be continued."""

    says = "run {uid} {of}is still running: {holder}"
    hint = "wait until it ends, or stop it with `hyper-shell server stop --run {uid}`"


class CurrentBlocked(StartError):
    """Something else is where the link to the current run belongs."""

    says = "{path} is not a link that a server made"
    hint = "move it away and start again"


class AccessFileMissing(NoServer):
    """The given access file does not exist (yet)."""

    says = "there is no access file {path}"
    hint = "check the path, or make one with `hyper-shell server generate-access {path}`"


class NeverStarted(NoServer):
    """The directory has no trace of a server."""

    says = "no server was ever started in {path}"
    hint = "start one with `{start}`, or give its directory with --server-dir DIR"


class ServerEnded(NoServer):
    """The last server ended and cleaned up."""

    says = "no server is running in {path}: the last one ({uid}) ended on {when} ({reason})"
    hint = "start one with `{start}`"


class ServerDied(NoServer):
    """The last server left its record, but its lock is free."""

    says = "no server is running in {path}: the last one ({holder}, started {when}) died"
    hint = "continue its run with `{restart}`"


class ServerOutOfReach(NoServer):
    """A server has the directory, and cannot be reached from here."""

    says = "the server in {path} cannot be reached from here: {holder}"
    hint = "check whether it answers on {host}: `{info}`"


class RunMissing(NoServer):
    """No run has that uid."""

    says = "there is no run {uid} in {path}"
    hint = "`hyper-shell server info` shows the live runs, `hyper-shell list run --run all` all"


class RunsAmbiguous(CommandError):
    """None of several live servers is the current one."""

    says = "several servers are running in {path}, and none of them is the current one: {runs}"
    hint = "name one with --run UID; `hyper-shell server info` shows them"


class FileExposed(Refused):
    """Others can read, or change, a file that holds keys."""

    says = "other users can access the {what} {path} (mode {mode:04o})"
    hint = "run `chmod 600 {path}`; if somebody else may have read it, make a new one"


class FileForeign(Refused):
    """A file that holds keys belongs to someone else, who could change it at any time."""

    says = "the {what} {path} belongs to another user (uid {owner})"
    hint = "make a copy of your own: `cp {path} NEW && chmod 600 NEW`"


class FileUnreadable(Refused):
    """A file that holds keys cannot be read, or is not a regular file."""

    says = "cannot read the {what} {path}: {reason}"
    hint = "give a regular file that you own and that has mode 600"


class AccessFileDamaged(Refused):
    """The content is not that of an access file."""

    says = "{path} is not a usable access file: {reason}"
    hint = "copy it again, or make a new one with `hyper-shell server generate-access FILE`"


class AccessFileNewer(Refused):
    """A later release made the file, in a newer format."""

    says = "{path} has format {theirs}, made by {program}; this release reads formats up to {ours}"
    hint = "use that release or a later one here (`hyper-shell --version` shows this one)"


class AccessFileTampered(Refused):
    """The content does not match the seal: the file was changed."""

    says = "{path} was changed after it was made, so it is not used"
    hint = "copy it again, or make a new one with `hyper-shell server generate-access FILE`"


class PartMissing(Refused):
    """The file has keys, but not those that this command needs."""

    says = "{path} has only the {has} part; `{command}` needs {needs}"
    hint = "{remedy}"


class SealKeyMissing(Refused):
    """The file is sealed with a key file that is not here."""

    says = "{path} is sealed with the seal key {theirs}, but there is no seal key at {key_path}"
    hint = (
        "copy that key there, or run `hyper-shell access reseal {path} OUT --passphrase-file "
        "FILE` where it is"
    )


class SealKeyDiffers(SealKeyMissing):
    """The file is sealed with a key file other than the one here."""

    says = "{path} is sealed with the seal key {theirs}; the one at {key_path} is {ours}"


class SealKeyDamaged(Refused):
    """The seal key file does not hold a seal key."""

    says = "{path} is not a seal key file"
    hint = "restore the right file, or move it away; the next server makes a new one"


class SealKeyUnmade(Refused):
    """The first seal key cannot be written."""

    says = "cannot make the seal key {path}: {reason}"
    hint = "set HYPERSHELL_SEAL_KEY to a path that you can write to, or use a passphrase"


class PassphraseMissing(Refused):
    """The file is sealed with a passphrase, and none was given."""

    says = "{path} is sealed with a passphrase"
    hint = "give it with --passphrase-file FILE or HYPERSHELL_PASSPHRASE"


class PassphraseWrong(Refused):
    """The passphrase does not open the seal."""

    says = "cannot open {path}: the passphrase is wrong, or the file was changed"
    hint = "check --passphrase-file or HYPERSHELL_PASSPHRASE"


class PassphraseUnusable(Refused):
    """The given passphrase cannot be used."""

    says = "the passphrase from {source} cannot be used: {reason}"
    hint = "put the passphrase on the first line of a file with mode 600"
