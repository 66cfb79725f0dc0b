"""The records of the worker plane and the plain lists as which they travel.

What comes from a peer is checked field by field: ValueError if it is not what it should be.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.lease import call_seconds
from hypershell.core.outcome import MAX_CAPTURED, Outcome
from hypershell.core.resources import NOTHING, Offer
from hypershell.core.setting_values import MAX_AMOUNT, MAX_MEMORY, are_amounts, load_pairs
from hypershell.core.task import Claim
from hypershell.core.task_spec import unpack_spec
from hypershell.core.unwritten import Unwritten
from hypershell.core.visible import visible

_ENDINGS = {int(ending): ending for ending in Ending if ending.reported}

# What every database can keep, and all who read it can show. No honest client tells more: the call
# of one that does fails, and ends it.
_LARGEST_PID = 2**31 - 1
_MAX_SLOTS = 100_000
_MAX_KIB = 2**50
_MOST_BYTES = 2**60
_MAX_SECONDS = 1e10  # of a duration
_LATEST = 1e11  # seconds since the epoch

_CLAIM = (int, int, int, bytes, str, int)
_BEGUN = (int, int, float, int, int)
_OUTCOME = (int, int, int, int, str, float, float, float, float, int, int, int, bytes, bytes)


FIRST_SESSION = 1
"""The first session of a client with a server; each reconnect begins the next."""


class Phase(IntEnum):
    """How far a run is, as its clients hear it."""

    RUNNING = 0
    DRAINING = 1  # start nothing more; finish what runs
    STOPPING = 2  # stop what runs
    OVER = 3  # all is done: leave


@dataclass(frozen=True, slots=True)
class Hello:
    """How a client joins; with `client_id` and `held`, how it comes back after a broken connection.

    `held` are (task id, lease, begun) of all that it holds or has an outcome for; `begun` says
    whether a process of it was or may have been started. The `offer` is for tasks with needs.
    """

    host: str
    pid: int
    slots: int
    client_id: str = ""
    held: tuple[tuple[int, int, bool], ...] = ()
    offer: Offer = NOTHING


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer: who the client is now, how long it may be silent, what it must drop.

    Calls carry the `session`, so that one from before a reconnection changes nothing. Should the
    server give this client up, the `secret` shows that what it hands in later was its own.
    """

    client_id: str
    session: int
    lease_seconds: float
    grace_seconds: float
    drop: tuple[tuple[int, int], ...] = ()
    secret: str = ""

    @property
    def call_seconds(self) -> float:
        """How long a call under this lease may take."""
        return call_seconds(self.lease_seconds, self.grace_seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an exchange. `known` is False when the client was given up for dead.

    `cancelled` are those (task id, lease) that the client holds and is not to go on with. Outcomes
    that could not be recorded for now are not `accepted`: the client keeps them, and gives them
    again. From now on it is to run so many tasks at a time as `slots` says, if that is not 0.
    """

    known: bool
    phase: Phase
    claims: list[Claim]
    cancelled: tuple[tuple[int, int], ...] = ()
    accepted: bool = True
    slots: int = 0


def pack_hello(hello: Hello) -> list[Any]:
    """Return plain values for the wire."""
    cores, memory, gpus, others, limits_places, seconds = hello.offer
    held = [list(each) for each in hello.held]
    offer = [cores, memory, gpus, [list(each) for each in others], limits_places, float(seconds)]
    return [hello.host, hello.pid, hello.slots, hello.client_id, held, offer]


def unpack_hello(packed: Any) -> Hello:
    """Check and return; ValueError."""
    match packed:
        case [str(host), int(pid), int(slots), str(client_id), list(held), list(offer)] if (
            len(host) <= 255
            and host.isascii()
            and host.isprintable()
            and 0 < slots <= _MAX_SLOTS
            and 0 <= pid <= _LARGEST_PID
        ):
            return Hello(host, pid, slots, client_id, _held(held), _offer(offer))
    raise ValueError("not a greeting")


def _offer(packed: Any) -> Offer:
    match packed:
        case [int(cores), int(memory), int(gpus), list(others), bool(limits), float(seconds)] if (
            0 <= cores <= MAX_AMOUNT
            and 0 <= memory <= MAX_MEMORY
            and 0 <= gpus <= MAX_AMOUNT
            and seconds >= 0
        ):
            amounts = load_pairs(others, int)
            if are_amounts(amounts):
                return Offer(cores, memory, gpus, amounts, limits, seconds)
    raise ValueError("not what a client offers")


def pack_welcome(welcome: Welcome) -> list[Any]:
    """Return plain values for the wire."""
    return [
        welcome.client_id,
        welcome.session,
        float(welcome.lease_seconds),
        float(welcome.grace_seconds),
        [list(pair) for pair in welcome.drop],
        welcome.secret,
    ]


def unpack_welcome(packed: Any) -> Welcome:
    """Check and return; ValueError."""
    match packed:
        case [str(client_id), int(session), float(lease), float(grace), list(drop), str(secret)]:
            return Welcome(client_id, session, lease, grace, unpack_pairs(drop), secret)
    raise ValueError("not a welcome")


def pack_answer(answer: Answer) -> list[Any]:
    """Return plain values for the wire."""
    cancelled = [list(pair) for pair in answer.cancelled]
    phase, slots = int(answer.phase), answer.slots
    return [answer.known, phase, answer.claims, cancelled, answer.accepted, slots]


def unpack_answer(packed: Any) -> Answer:
    """Check and return; ValueError."""
    match packed:
        case [bool(known), int(phase), list(claims), list(cancelled), bool(accepted), int(slots)]:
            held = [_claim(claim) for claim in claims]
            pairs = unpack_pairs(cancelled)
            return Answer(known, Phase(phase), held, pairs, accepted, max(0, slots))
    raise ValueError("not an answer")


def unpack_outcome(packed: Any) -> Outcome:
    """Check and return; ValueError. An outcome is sent as the tuple that it is."""
    if type(packed) is not list or tuple(map(type, packed)) != _OUTCOME:
        raise ValueError("not an outcome")
    _, _, ending, code, reason, started_at, seconds, user, system, kib, slot, pid, out, err = packed
    # No comparison holds for a float that is not a number.
    if (
        ending not in _ENDINGS
        or not 0 <= code <= 255
        or len(reason) > 4096
        or not 0 <= started_at <= _LATEST
        or not (0 <= seconds <= _MAX_SECONDS)
        or not (0 <= user <= _MAX_SECONDS and 0 <= system <= _MAX_SECONDS)
        or not (0 <= kib <= _MAX_KIB and 0 <= slot <= _MAX_SLOTS and 0 <= pid <= _LARGEST_PID)
        or len(out) > MAX_CAPTURED
        or len(err) > MAX_CAPTURED
    ):
        raise ValueError("not an outcome")
    packed[2] = _ENDINGS[ending]
    packed[4] = printable(reason)
    return Outcome(*packed)


def unpack_begun(packed: Any) -> Begun:
    """Check and return; ValueError. A task that has begun is sent as the tuple that it is."""
    if type(packed) is not list or tuple(map(type, packed)) != _BEGUN:
        raise ValueError("not a task that has begun")
    _, _, started_at, slot, pid = packed
    if (
        not 0 <= started_at <= _LATEST
        or not 0 <= slot <= _MAX_SLOTS
        or not 0 <= pid <= _LARGEST_PID
    ):
        raise ValueError("not a task that has begun")
    return Begun(*packed)


def unpack_pairs(packed: Any) -> tuple[tuple[int, int], ...]:
    """Check and return tasks, each an id and a lease; ValueError."""
    if type(packed) is not list:
        raise ValueError("not a list of tasks")
    for pair in packed:
        match pair:
            case [int(), int()]:
                continue
        raise ValueError("not a pair of numbers")
    return tuple((pair[0], pair[1]) for pair in packed)


def unpack_unwritten(packed: Any) -> Unwritten:
    """Check and return; ValueError. It is sent as the tuple that it is."""
    match packed:
        case [int(lines), int(size), str(reason), bool(is_final)] if (
            0 <= lines <= size <= _MOST_BYTES and len(reason) <= 200
        ):
            return Unwritten(lines, size, printable(reason), is_final)
    raise ValueError("not what was unwritten")


def printable(text: str) -> str:
    """Text from a peer, made safe to store and to show."""
    return visible(text, stand_in="?")


def _claim(packed: Any) -> Claim:
    if type(packed) is list and tuple(map(type, packed)) == _CLAIM:
        if packed[4]:
            unpack_spec(packed[4])
        return Claim(*packed)
    raise ValueError("not a claim")


def _held(packed: list[Any]) -> tuple[tuple[int, int, bool], ...]:
    for each in packed:
        match each:
            case [int(), int(), bool()]:
                continue
        raise ValueError("not a task that a client holds")
    return tuple((each[0], each[1], each[2]) for each in packed)
