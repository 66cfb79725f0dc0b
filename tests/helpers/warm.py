"""Starts of the program that are warm: forked from a process that has imported all of it.

A start takes half a second of a slow core, nearly all of it for imports, and the tests make
thousands. So each process of pytest keeps a *stem*: it has the program's modules, is a single
thread, and does nothing but fork. What it forks is a child of pytest itself, by CLONE_PARENT
(clone(2)), with the descriptors, directory, environment and arguments of a start of its own, in
/proc as well (PR_SET_MM_MAP, prctl(2)), and runs `python -m hypershell` from the first line on.

A cluster that was started so gets a stem of its own, a child that is forked before the program
begins, and the clients that it starts come from there: they are children of the cluster, with its
signals, limits and directory. That stem is in /proc by the name STEM, and in no farm.

What is not started so is said by `is_warm`. All else that the program starts itself is started as
always, and so is all under COLD=1, and where the kernel has not what this needs.
"""

import atexit
import ctypes
import fcntl
import gc
import os
import pickle
import platform
import resource
import runpy
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CLONE_PARENT = 0x00008000
_CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine(), 0)  # its number as a system call

_SETTINGS = {"cwd", "stdin", "stdout", "stderr", "start_new_session", "pass_fds"}
"""Of those that `Popen` takes, what a warm start knows."""

_FIXED = ("LC_", "LANG", "PYTHON", "LD_", "TZ", "MALLOC")
"""How the variables begin that a process reads only once, or that say how Python starts."""

_ROOT = Path(__file__).parents[2]

_READY, _UNABLE = b"ready", b"unable"

_MAX_REQUEST = 64 * 1024
"""Bytes, far below what one message of a socket may have."""

_MAX_DESCRIPTORS = 8

STEM = "stem-of-a-cluster"
"""How /proc shows what is below a cluster and no part of it."""


def is_warm(
    command: list[str], environment: Mapping[str, str], settings: Mapping[str, Any]
) -> bool:
    """Whether a start can be warm, and nothing but its speed tells it from another."""
    if not _CLONE or sys.platform != "linux" or os.environ.get("COLD"):
        return False
    if command[:3] != [sys.executable, "-m", "hypershell"] or not settings.keys() <= _SETTINGS:
        return False
    size = sum(map(len, command)) + sum(map(len, environment)) + sum(map(len, environment.values()))
    if 2 * size > _MAX_REQUEST:
        return False
    return settings.get("start_new_session", True) and _fixed(environment) == _fixed(
        _own_environment()
    )


def _own_environment() -> dict[str, str]:
    """That of the stem."""
    return dict(os.environ) | {"PYTHONPATH": str(_ROOT)}


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_FIXED)}


class WarmProcess(subprocess.Popen[bytes]):
    """A `Popen` whose process comes from the stem; it takes `_SETTINGS` and needs an `env`."""

    def _execute_child(self, args: Any, *others: Any) -> None:
        # What Popen makes of its arguments is alike in Python 3.10 to 3.14 as far as it is used.
        pipes = others[9:15]  # the child's ends are the first, fourth and sixth
        request = {
            "arguments": args,
            "cwd": os.fspath(others[4] or os.getcwd()),
            "environment": dict(others[5]),
            "ignored": [n for n in signal.valid_signals() if _is_ignored(n)],
            "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "numbers": [0, 1, 2, *others[3]],
        }
        ends = zip((pipes[0], pipes[3], pipes[5]), range(3), strict=True)
        given = [own if end == -1 else end for end, own in ends]
        self.pid = _stem().fork(request, [*given, *others[3]])
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _is_ignored(number: int) -> bool:
    """Whether what is started by exec ignores it as well; Popen gives it PIPE and XFSZ back."""
    restored = (signal.SIGPIPE, signal.SIGXFSZ)
    return signal.getsignal(number) is signal.SIG_IGN and number not in restored


class _Asked:
    """A process that forks, and the way to ask it."""

    def __init__(self, requests: socket.socket) -> None:
        self._ours = requests

    def fork(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """Start a process; its number."""
        socket.send_fds(self._ours, [pickle.dumps(request)], descriptors)
        return int(self._ours.recv(100))


class _Stem(_Asked):
    """The one that is forked from nothing, a child of this process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(ours)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.warm", "hypershell", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=_ROOT,
            env=_own_environment(),
            start_new_session=True,
        )
        theirs.close()
        self.can_fork = self._ours.recv(100) == _READY
        atexit.register(self.close)

    def close(self) -> None:
        """End the stem."""
        self._ours.close()
        self._process.wait()


_stems: list[_Asked] = []


def _stem() -> _Asked:
    if not _stems:
        _stems.append(_Stem())
    return _stems[0]


# In the stem.


def _import_all() -> None:
    """All that a verb imports sooner or later, and what those import in their functions."""
    import pkgutil

    import hypershell

    for module in pkgutil.walk_packages(hypershell.__path__, "hypershell."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
    __import__("sqlalchemy.dialects.sqlite")


def _serve(requests: socket.socket) -> None:
    """Fork for each request, until there will be none."""
    libc = ctypes.PyDLL(None)
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _MAX_REQUEST, _MAX_DESCRIPTORS)
        if not text:
            return
        libc.PyOS_BeforeFork()
        pid = libc.syscall(_CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            libc.PyOS_AfterFork_Child()
            requests.close()
            _become(pickle.loads(text), descriptors)
        libc.PyOS_AfterFork_Parent()
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(str(pid).encode())


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be what was asked for, from its first line to its exit."""
    os.setsid()
    _have_descriptors(dict(zip(request["numbers"], descriptors, strict=True)))
    resource.setrlimit(resource.RLIMIT_NOFILE, request["open_files"])
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    _show(request["arguments"], request["environment"])
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old = getattr(sys, name)
        lines = 1 if name == "stderr" else -1
        stream = open(number, mode, lines, old.encoding, old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.orig_argv = request["arguments"]
    sys.argv = ["hypershell", *request["arguments"][3:]]
    if sys.argv[1:2] == ["cluster"]:
        _have_warm_clients()
    runpy.run_module("hypershell", run_name="__main__", alter_sys=True)
    sys.exit()


def _have_descriptors(wanted: dict[int, int]) -> None:
    """Have those that are the values under the numbers that are the keys, and no others."""
    above = max(*wanted, *wanted.values()) + 1
    moved = {n: fcntl.fcntl(old, fcntl.F_DUPFD, above) for n, old in wanted.items()}
    os.closerange(3, above)
    for number, descriptor in moved.items():
        os.dup2(descriptor, number)
        os.close(descriptor)


def _have_warm_clients() -> None:
    """From now on fork the clients that this process starts from a stem, which is its child."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        os.setsid()
        _show([STEM], {})
        silence = os.open(os.devnull, os.O_RDWR)
        ours.detach()  # else its end, in a client, would be that of what has its number then
        _have_descriptors({**dict.fromkeys(range(3), silence), 3: theirs.detach()})
        _serve(socket.socket(fileno=3))
        os._exit(0)
    theirs.close()
    _stems[:] = [_Asked(ours)]
    cold = subprocess.Popen

    def start(command: list[str], **settings: Any) -> subprocess.Popen[bytes]:
        environment = settings.pop("env", os.environ)
        is_client = command[3:4] == ["client"] and is_warm(command, environment, settings)
        kind = WarmProcess if is_client else cold
        return kind(command, env=environment, **settings)

    subprocess.Popen = start  # type: ignore[assignment,misc]


_PR_SET_MM, _PR_SET_MM_MAP = 35, 14
_MAP = struct.Struct("11QQIi")  # struct prctl_mm_map, linux/prctl.h

_shown: list[Any] = []
"""What the kernel shows must stay where it is."""


def _show(arguments: list[str], environment: Mapping[str, str]) -> bool:
    """Have /proc say that this process was started with these; whether it does."""
    first = b"".join(os.fsencode(word) + b"\0" for word in arguments)
    pairs = (f"{name}={value}" for name, value in environment.items())
    second = b"".join(os.fsencode(pair) + b"\0" for pair in pairs)
    text = ctypes.create_string_buffer(first + second)
    _shown[:] = [text]
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = ctypes.c_void_p
    fields = [int(field) for field in _stat()[1:]]
    # By the numbers of proc(5), of which the fourth is the first here.
    start_code, end_code, stack = fields[22:25]
    start_data, end_data, start_brk = fields[41:44]
    begin = ctypes.addressof(text)
    middle, end = begin + len(first), begin + len(first) + len(second)
    packed = _MAP.pack(
        *(start_code, end_code, start_data, end_data, start_brk, libc.sbrk(0), stack),
        *(begin, middle, middle, end, 0, 0, -1),
    )
    return libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, packed, ctypes.c_ulong(len(packed)), 0) == 0


def _stat() -> list[str]:
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()


def _main(requests: socket.socket) -> None:
    can_fork = _show(sys.orig_argv, os.environ)
    requests.send(_READY if can_fork else _UNABLE)
    if can_fork:
        _import_all()
        gc.collect()
        gc.freeze()
        _serve(requests)


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[2])))
