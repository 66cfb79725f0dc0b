"""What a seed says of a world: how large it is, what its lines do, and what goes wrong when.

The list of events is data, so a failing seed can be shrunk to the few that matter: an event that is
left out changes nothing about the others. `PROFILES` weighs kinds of events, as faults that are
rare together find little.
"""

import math
import random
from typing import NamedTuple

from tests.sim.tasks import Behaviour

CORES = 4
"""That each client offers where tasks have needs."""

HEALED_AT = 30.0
"""Seconds after which nothing goes wrong any more."""


class Event(NamedTuple):
    """Something that happens to the world: what, when, to whom, and for how long or how much."""

    at: float
    kind: str
    who: int
    value: float

    def __str__(self) -> str:
        return f"{self.at:8.3f} s  {self.kind} #{self.who} {self.value:.3f}"


class Plan(NamedTuple):
    """A world before it begins. Times are in seconds; `slow` is of a thousand messages."""

    seed: int
    database: bool
    lines: int
    line_times: tuple[float, ...]
    slots: tuple[int, ...]
    lease: float
    grace: float
    wait: float
    bundlesize: int
    bundlewait: float
    retries: int
    max_lost: int
    eager: bool
    slow: float
    preempt_every: float
    events: tuple[Event, ...]
    takes_restart: bool
    long_share: float
    """Of tasks that run for seconds."""
    profile: str

    @property
    def with_needs(self) -> bool:
        """Whether tasks ask for cores, which clients offer: of every fourth seed."""
        return self.seed % 4 == 3

    @property
    def retry_delay(self) -> tuple[float, float] | None:
        """How long retries wait, if they do: of every fourth seed."""
        return (0.5, 4.0) if self.seed % 4 == 1 else None


CLIENT_FAULTS = {
    "kill client": 3, "kill supervisor": 2, "kill both": 2, "crash machine": 1,
    "freeze client": 4, "freeze supervisor": 1, "freeze machine": 1, "suspend machine": 1,
    "signal client": 2, "signal all of client": 3,
}  # fmt: skip

NETWORK_FAULTS = {
    "block in": 3, "block out": 3, "block both": 3, "cut": 4, "lose answers": 5, "slow": 2,
}  # fmt: skip

OTHERS = {
    "new client": 4,
    "busy machine": 2,
    "overload machine": 1,
    "no memory": 1,
    "step clock": 1,
}

SERVER_FAULTS = {"kill server": 5, "crash server": 3, "freeze server": 3, "disk full": 2,
                 "disk slow": 3, "power failure": 1}  # fmt: skip

USERS = {"submit": 3, "cancel": 2, "retry": 2, "wait": 4, "poll": 1, "stop": 2, "drain": 2,
         "signal server": 2, "signal farm": 2}  # fmt: skip

PROFILES: dict[str, dict[str, int]] = {
    "calm": {"new client": 2, "submit": 2, "wait": 2, "cut": 1},
    "clients": CLIENT_FAULTS | OTHERS,
    "network": NETWORK_FAULTS | OTHERS | {"freeze client": 3},
    "cut off": {"block in": 2, "block out": 2, "block both": 3, "busy machine": 2,
                "overload machine": 6, "kill client": 3, "slow": 1, "new client": 2},
    "ends": {"freeze and stop": 8, "stop": 4, "drain": 4, "signal server": 4, "signal farm": 4,
             "freeze client": 5, "new client": 3, "wait": 2, "block both": 2, "kill server": 2},
    "waits": {"wait": 3, "disk slow": 2, "power failure": 8, "kill server": 2, "kill client": 2},
    "server": SERVER_FAULTS | {"new client": 2, "cut": 2, "wait": 4, "lose answers": 3,
                               "freeze client": 3, "submit": 2},
    "all": CLIENT_FAULTS | NETWORK_FAULTS | OTHERS | SERVER_FAULTS | USERS,
}  # fmt: skip


def make_plan(seed: int, database: bool) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"plan {seed} {database}")
    lines = rng.choice((5, 15, 30, 30, 30))
    lease = rng.choice((2.0, 3.0, 5.0, 10.0))
    profile = rng.choice(tuple(PROFILES))
    number = min(12, int(rng.expovariate(1 / 4.0)))
    end = rng.choice((3.0, 8.0, HEALED_AT))
    events = [_event(rng, profile, end, database) for _ in range(number)]
    if profile == "waits":
        events.append(Event(0.1, "poll", 0, HEALED_AT))  # a script asks all the time
    plan = Plan(
        seed,
        database,
        lines,
        _line_times(rng, lines),
        tuple(rng.choice((1, 2, 4)) for _ in range(rng.choice((1, 2, 3, 3)))),
        lease,
        rng.choice((0.2, 0.5)) if lease < 5 else rng.choice((0.5, 1.0, 2.0)),
        rng.choice((5.0, 20.0, 60.0)),
        rng.choice((1, 1, 2, 5)),
        rng.choice((0.1, 1.0, 5.0)),
        rng.choice((0, 0, 1, 3)),
        rng.choice((1, 2, 3, 3)),
        rng.random() < 0.3,
        rng.choice((0.0, 5.0, 50.0)),
        rng.choice((0.0, 30.0, 200.0)),
        tuple(sorted(events)),
        rng.random() < 0.3,
        rng.choice((0.02, 0.05, 0.3)),
        profile,
    )
    if profile == "cut off":
        # Tasks run when a lease is over, and another client has nothing else to do.
        short = {"lease": min(lease, 3.0), "grace": 0.2, "long_share": 0.6}
        few = {"lines": min(lines, 8), "line_times": plan.line_times[:8], "slots": (2, 2, 4)}
        return plan._replace(**short, **few)
    return plan


def resized(plan: Plan, clients: int, lines: int) -> Plan:
    """The plan for a farm of exactly so many clients and lines."""
    rng = random.Random(f"size {plan.seed}")
    slots = tuple(rng.choice((1, 2, 4)) for _ in range(clients))
    return plan._replace(slots=slots, lines=lines, line_times=_line_times(rng, lines))


def _line_times(rng: random.Random, lines: int) -> tuple[float, ...]:
    """When each line is there: all at once, or as a producer writes them."""
    if rng.random() < 0.6:
        return (0.0,) * lines
    pace = rng.choice((0.02, 0.1, 0.4))
    at, times = 0.0, []
    for _ in range(lines):
        at += rng.expovariate(1 / pace)
        times.append(at)
    return tuple(times)


def _event(rng: random.Random, profile: str, end: float, database: bool) -> Event:
    weights = PROFILES[profile]
    if not database:
        without = SERVER_FAULTS.keys() - {"freeze server"}
        weights = {kind: w for kind, w in weights.items() if kind not in without}
    kind = rng.choices(tuple(weights), tuple(weights.values()))[0]
    value = rng.choice((rng.uniform(0.01, 1.0), rng.uniform(1.0, 6.0), rng.uniform(3.0, 25.0)))
    at = rng.uniform(0.0, 1.5) if rng.random() < 0.4 else rng.uniform(0.0, end)
    return Event(round(at, 4), kind, rng.randrange(8), round(value, 4))


def behaviour(seed: int, line: bytes, attempt: int, long_share: float) -> Behaviour:
    """What an attempt at a line does."""
    rng = random.Random(f"{seed} {line!r} {attempt}")
    kind = rng.random()
    if kind < 0.7:
        seconds = rng.uniform(0.002, 0.1)
    elif kind < 1.0 - long_share:
        seconds = rng.uniform(0.1, 1.0)
    else:
        seconds = rng.uniform(1.0, 6.0)
    code, signal, kills = 0, 0, None
    how = rng.random()
    if how < 0.12:
        code = 1
    elif how < 0.14:
        code = 143
    elif how < 0.17:
        signal = rng.choice((11, 15))
    elif how < 0.18:
        kills = seconds * rng.random()
    heeds = rng.uniform(0.001, 0.05)
    stubborn = rng.random()
    if stubborn < 0.1:
        heeds = math.inf
    elif stubborn < 0.2:
        heeds = rng.uniform(0.2, 3.0)
    background, escapes = 0.0, False
    if rng.random() < 0.07:
        background, escapes = rng.uniform(0.05, 5.0), rng.random() < 0.2
    return Behaviour(seconds, code, signal, heeds, background, escapes, kills)
