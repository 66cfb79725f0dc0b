"""Starts, signals and reaps tasks: the only module that knows processes.

Each task is a session of its own: it has no terminal that could stop it or ask it anything, and
what it starts is known by its session, also in a process group of its own (`timeout 5 cmd`). It is
started by posix_spawn, never by a fork of this process, which would cost more than the task itself.
"""

import errno
import functools
import os
import resource
import signal
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hypershell.client.tasks.direct_exec import plain_words
from hypershell.client.tasks.grants import Grant
from hypershell.client.tasks.shell import TaskShell
from hypershell.client.tasks.surroundings import QUESTION, shell_keeps
from hypershell.client.tasks.task_directory import TaskDirectory
from hypershell.core.ending import Ending
from hypershell.core.environment import is_withheld
from hypershell.core.errors import NiceRefused
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock
from hypershell.runtime.initial_environment import added_by_python
from hypershell.runtime.limits import DescriptorLimit, descriptor_limit, opening

MAX_ARGUMENT = 128 * 1024 - 1
"""Bytes in one argument or variable, without its NUL (MAX_ARG_STRLEN, execve(2))."""

_DEFAULTED = tuple(
    int(number)
    for number in
    # Python ignores SIGPIPE and SIGXFSZ, a shell ignores SIGINT and SIGQUIT for what it starts
    # in the background, and the client itself ignores two more: tasks inherit what is ignored.
    {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD}
    | {signal.SIGTTOU, signal.SIGTSTP}
)

_SPARE = 3  # standard output and error, and a script

_NOWHERE = (os.devnull, os.O_WRONLY, 0)

_FALL_BACK = frozenset(
    {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.E2BIG}
)

SHORT_OF = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""Errors that pass when other tasks end."""

Files = list[tuple[Any, ...]]
"""File actions of posix_spawn."""

Program = tuple[bytes, list[bytes], dict[bytes, bytes]]
"""A path, its arguments and its variables: the first arguments of posix_spawn."""


@dataclass(slots=True, eq=False)
class Child:
    """A task that was started. `started` is monotonic time in seconds.

    A task with needs has a `grant`. `peak_kib` is the most memory that it and all below it were
    seen to use. Its `outcome` is set once it was reaped while others of its session were alive.
    """

    claim: Claim
    pid: int
    slot: int
    started: float
    started_at: float
    grant: Grant | None = None
    outcome: Outcome | None = None
    peak_kib: int = 0


class Spawner:
    """Starts tasks with the environment of this process and the variables of the task.

    Standard input of this process is /dev/null from then on, and so is theirs. The variables
    `added` are in the environment of each; `limit` is the one on open files that they get, None if
    this process has not changed its own. They run with the niceness `nice`, beside ours.
    """

    def __init__(
        self,
        shell: TaskShell,
        client_id: str,
        host: str,
        added: Mapping[str, str] | None = None,
        limit: DescriptorLimit | None = None,
        nice: int = 0,
    ) -> None:
        self._shell = shell
        self._shell_path = os.fsencode(shell.path)
        self._shell_words = shell.words()
        self._nice = nice
        self._directory = TaskDirectory()
        self._limit = limit
        self._own_limit = descriptor_limit()
        # The first ones that are free: before there are as many as the limit allows.
        self._spare = [] if limit is None else [_open_nowhere() for _ in range(_SPARE)]
        if limit is not None and max(self._spare) >= limit.soft:
            self._limit = None  # so low that nothing could be started under it from here
        self._environment = _task_environment(host, added or {})
        self.rename(client_id)
        may_be_direct = shell.is_plain and not any(
            name == b"BASH_ENV" or name.startswith(b"BASH_FUNC_") for name in self._environment
        )
        self._direct: bool | None = None if may_be_direct else False  # None: not known yet
        # Tasks inherit it: one thing less to be done for each of them.
        devnull = _open_nowhere()
        os.dup2(devnull, 0)
        os.close(devnull)

    def rename(self, client_id: str) -> None:
        """The client is known by this name from now on."""
        self.client_id = client_id
        self._environment[b"TASK_CLIENT_ID"] = client_id.encode()

    def spawn(
        self, claim: Claim, slot: int, out: int, err: int, grant: Grant | None = None
    ) -> Child:
        """Start a task with these descriptors as its output; OSError if it cannot be.

        DirectoryRefused where its directory is why.
        """
        files: Files = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, err, 2)]
        started_at, started = clock.wall(), clock.monotonic()
        spec = claim.spec
        path = self._directory.enter(spec.cwd, started)
        variables = self._variables(claim, slot, path, spec.env)
        if grant is None:
            pid = self._start(claim, spec, variables, files)
        else:
            given = {os.fsencode(name) for name, _ in spec.env}
            variables |= {n: value for n, value in grant.variables.items() if n not in given}
            with _running_on(grant.cpus):
                pid = self._start(claim, spec, variables, files)
        if self._nice:
            _be_nice(pid, self._nice)
        return Child(claim, pid, slot, started, started_at, grant)

    def _variables(
        self,
        claim: Claim,
        slot: int,
        directory: bytes | None,
        changes: tuple[tuple[str, str], ...],
    ) -> dict[bytes, bytes]:
        variables = self._environment.copy()
        for name, value in changes:
            variables[os.fsencode(name)] = os.fsencode(value)
        # A shell would set PWD; a command that is started without one finds it as well.
        if directory is not None:
            variables[b"PWD"] = directory
        variables[b"TASK_ID"] = b"%d" % claim.task_id
        variables[b"TASK_NUMBER"] = b"%d" % claim.number
        variables[b"TASK_ATTEMPT"] = b"%d" % claim.attempt
        variables[b"TASK_SLOT"] = b"%d" % slot
        if len(claim.command) + len(b"TASK_ARGS=") <= MAX_ARGUMENT:
            variables[b"TASK_ARGS"] = claim.command
        return variables

    def _start(
        self, claim: Claim, spec: TaskSpec, variables: dict[bytes, bytes], files: Files
    ) -> int:
        command = claim.command
        if self._shell.prologue:
            command = self._shell.script(command)
        if (
            self._direct is not False
            and not spec.env  # which may change what a shell would find, or do
            and (words := plain_words(command))
            and self._is_direct(variables)
        ):
            try:
                return self._spawn((words[0], words, variables), files, search=True)
            except OSError as error:
                # The shell has the last word on what cannot be found or run, and says it itself.
                if error.errno not in _FALL_BACK:
                    raise
        if len(command) <= MAX_ARGUMENT:
            try:
                return self._start_shell(command, variables, files)
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
        return self._start_long(command, variables, files)

    def _is_direct(self, variables: dict[bytes, bytes]) -> bool:
        """Whether a command finds the same variables where it is started without a shell."""
        if self._direct is None and b"PWD" in variables:

            def start(out: int) -> int:
                files: Files = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_OPEN, 2, *_NOWHERE)]
                return self._start_shell(QUESTION, variables, files)

            self._direct = shell_keeps(variables, start)
        return bool(self._direct) and b"PWD" in variables  # a shell would find a name for it

    def _start_shell(self, command: bytes, variables: dict[bytes, bytes], files: Files) -> int:
        dashes = [b"--"] if command[:1] in (b"-", b"+") else []
        words = [*self._shell_words, *dashes, command]
        return self._spawn((self._shell_path, words, variables), files)

    def _start_long(self, command: bytes, variables: dict[bytes, bytes], files: Files) -> int:
        """Start a command that is too long for an argument: the shell reads it from a file."""
        variables.pop(b"TASK_ARGS", None)
        script = _anonymous_file(b"exec 3<&-; " + command + b"\n")
        try:
            passed = [*files, (os.POSIX_SPAWN_DUP2, script, 3)]
            return self._start_shell(b". /dev/fd/3", variables, passed)
        finally:
            os.close(script)

    def _spawn(self, program: Program, files: Files, search: bool = False) -> int:
        if self._limit is None:
            return _spawn(program, files, search)
        if high := {action[1] for action in files if action[1] >= self._limit.soft}:
            return self._spawn_high(program, files, high, search)
        with opening:  # no other thread must meet the limit of the task
            self._limit.set()
            try:
                return _spawn(program, files, search)
            finally:
                self._own_limit.set()

    def _spawn_high(self, program: Program, files: Files, high: set[int], search: bool) -> int:
        """The same where descriptors are above the limit of the task: lower ones stand for them.

        The C library takes no other for file actions, although the kernel would.
        """
        lower: dict[int, int] = {}
        try:
            for spare, descriptor in zip(self._spare, high, strict=False):
                os.dup2(descriptor, spare, inheritable=False)
                lower[descriptor] = spare
            low = [(kind, lower.get(first, first), *rest) for kind, first, *rest in files]
            return self._spawn(program, low, search)
        finally:
            for spare in lower.values():
                os.dup2(0, spare, inheritable=False)  # a pipe must not stay open by it


def check_nice(number: int) -> None:
    """NiceRefused unless tasks may run with this niceness, beside that of this process.

    Only a negative one needs a right: that of root, or a limit (RLIMIT_NICE, getrlimit(2)).
    """
    if number >= 0 or os.geteuid() == 0:
        return
    lowest = 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]
    if os.getpriority(os.PRIO_PROCESS, 0) + number < lowest:
        raise NiceRefused(number=number, reason="only root may run tasks before those of others")


def _be_nice(pid: int, number: int) -> None:
    """Change the niceness of a task that was just started; what it starts has it as well."""
    with suppress(OSError):  # it has ended, or became another user's
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + number)


@contextmanager
def _running_on(cpus: Collection[int]) -> Iterator[None]:
    """This thread, and what it starts, runs on these cores; on all that it had where none is named.

    The caller's own are restored at the end.
    """
    if not cpus or not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _open_nowhere() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _spawn(program: Program, files: Files, search: bool) -> int:
    start = os.posix_spawnp if search else os.posix_spawn
    path, arguments, variables = program
    try:
        return start(
            path,
            arguments,
            variables,
            file_actions=files,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULTED,
        )
    except NotImplementedError:  # Python was built with a C library that cannot do `setsid`
        if search:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
        return _spawn_by_program(program, files)


def _spawn_by_program(program: Program, files: Files) -> int:
    """Start a shell by setsid(1), which becomes that shell, in one more execution.

    Where there is no such program, a task is a process group of its own and no more.
    """
    path, arguments, variables = program
    start = functools.partial(
        os.posix_spawnp, file_actions=files, setsigmask=(), setsigdef=_DEFAULTED
    )
    try:
        return start(b"setsid", [b"setsid", path, *arguments[1:]], variables)
    except FileNotFoundError:
        return start(path, arguments, variables, setpgroup=0)


def reap(child: Child) -> Outcome:
    """Collect a child that has ended: its outcome, as the shell or the kernel tells it."""
    _, status, used = os.wait4(child.pid, 0)
    seconds = clock.monotonic() - child.started
    claim = child.claim
    signaled = os.WIFSIGNALED(status)
    peak_kib = used.ru_maxrss if sys.platform != "darwin" else used.ru_maxrss // 1024
    # A child starts out at the size of its parent; a peak below that says nothing about the task.
    if peak_kib <= _own_peak[0] or peak_kib <= _look_at_own_peak():
        peak_kib = 0
    return Outcome(
        claim.task_id,
        claim.lease,
        Ending.SIGNALED if signaled else Ending.EXITED,
        os.WTERMSIG(status) if signaled else os.WEXITSTATUS(status),
        "",
        child.started_at,
        seconds,
        used.ru_utime,
        used.ru_stime,
        peak_kib,
        child.slot,
        child.pid,
    )


_own_peak = [0]  # KiB, as last looked at: it only grows


def _look_at_own_peak() -> int:
    _own_peak[0] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _own_peak[0]


def _task_environment(host: str, added: Mapping[str, str]) -> dict[bytes, bytes]:
    """The environment that all tasks share: ours, as it was given to us, without its secrets."""
    ours = {name: value for name, value in os.environ.items() if not is_withheld(name, value)}
    environment = {os.fsencode(n): os.fsencode(value) for n, value in {**ours, **added}.items()}
    for name in added_by_python():
        environment.pop(name, None)
    environment.pop(b"PWD", None)  # each task has its own
    environment[b"TASK_CLIENT_HOST"] = os.fsencode(host)
    return environment


def _anonymous_file(content: bytes) -> int:
    """A descriptor of a file without a name that holds this, positioned at its start."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("task", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
