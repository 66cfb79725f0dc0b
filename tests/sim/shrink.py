"""Makes a plan that breaks a rule as small as it can, and writes and reads plans.

What matters in a plan is its events: those that can be left out, with the same rule still broken,
are. Then there are fewer clients and lines. A plan is kept as JSON, so that it means the same when
seeds come to mean other plans.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.sim.plan import Event, Plan

Breaks = Callable[[Plan], bool]


def shrink(plan: Plan, breaks: Breaks, seconds: float) -> Plan:
    """The smallest plan found in that time for which `breaks` is true; it is of this one."""
    deadline = time.monotonic() + seconds
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(plan):
            if time.monotonic() > deadline:
                return plan
            if breaks(candidate):
                plan, smaller = candidate, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans that are a little smaller, the most so first."""
    events = plan.events
    size = len(events)
    while size:
        for at in range(0, len(events), size):
            yield plan._replace(events=events[:at] + events[at + size :])
        size //= 2
    for number in range(len(plan.slots)):
        if len(plan.slots) > 1:
            yield plan._replace(slots=plan.slots[:number] + plan.slots[number + 1 :])
    for lines in (plan.lines // 2, plan.lines - 1):
        if 0 < lines < plan.lines:
            yield plan._replace(lines=lines, line_times=plan.line_times[:lines])
    for change in ({"slow": 0.0}, {"preempt_every": 0.0}, {"line_times": (0.0,) * plan.lines}):
        smaller = plan._replace(**change)  # type: ignore[arg-type]
        if smaller != plan:
            yield smaller


def save(plan: Plan, path: Path, rule: str) -> None:
    """Write a plan that broke a rule."""
    path.write_text(json.dumps({"rule": rule} | plan._asdict(), indent=1) + "\n")


def load(path: Path) -> Plan:
    """Read a plan."""
    values = json.loads(path.read_text())
    del values["rule"]
    values["events"] = tuple(Event(*event) for event in values["events"])
    values["slots"], values["line_times"] = tuple(values["slots"]), tuple(values["line_times"])
    return Plan(**values)
