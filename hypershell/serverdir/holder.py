"""Who holds a server directory: the record that a holder leaves, and whether it still lives.

The lock itself is the kernel's. The record says who has it, and stands for the holder where the
lock is not seen from other machines.

/proc is read here rather than by psutil: that has neither the boot's id nor the namespace of
process numbers, its start times move when the clock is set, and without /proc it does not work.
"""

import hashlib
import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path

from hypershell.runtime import chance

SERVER = "server"
"""The verb of the holder that stays; every other one is through in a moment."""

_WORD = re.compile(r"[A-Za-z0-9._:%+ -]{0,255}")
_ENDED_STATES = frozenset("ZXx")


class Fate(Enum):
    """What can be known of a holder from here."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds, or held, a server directory.

    `boot` names one start of the machine's kernel, `machine` the machine across restarts, `space`
    the set of process numbers that `pid` belongs to (containers have their own), `begun` the
    process's start in the kernel's ticks, which tells it from a later one of that number.
    """

    verb: str
    server_uid: str
    pid: int
    begun: int
    host: str
    boot: str
    machine: str
    space: int
    token: str

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    def __str__(self) -> str:
        """Return the holder as messages name it."""
        who = f"server {self.server_uid}" if self.server_uid else f"`hyper-shell {self.verb}`"
        return f"{who}, pid {self.pid} on {self.host}"


def this_process(verb: str, server_uid: str = "") -> Holder:
    """The record of this process as a holder."""
    return Holder(
        verb=verb,
        server_uid=server_uid,
        pid=os.getpid(),
        begun=_begun(os.getpid()) or 0,
        host=this_host(),
        boot=_first_line("/proc/sys/kernel/random/boot_id"),
        machine=_machine(),
        space=_space(),
        token=chance.token_hex(8),
    )


def this_host() -> str:
    """This machine's name, as records and messages have it."""
    name = socket.gethostname()
    return name if _WORD.fullmatch(name) else ascii(name)


def holder_from(text: bytes) -> Holder | None:
    """Read a record; None if it is not a whole and plausible one."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    words = ("verb", "server_uid", "host", "boot", "machine", "token")
    numbers = ("pid", "begun", "space")
    if not all(isinstance(fields.get(n), str) and _WORD.fullmatch(fields[n]) for n in words):
        return None
    if not all(type(fields.get(n)) is int and 0 <= fields[n] < 2**63 for n in numbers):
        return None
    return Holder(**{name: fields[name] for name in words + numbers})


def fate(holder: Holder, here: Holder, lock_reaches: bool) -> Fate:
    """What became of a holder, asked by `here`, which has taken the lock.

    `lock_reaches` says whether the lock is seen by every machine that sees the directory: who
    does not have it then is gone, wherever it was.
    """
    if is_alive_here(holder, here):
        # It has the lock of a file that was since removed or replaced.
        return Fate.ALIVE
    same_boot = bool(holder.boot) and holder.boot == here.boot
    same_machine = (holder.host, holder.machine) == (here.host, here.machine)
    return Fate.GONE if same_boot or same_machine or lock_reaches else Fate.UNKNOWN


def is_alive_here(holder: Holder, here: Holder) -> bool:
    """Whether the holder is a live process that can be seen from here, beyond doubt."""
    seen = (holder.host, holder.boot, holder.machine, holder.space)
    if seen != (here.host, here.boot, here.machine, here.space) or holder.pid == 0:
        return False
    begun = _begun(holder.pid)
    return begun is not None and begun == holder.begun


def _begun(pid: int) -> int | None:
    """When a process started, in ticks since the kernel did; None if it is gone or a zombie.

    Where there is no /proc, 0 stands for every live process.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if os.path.exists("/proc/self/stat") else _begun_anywhere(pid)
    # The name in parentheses may hold anything, closing parentheses too.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in _ENDED_STATES else int(fields[19])


def _begun_anywhere(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        pass
    return 0


def _machine() -> str:
    """A name for this machine that tells nothing else of it; empty if it has none.

    The machine id is not to be shown around, says machine-id(5): a digest of it will do.
    """
    name = _first_line("/etc/machine-id")
    return hashlib.sha256(b"hyper-shell " + name.encode()).hexdigest()[:16] if name else ""


def _space() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            line = file.readline().strip()
    except OSError:
        return ""
    return line if _WORD.fullmatch(line) else ""
