"""Every error that a user can meet: what it says, what to do, and the exit status.

HyperShellError
├── CommandError             2  UsageError InputIsOutput OutputsMixed SelectionUnknown ClientUnknown
│                               IdsAmbiguous
├── StartError               3  InputMissing InputUnreadable InputDamaged AddressInUse
│                               AddressUnusable FileUnwritable FileNotOurs FileRefused
│                               OutputUnwritable ShellUnusable PrologueUnusable NiceRefused
│                               TooManySlots TooFewDescriptors
│                               TooFewProcesses OutOfMemory SystemRefused TasksUnstartable
│                               TasksNotKept RunNotKept ServerUnable WorkingDirectoryGone
│                               TaskDirectoryUnusable
├── NoServer                 4  ServerUnreachable ServerSilent HostUnknown HostLookupFailed
│                               HostUnsupported NotOurServer VersionMismatch ServerLeft
│                               ServerHungUp ServerStalled WaitTooLong
├── Refused                  5  KeyRefused PlaneRefused KeyTooShort RequestRefused
└── ConnectionLost           6  SubmitLost ClientsEnded

Only `cli/explain.py` turns an error into text and an exit status.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class HyperShellError(Exception):
    """Base of all errors of this program.

    A class gives `says` and `hint`, templates that the keyword arguments fill in; `defaults` are
    for facts that only some of those who raise it, or pass it on (`note`), can tell.
    """

    exit_code = 1
    says = "{what}"
    hint = ""
    defaults: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **facts: Any) -> None:
        self.facts = {**self.defaults, **facts}
        super().__init__(self.says.format(**self.facts))

    def note(self, **facts: Any) -> None:
        """Add what only a caller further up knows, for the second line of the message."""
        self.facts.update(facts)

    @property
    def advice(self) -> str:
        """The second line of the message: what to do."""
        return self.hint.format(**self.facts)


def system_reason(error: BaseException) -> str:
    """The system's own words for an error, as a message has them: without the path of a file."""
    return (getattr(error, "strerror", None) or str(error)).lower()


class CommandError(HyperShellError):
    """The command line asks for something that cannot be done as it is written."""

    exit_code = 2


class UsageError(CommandError):
    """The command line is wrong."""

    hint = "see `hyper-shell {verb} --help`"

    def __init__(self, what: str, verb: str = "", hint: str = "") -> None:
        if hint:
            self.hint = hint.replace("{", "{{").replace("}", "}}")
        elif not verb:
            self.hint = "see `hyper-shell --help`"
        super().__init__(what=what, verb=verb)


class InputIsOutput(CommandError):
    """A run would write to the file that it reads."""

    says = "{path} is also the input file"
    hint = "give {option} another path"


class OutputsMixed(CommandError):
    """Two outputs of a run would go to one file."""

    says = "{option} and {other} both name {path}"
    hint = "give them different paths"


class SelectionUnknown(CommandError):
    """A run that was named does not exist."""

    says = "there is no {what}"
    hint = "`hyper-shell list run --run all` shows the runs"


class ClientUnknown(CommandError):
    """No client with this id is connected."""

    says = "no client {client} is connected"
    hint = "`hyper-shell server info` shows the clients"


class IdsAmbiguous(CommandError):
    """Runs with databases of their own have tasks of the same ids."""

    says = "several runs have tasks with these ids: {runs}"
    hint = "name one of them with --run UID"


class StartError(HyperShellError):
    """The server or client could not start, or its input could not be read to the end."""

    exit_code = 3


class WorkingDirectoryGone(StartError):
    """The directory in which the program was started, and in which tasks are to run, is gone."""

    says = "cannot find the working directory: {reason}"
    hint = "change to a directory that exists, or name one for the tasks with --cwd DIR"


class TaskDirectoryUnusable(StartError):
    """Tasks of this machine cannot run in the directory that was named for them."""

    says = "cannot use {path} as the working directory of tasks: {reason}"
    hint = "give --cwd a directory that exists on this machine"


class InputMissing(StartError):
    """FILE does not exist."""

    says = "there is no file {path}"
    hint = "give the path of a file with one command per line, or `-` for standard input"


class InputUnreadable(StartError):
    """FILE cannot be opened or read."""

    says = "cannot read {path}: {reason}"
    hint = "give the path of a file that you can read, or `-` for standard input"


class InputDamaged(StartError):
    """A line cannot be run; nothing after it is read."""

    says = "{path}, line {number}: {reason}; this line and those after it were not run"
    hint = "fix that line and run the rest, for example with `tail -n +{number} FILE`"


class AddressInUse(StartError):
    """Another program listens on that port."""

    says = "port {port} on {host} is in use"
    hint = "choose another with --port; 0 picks a free one"


class AddressUnusable(StartError):
    """This machine cannot listen there."""

    says = "cannot listen on {host} port {port}: {reason}"
    hint = "give an address of this machine with --bind, for example localhost or 0.0.0.0"


class OutputUnwritable(StartError):
    """Standard output or standard error cannot be written."""

    says = "cannot write to {where}: {reason}"
    hint = "the output is incomplete; check where {where} goes"


class FileUnwritable(StartError):
    """A file that was asked for cannot be written."""

    says = "cannot write {path}: {reason}"
    hint = "give {option} a path in a directory that you can write to"


class FileNotOurs(StartError):
    """A file that a run would write over is not one that runs wrote."""

    says = "{path} is not empty, and {reason}"
    hint = "give {option} another path, or replace what is in it with --overwrite"


class FileRefused(StartError):
    """A file must not be written, whatever is allowed: it is needed as it is."""

    says = "{path} is {reason}"
    hint = "give {option} another path"


class ShellUnusable(StartError):
    """The shell that was asked for cannot be started."""

    says = "cannot use {path} as the shell: {reason}"
    hint = "give --shell a shell and its arguments, for example '/bin/bash -l'"


class PrologueUnusable(StartError):
    """The file that is to be sourced before each task cannot be."""

    says = "cannot use {path} as the prologue: {reason}"
    hint = "give --prologue a file that every client can read"


class NiceRefused(StartError):
    """This user may not run tasks with this niceness."""

    says = "cannot run tasks with --nice {number}: {reason}"
    hint = "a number from 0 to 19 is always allowed"


class TooManySlots(StartError):
    """The slots need more descriptors than the system allows."""

    says = "{slots} needs more open files than this process is allowed"
    hint = "raise the hard limit (`ulimit -Hn`), or use a smaller -N"


class TooFewDescriptors(StartError):
    """The process has reached its limit of open files."""

    says = "too many open files"
    hint = "raise the limit (`ulimit -n`), which is {limit}"


class TooFewProcesses(StartError):
    """The system starts no further thread or process for this user."""

    says = "the system starts no further {what} for this user"
    hint = "raise the limits on processes and memory (`ulimit -u`, `ulimit -v`), or end some"


class OutOfMemory(StartError):
    """The system gives this process no more memory."""

    says = "out of memory"
    hint = "raise the limit (`ulimit -v`, or that of the batch job), or use a smaller -N"


class SystemRefused(StartError):
    """The system refused something that every process may do."""

    says = "the system refused a call: {reason}{what}"
    hint = "check this machine: /proc, /dev, /tmp, its disks, and the limits (`ulimit -a`)"


class TasksUnstartable(StartError):
    """The machine of a client cannot start another process."""

    says = (
        "this machine cannot start tasks: {reason}; the client leaves and its tasks are rescheduled"
    )
    hint = "use a smaller -N, or raise the limits on processes and memory (`ulimit -a`)"


class TasksNotKept(StartError):
    """The server runs without a database."""

    says = "this server has no database (--no-db), so its tasks cannot be shown or changed"
    hint = "start it without --no-db; `hyper-shell server info` shows its progress"


class RunNotKept(StartError):
    """The last run of an input left nothing to resume."""

    says = "the last run of {path} ({uid}) was kept in memory (--no-db), so it cannot be resumed"
    hint = "omit --resume to run {path} from its first line"


class NoServer(HyperShellError):
    """No server answers.

    `place` is where the host and port came from: what the user is to check.
    """

    exit_code = 4
    defaults: ClassVar[Mapping[str, str]] = {
        "place": "the host and port",
        "patience": "",
        "remark": "",
    }


class ServerUnreachable(NoServer):
    """Nothing listens there, or it does not answer in time."""

    says = "no server at {host} port {port}: {reason}"
    hint = "start one with `hyper-shell server FILE`, or check {place}{patience}{remark}"


class ServerSilent(NoServer):
    """A program listens there and sends nothing."""

    says = "the program at {host} port {port} does not answer like a hyper-shell server"
    hint = (
        "check {place}; if it is a hyper-shell server, it is frozen or overloaded{patience}{remark}"
    )


class HostUnknown(NoServer):
    """The name of the host does not resolve."""

    says = "unknown host {host}"
    hint = "check {place}, or give an address"


class HostLookupFailed(NoServer):
    """The name of the host could not be looked up; it may exist."""

    says = "cannot look up the host {host}: {reason}"
    hint = "check the name service of this machine (`getent hosts {host}`), or give an address"


class HostUnsupported(NoServer):
    """The host has no address of a kind that this machine can connect to."""

    says = "this machine cannot connect to {host}: {reason}"
    hint = "check {place}, or give another address of the server, IPv4 or IPv6"


class NotOurServer(NoServer):
    """The program that listens there is not a hyper-shell server."""

    says = "the program at {host} port {port} is not a hyper-shell server"
    hint = "check {place}; a server logs the address it is listening on"


class VersionMismatch(NoServer):
    """The server speaks another version of the protocol."""

    says = "the server at {host} port {port} uses another version of the protocol ({theirs})"
    hint = "use the same release of hyper-shell on both sides"


class ServerLeft(NoServer):
    """The server ended during a request."""

    says = "the server ended before it answered: {what}"
    hint = "see its log; `hyper-shell server --restart` runs the remaining tasks"


class ServerHungUp(NoServer):
    """The server broke the connection during a request, and lives."""

    says = "the server did not answer: {what}; it is still running"
    hint = "try again; its log says whether it is short of descriptors or memory"


class ServerStalled(NoServer):
    """The server took a request, and does not answer it."""

    says = "the server took the request and does not answer"
    hint = "`hyper-shell server info` shows whether its task database answers; see also its log"


class WaitTooLong(NoServer):
    """The tasks had not finished when the timeout was reached."""

    says = "not finished after {seconds:g} s: {unfinished}"
    hint = "use a longer --timeout, or none"


class Refused(HyperShellError):
    """The server, or a file of keys, refused."""

    exit_code = 5


class KeyRefused(Refused):
    """The two sides have different keys."""

    says = "the server at {host} port {port} refused this key"
    hint = "use the key that the server was started with (-k, or HYPERSHELL_AUTH){remark}"
    defaults: ClassVar[Mapping[str, str]] = {"remark": ""}


class PlaneRefused(Refused):
    """That port belongs to the other plane."""

    says = "port {port} on {host} is the {plane} port of a server; the {wanted} port is needed here"
    hint = "`hyper-shell client` uses the worker port, every other command the client port"


class KeyTooShort(Refused):
    """A key that short could be guessed; it is allowed on loopback only."""

    says = "a key of {length} characters is too short for {host}, which other machines can reach"
    hint = "use at least 16 characters, or omit -k and let the server make a key"


class RequestRefused(Refused):
    """The server, or the database, refuses a request."""

    says = "the request was refused: {reason}"
    hint = "see `hyper-shell {verb} --help`"


class ServerUnable(StartError):
    """The server cannot carry out a request because of its task database."""

    says = "the server cannot do this: {reason}"
    hint = "check its task database with `hyper-shell db check`"


class ConnectionLost(HyperShellError):
    """The connection to the server was lost and could not be restored in time."""

    exit_code = 6
    says = "the connection to the server at {host} port {port} was lost: {reason}"
    hint = "its tasks here were stopped; start the client again when the server is back"


class SubmitLost(ConnectionLost):
    """A submission was interrupted."""

    says = "the submission was interrupted after {accepted}: {reason}"
    hint = "the server has those tasks, and may have some or all of the next batch"


class ClientsEnded(ConnectionLost):
    """All clients that were started for a run ended before it did."""

    says = "all clients ended before the run did; the worst exit status was {status}"
    hint = "see their messages above, then run the remaining lines again"
