"""Every error that a user can meet: what it says, what to do, and the exit status.

HyperShellError
├── UsageError               2  the command line is wrong
├── StartError               3  InputMissing InputUnreadable InputDamaged AddressInUse
│                               AddressUnusable FileUnwritable OutputUnwritable ShellUnusable
│                               TooManySlots TooFewDescriptors TasksUnstartable TasksNotKept
│                               ServerUnable
├── NoServer                 4  ServerUnreachable ServerSilent HostUnknown NotOurServer
│                               VersionMismatch ServerLeft WaitTooLong
├── Refused                  5  KeyRefused PlaneRefused KeyTooShort RequestRefused
└── ConnectionLost           6  SubmitLost ClientsEnded

Only `cli/explain.py` turns an error into text and an exit status.
"""

from typing import Any


class HyperShellError(Exception):
    """Base of all errors of this program.

    A class gives `says` and `hint`, templates that the keyword arguments fill in.
    """

    exit_code = 1
    says = "{what}"
    hint = ""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.says.format(**facts))

    @property
    def advice(self) -> str:
        """The second line of the message: what to do."""
        return self.hint.format(**self.facts)


class UsageError(HyperShellError):
    """The command line is wrong."""

    exit_code = 2
    hint = "see `hyper-shell {verb} --help`"

    def __init__(self, what: str, verb: str = "", hint: str = "") -> None:
        if hint:
            self.hint = hint.replace("{", "{{").replace("}", "}}")
        elif not verb:
            self.hint = "see `hyper-shell --help`"
        super().__init__(what=what, verb=verb)


class InputIsOutput(HyperShellError):
    """A run would write over the file that it reads."""

    exit_code = 2
    says = "{path} is the file that is read"
    hint = "give {option} another path"


class StartError(HyperShellError):
    """The server or client could not start, or its input could not be read to the end."""

    exit_code = 3


class InputMissing(StartError):
    """FILE is not there."""

    says = "there is no file {path}"
    hint = "give the path of a file of commands, one a line, or `-` for standard input"


class InputUnreadable(StartError):
    """FILE cannot be opened or read."""

    says = "cannot read {path}: {reason}"
    hint = "give the path of a readable file of commands, or `-` for standard input"


class InputDamaged(StartError):
    """A line cannot be a command; nothing is read beyond it."""

    says = "{path}, line {number}: {reason}; neither it nor the lines after it are run"
    hint = "mend that line and run the rest from there, for example `tail -n +{number} FILE`"


class AddressInUse(StartError):
    """Another program listens on that port."""

    says = "port {port} on {host} is in use"
    hint = "choose another with --port, or 0 for any free one"


class AddressUnusable(StartError):
    """This machine cannot listen there."""

    says = "cannot listen on {host} port {port}: {reason}"
    hint = "give an address of this machine with --bind, for example localhost or 0.0.0.0"


class OutputUnwritable(StartError):
    """Standard output takes nothing more."""

    says = "cannot write to standard output: {reason}"
    hint = "what was printed is not complete; see where standard output goes"


class FileUnwritable(StartError):
    """A file that was asked for cannot be written."""

    says = "cannot write {path}: {reason}"
    hint = "give {option} a path in a directory that you can write to"


class ShellUnusable(StartError):
    """The shell that was asked for cannot be started."""

    says = "cannot use {path} as the shell: {reason}"
    hint = "give --shell the full path of a shell, for example /bin/bash"


class TooManySlots(StartError):
    """Each slot takes a few descriptors, and the system allows no more."""

    says = "{slots} would need more open files than this process may have"
    hint = "raise the hard limit (`ulimit -Hn`), or give -N a smaller number"


class TooFewDescriptors(StartError):
    """What is to be done needs more descriptors than this process may have."""

    says = "too many open files"
    hint = "raise the limit (`ulimit -n`, which is {limit})"


class TasksUnstartable(StartError):
    """The machine of a client has no room for another process."""

    says = "this machine cannot start tasks: {reason}; the client leaves, its tasks go to others"
    hint = "give -N a smaller number, or the account more processes and memory (`ulimit -a`)"


class TasksNotKept(StartError):
    """The server has no database that could be asked."""

    says = "this server keeps no database (--no-db), and cannot tell of tasks or change them"
    hint = "start it without --no-db; `hyper-shell server info` tells how far it is"


class NoServer(HyperShellError):
    """No server answers."""

    exit_code = 4


class ServerUnreachable(NoServer):
    """Nothing listens there, or it does not answer in time."""

    says = "no server at {host} port {port}: {reason}"
    hint = "start one with `hyper-shell server FILE`, or check -H and -p; --wait SEC waits longer"


class ServerSilent(NoServer):
    """Something listens there and does not say a word."""

    says = "what listens at {host} port {port} does not answer as a hyper-shell server would"
    hint = "if it is one, it is frozen or too busy; else check -H and -p"


class HostUnknown(NoServer):
    """The name of the host does not resolve."""

    says = "unknown host {host}"
    hint = "check the spelling of -H, or give an address"


class NotOurServer(NoServer):
    """Something listens there, and it is not a hyper-shell server."""

    says = "what listens at {host} port {port} is not a hyper-shell server"
    hint = "check -H and -p; the server says on its standard error where it listens"


class VersionMismatch(NoServer):
    """The server speaks another version of the protocol."""

    says = "the server at {host} port {port} speaks another version of the protocol ({theirs})"
    hint = "use the same release of hyper-shell on both sides"


class ServerLeft(NoServer):
    """The server ended while it was asked."""

    says = "the server ended before it had answered: {what}"
    hint = "see what it said at its end; `hyper-shell server --restart` goes on with what is left"


class WaitTooLong(NoServer):
    """The time for waiting is over, and the tasks are not final."""

    says = "not final after {seconds:g} s: {unfinished}"
    hint = "wait again, longer or without --timeout"


class Refused(HyperShellError):
    """The server, or a file of keys, refused."""

    exit_code = 5


class KeyRefused(Refused):
    """The two sides do not hold the same key."""

    says = "the server at {host} port {port} refused this key"
    hint = "use the key that the server was started with (-k, or HYPERSHELL_AUTH)"


class PlaneRefused(Refused):
    """That port belongs to the other plane."""

    says = "port {port} on {host} is the {plane} plane of a server; this needs the {wanted} plane"
    hint = "`hyper-shell client` joins the worker plane; every other verb uses the client plane"


class KeyTooShort(Refused):
    """A short key would be guessed; allowed on loopback only."""

    says = "a key of {length} characters is too short for {host}, which other machines can reach"
    hint = "use at least 16 characters, or leave -k out and let the server make a key"


class RequestRefused(Refused):
    """The server, or the database, does not do what it is asked."""

    says = "the request was refused: {reason}"
    hint = "see `hyper-shell {verb} --help` for what can be asked"


class ServerUnable(StartError):
    """The server cannot do what it is asked, as its task database does not let it."""

    says = "the server cannot do this: {reason}"
    hint = "`hyper-shell db check` says whether its task database is whole"


class ConnectionLost(HyperShellError):
    """The connection to the server broke and could not be made again in time."""

    exit_code = 6
    says = "the connection to the server at {host} port {port} was lost: {reason}"
    hint = "its tasks here were stopped; start the client again when the server is back"


class SubmitLost(ConnectionLost):
    """A submission broke off."""

    says = "the submission broke off after {accepted}: {reason}"
    hint = "those tasks are at the server; the batch that broke off may be, in part or in whole"


class ClientsEnded(ConnectionLost):
    """All clients that were started for a run ended before it did."""

    says = "all clients ended before the run did, the worst with status {status}"
    hint = "see what they said above; the lines that are left can be run again"
