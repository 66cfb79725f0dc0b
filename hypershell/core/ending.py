"""The ways in which an attempt can end: one table, read by everything that depends on them.

A new ending is a new row. Nothing compares endings by their order.
"""

import signal
from enum import Enum, IntEnum, auto
from typing import Any, NamedTuple

from hypershell.core.state import TaskState


class CountsAs(Enum):
    """What an ending adds to the counts of its task."""

    NOTHING = auto()
    FAILURE = auto()  # the task's own doing: uses up a retry, unless it exited with 0
    LOSS = auto()  # its client's doing: a task that lost too many clients has failed


class Code(Enum):
    """What the code of an outcome is."""

    NOTHING = auto()
    EXIT_STATUS = auto()
    SIGNAL = auto()


class _Row(NamedTuple):
    """What is true of one ending.

    `number` travels and is stored: it never changes. `word` names the ending in `info`, `list` and
    exports; `cause` says what happened, with `{code}` and `{signal}` filled in.

    `reported`: a client may report it; only the server knows of the others. `tried`: an attempt
    was made, and is recorded. `ran`: a process was started, whose seconds tell how long such
    tasks take. `granted`: an attempt that follows is counted among the retries in the summary.

    `leads_to` is the state of the task afterwards. WAITING becomes FAILED when no retry is left;
    INTERRUPTED is WAITING unless the whole run is being stopped.

    `code_is` says what the code of the outcome is; `exit_value` is what a job log has where that
    is not an exit status.
    """

    number: int
    word: str
    cause: str
    reported: bool = True
    tried: bool = True
    ran: bool = True
    granted: bool = True
    counts_as: CountsAs = CountsAs.NOTHING
    leads_to: TaskState = TaskState.WAITING
    code_is: Code = Code.NOTHING
    exit_value: int = -1


class Ending(IntEnum):
    """How an attempt ended. Each member has the fields of its row as attributes."""

    word: str
    cause: str
    reported: bool
    tried: bool
    ran: bool
    granted: bool
    counts_as: CountsAs
    leads_to: TaskState
    code_is: Code
    exit_value: int

    def __new__(cls, number: int, *facts: Any) -> "Ending":
        """A member, which is its number, with the facts of its row."""
        made = int.__new__(cls, number)
        made._value_ = number
        for name, value in zip(_Row._fields[1:], facts, strict=False):
            setattr(made, name, value)
        return made

    EXITED = _Row(
        0,
        "exited",
        "exit status {code}",
        counts_as=CountsAs.FAILURE,
        code_is=Code.EXIT_STATUS,
    )
    SIGNALED = _Row(
        1,
        "signaled",
        "signal {code} ({signal})",
        counts_as=CountsAs.FAILURE,
        code_is=Code.SIGNAL,
        exit_value=0,
    )
    UNSTARTABLE = _Row(
        2,
        "unstartable",
        "could not be started",
        ran=False,
        counts_as=CountsAs.FAILURE,
        exit_value=126,
    )
    INTERRUPTED = _Row(
        3,
        "interrupted",
        "interrupted",
        granted=False,
        leads_to=TaskState.INTERRUPTED,
    )
    GIVEN_BACK = _Row(
        4,
        "given back",
        "given back unstarted",
        tried=False,
        ran=False,
        granted=False,
    )
    LOST = _Row(
        5,
        "lost",
        "its client died or was cut off",
        reported=False,
        counts_as=CountsAs.LOSS,
    )
    CANCELLED = _Row(
        6,
        "cancelled",
        "cancelled",
        leads_to=TaskState.CANCELLED,
    )
    ORPHANED = _Row(  # known to have begun, and no loss: it did not end its server
        7,
        "orphaned",
        "its server died, and no client reported it",
        reported=False,
    )
    TIMED_OUT = _Row(
        8,
        "timed out",
        "timed out",
        counts_as=CountsAs.FAILURE,
        exit_value=124,  # as timeout(1) of GNU coreutils has it
    )

    UNREPORTED = _Row(
        9,
        "unreported",
        "its client was cut off, and nobody reported whether it had begun",
        reported=False,
        granted=False,
    )
    NO_DIRECTORY = _Row(
        10,
        "no directory",
        "its client cannot enter its directory",
        tried=False,
        ran=False,
        granted=False,
    )

    OUT_OF_MEMORY = _Row(
        11,
        "out of memory",
        "out of memory",
        counts_as=CountsAs.FAILURE,
        exit_value=137,  # as a shell tells of what the kernel kills for it
    )
    UNFIT = _Row(
        12,
        "unfit",
        "no connected client has what it asks for",
        reported=False,
        ran=False,
        counts_as=CountsAs.FAILURE,
        leads_to=TaskState.FAILED,
        exit_value=126,
    )

    def describe(self, code: int) -> str:
        """What happened, in a few words."""
        return self.cause.format(code=code, signal=_signal_name(code))


def endings_with(code_is: Code) -> list[int]:
    """The numbers of the endings whose code is this."""
    return [int(ending) for ending in Ending if ending.code_is is code_is]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
