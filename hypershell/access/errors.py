"""The errors of access: files of keys, seals, and the server directory.

HyperShellError
├── StartError               3  NoHome AccessFileExists AccessFileUnwritable
│                               DirectoryUnusable DirectoryForeign DirectoryExposed
│                               DirectoryLocked DirectoryBusy DirectoryClaimed CurrentBlocked
├── NoServer                 4  AccessFileMissing NeverStarted ServerEnded ServerDied
│                               ServerOutOfReach
└── Refused                  5  FileExposed FileForeign FileUnreadable
                                AccessFileDamaged AccessFileNewer AccessFileTampered PartMissing
                                SealKeyMissing SealKeyDiffers SealKeyDamaged SealKeyUnmade
                                PassphraseMissing PassphraseWrong PassphraseUnusable
"""

import os
import re
import shlex

from hypershell.core.errors import NoServer, Refused, StartError

_PLAIN = re.compile(r"[\w@%+=:,./~-]+")


def shown(path: str | os.PathLike[str]) -> str:
    """A path as a message shows it: one line, fit to be pasted into a shell.

    A name may hold line ends or what moves a terminal's cursor; those come out escaped.
    """
    text = os.fspath(path)
    if _PLAIN.fullmatch(text):
        return text
    return shlex.quote(text) if text.isprintable() else ascii(text)


def cause(error: OSError) -> str:
    """The system's reason in words, without the path that the message names already."""
    return (error.strerror or str(error)).lower()


class NoHome(StartError):
    """HOME does not say where the user's files are."""

    says = "HOME is not set to a directory, so {wanted} has no place"
    hint = "set HOME, or {instead}"


class AccessFileExists(StartError):
    """An access file is never written over anything."""

    says = "there is already something at {path}; it is not overwritten"
    hint = "give another name, or see what it opens with `hyper-shell access info {path}`"


class AccessFileUnwritable(StartError):
    """An access file cannot be written there."""

    says = "cannot write the access file {path}: {reason}"
    hint = "give a path in a directory that you can write to"


class DirectoryUnusable(StartError):
    """The server directory cannot be made, entered, written or locked."""

    says = "cannot use {path} as the server directory: {reason}"
    hint = "choose another with --server-dir DIR or HYPERSHELL_SERVER_DIR"


class DirectoryForeign(DirectoryUnusable):
    """The server directory, or something in it that a server uses, is another user's."""

    says = "{path} belongs to another user (uid {owner}), so a server cannot trust it"


class DirectoryExposed(DirectoryUnusable):
    """Others could plant files in the server directory."""

    says = "others can write into the server directory {path} (mode {mode:04o})"
    hint = "`chmod 700 {path}`, or choose another with --server-dir DIR"


class DirectoryLocked(StartError):
    """A live server holds the directory."""

    says = "a server runs in {path} already: {holder}"
    hint = "stop it with `{stop}`, or give this one its own --server-dir DIR"


class DirectoryBusy(StartError):
    """A short-lived verb holds the directory for longer than one waits for it."""

    says = "{path} is in use: {holder}"
    hint = "wait until that command is through, or end it, and try again"


class DirectoryClaimed(StartError):
    """The last holder ran on another machine, and nothing here tells whether it still does."""

    says = "{path} is claimed from another machine: {holder}; from here it cannot be asked"
    hint = "stop it there with `{stop}`; if it is gone for certain, start with --take-over"


class CurrentBlocked(StartError):
    """Something that is not our link stands where the link to the current run belongs."""

    says = "{path} is not a link that a server made"
    hint = "look at it and move it away, then start again"


class AccessFileMissing(NoServer):
    """The access file that was named is not there (yet)."""

    says = "there is no access file {path}"
    hint = "check the path, or make one with `hyper-shell server generate-access {path}`"


class NeverStarted(NoServer):
    """Nothing in the directory tells of a server."""

    says = "no server was ever started in {path}"
    hint = "start one with `{start}`, or name its directory with --server-dir DIR"


class ServerEnded(NoServer):
    """The last server cleaned up behind itself."""

    says = "no server runs in {path}: the last one ({uid}) ended on {when} ({reason})"
    hint = "start one with `{start}`"


class ServerDied(NoServer):
    """The last server left its record and no lock."""

    says = "no server runs in {path}: the last one ({holder}, started {when}) died"
    hint = "go on where it was with `{restart}`"


class ServerOutOfReach(NoServer):
    """A server has the directory, and cannot be reached from here."""

    says = "{path} is held, but not reachable from here: {holder}"
    hint = "look on {host} whether it answers there: `{info}`"


class FileExposed(Refused):
    """Others can read, or change, a file that holds keys."""

    says = "others can open the {what} {path} (mode {mode:04o})"
    hint = "`chmod 600 {path}`; if others may have read it, make a new one"


class FileForeign(Refused):
    """A file that holds keys belongs to someone else, who could change it at any time."""

    says = "the {what} {path} belongs to another user (uid {owner})"
    hint = "make a copy of your own: `cp {path} NEW && chmod 600 NEW`"


class FileUnreadable(Refused):
    """A file that holds keys cannot be read, or is no file at all."""

    says = "cannot read the {what} {path}: {reason}"
    hint = "give a regular file of your own, made readable with `chmod 600`"


class AccessFileDamaged(Refused):
    """The content is not what an access file holds."""

    says = "{path} is not a usable access file: {reason}"
    hint = "copy it again, or make a new one with `hyper-shell server generate-access FILE`"


class AccessFileNewer(Refused):
    """A later release made the file, and laid it out differently."""

    says = "{path} has format {theirs}, made by {program}; this hyper-shell reads up to {ours}"
    hint = "use that release or a later one here (`hyper-shell --version` shows this one)"


class AccessFileTampered(Refused):
    """The seal fits and the content does not: someone or something changed it."""

    says = "{path} was changed after it was made; nothing in it is followed"
    hint = "copy it again, or make a new one with `hyper-shell server generate-access FILE`"


class PartMissing(Refused):
    """The file holds keys, and not those that this command needs."""

    says = "{path} holds the {has} part only; `{command}` needs {needs}"
    hint = "{remedy}"


class SealKeyMissing(Refused):
    """The file is sealed with a key file that is not here."""

    says = "{path} is sealed with the seal key {theirs}, and there is none at {key_path}"
    hint = (
        "bring that key there, or run `hyper-shell access reseal {path} OUT --passphrase-file "
        "FILE` where it is"
    )


class SealKeyDiffers(SealKeyMissing):
    """The file is sealed with another key file than the one here."""

    says = "{path} is sealed with the seal key {theirs}; the one at {key_path} is {ours}"


class SealKeyDamaged(Refused):
    """The seal key file does not hold a seal key."""

    says = "{path} does not hold a seal key"
    hint = "put the right one back, or move it away and the next server makes a new one"


class SealKeyUnmade(Refused):
    """The first seal key cannot be written."""

    says = "cannot make the seal key {path}: {reason}"
    hint = "name a place that you can write to with HYPERSHELL_SEAL_KEY, or use a passphrase"


class PassphraseMissing(Refused):
    """The file is sealed with a passphrase, and none was given."""

    says = "{path} is sealed with a passphrase"
    hint = "give it with --passphrase-file FILE or HYPERSHELL_PASSPHRASE"


class PassphraseWrong(Refused):
    """The passphrase does not open the seal."""

    says = "{path} does not open: the passphrase is another one, or the file was changed"
    hint = "check --passphrase-file or HYPERSHELL_PASSPHRASE; `hyper-shell access info {path}`"


class PassphraseUnusable(Refused):
    """What was given as a passphrase cannot be one."""

    says = "the passphrase from {source} cannot be used: {reason}"
    hint = "put the passphrase on the first line of a file with mode 600"
