"""Runs worlds by the thousand, and says what it found.

A seed that breaks a rule is made as small as it can be, and shown as a timeline of what happened.

Usage: make sim
       .ci/make sim [--memory | --database] [options]
       .ci/make sim --replay SEED [--database]
       .ci/make sim --plan FILE

  --seconds NUM    for how long: half of it without and half with a database  [default: 60]
  --seeds A:B      these seeds, however long it takes, in place of new ones
  --memory         only without a database
  --database       only with one
  --jobs NUM       processes at a time; as many as there are cores if it is 0  [default: 0]
  --farm SIZE      only farms of so many clients and tasks, such as 3x30; else of various sizes
  --stop-at-first  end soon after the first seed that breaks a rule
  --no-timeline    name the seeds that break a rule, and show no more of them
  --save-to DIR    write each plan that breaks a rule to a file there
  --coverage       say which pairs of state and event were met, and how often
  --replay SEED    one seed, with its timeline
  --plan FILE      one plan that was saved, with its timeline

The exit status is 1 if a rule was broken.
"""

import gc
import logging
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import docopt

from tests.sim.books import Broken
from tests.sim.plan import Plan, make_plan, resized

_CHUNK = {False: 40, True: 8}
_SHRINK_SECONDS = 30.0
_KIND = {False: "--memory", True: "--database"}


class Seeds(NamedTuple):
    """Which plan each seed means: with a database or without, of farms of one size or of many."""

    database: bool
    size: tuple[int, int] | None = None

    def plan(self, seed: int) -> Plan:
        """The plan of a seed."""
        plan = make_plan(seed, self.database)
        return plan if self.size is None else resized(plan, *self.size)


class Done(NamedTuple):
    """What some seeds came to: how many, their steps, what they met, which broke which rule."""

    seeds: int
    steps: int
    coverage: Counter[tuple[str, str]]
    broken: list[tuple[int, str, str]]
    excused: Counter[str]


NOTHING = Done(0, 0, Counter(), [], Counter())


def run_seeds(start: int, number: int, seeds: Seeds) -> Done:
    """Run some seeds in this process."""
    from tests.sim.simulation import quiet, run_plan, simulated

    quiet()
    gc.set_threshold(50_000, 50, 100)
    steps, coverage, broken = 0, Counter[tuple[str, str]](), []
    excused = Counter[str]()
    with simulated(seeds.database):
        for seed in range(start, start + number):
            world, failure = run_plan(seeds.plan(seed))
            steps += world.scheduler.steps
            coverage += world.coverage
            excused += world.books.excused
            if failure is not None:
                broken.append((seed, failure.rule, str(failure)))
    return Done(number, steps, coverage, broken, excused)


def add(one: Done, other: Done) -> Done:
    """Both together."""
    return Done(*(a + b for a, b in zip(one, other, strict=True)))


def run_many(
    start: int, count: int | None, seconds: float, seeds: Seeds, jobs: int, first_only: bool
) -> tuple[Done, float]:
    """Run seeds in several processes: so many, or for so long; and how many seconds it took."""
    begin, total, size = time.monotonic(), NOTHING, _CHUNK[seeds.database]
    next_seed, end = start, None if count is None else start + count
    pending: set[Future[Done]] = set()
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        while True:
            is_late = count is None and time.monotonic() - begin > seconds
            stops = is_late or (first_only and bool(total.broken))
            while not stops and len(pending) < jobs + 1 and (end is None or next_seed < end):
                number = size if end is None else min(size, end - next_seed)
                pending.add(pool.submit(run_seeds, next_seed, number, seeds))
                next_seed += number
            if not pending:
                return total, time.monotonic() - begin
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for each in done:
                total = add(total, each.result())


def show(plan: Plan) -> Broken | None:
    """Run one plan, and print what happens in it."""
    from tests.sim import simulation

    def tell(at: float, who: str, what: str) -> None:
        print(f"{at:9.4f}  {who:20} {what}", flush=True)

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            world = simulation.current()
            if world is not None:
                current = world.scheduler.current
                who = "world" if current is None else current.process.name
                tell(world.scheduler.now, who, record.getMessage())

    logging.disable(logging.NOTSET)
    handler = Log()
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    try:
        with simulation.simulated(plan.database):
            _, broken = simulation.run_plan(plan, tell)
    finally:
        logging.getLogger().removeHandler(handler)
    print(f"broken: {broken}" if broken else "no rule was broken")
    return broken


def shrunk(plan: Plan, rule: str) -> Plan:
    """The same with fewer events, lines and clients, as long as it breaks that rule."""
    from tests.sim.shrink import shrink
    from tests.sim.simulation import quiet, run_plan, simulated

    quiet()

    def breaks(candidate: Plan) -> bool:
        _, broken = run_plan(candidate)
        return broken is not None and broken.rule == rule

    with simulated(plan.database):
        return shrink(plan, breaks, _SHRINK_SECONDS)


def report(name: str, done: Done, seconds: float, jobs: int) -> None:
    """Say how many seeds there were, and what they met."""
    rate = done.seeds / seconds if seconds else 0.0
    print(
        f"{name}: {done.seeds} seeds, {done.steps} steps in {seconds:.0f} s: {rate:.1f} seeds a "
        f"second with {jobs} processes; {len(done.coverage)} pairs of state and event met; "
        f"{len(done.broken)} broken",
        flush=True,
    )


def explain(done: Done, seeds: Seeds, *, timeline: bool, save_to: Path | None) -> None:
    """Show the first seed of each rule that was broken, as small as it can be made."""
    kind = "database" if seeds.database else "memory"
    rules: dict[str, int] = {}
    for seed, rule, text in sorted(done.broken):
        print(f"seed {seed} ({kind}): {text}")
        rules.setdefault(rule, seed)
    for rule, seed in rules.items() if timeline else ():
        plan = shrunk(seeds.plan(seed), rule)
        print(f"\nseed {seed}, made smaller: {len(plan.events)} events, {plan.lines} lines")
        for event in plan.events:
            print(f"  {event}")
        show(plan)
        if save_to is not None:
            from tests.sim.shrink import save

            save(plan, save_to / f"{kind}-{seed}.json", rule)


def main() -> int:
    """Do what the command line says; 1 if a rule was broken."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order in sets of strings is chance of which no seed knows.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim.run", *sys.argv[1:]])
    options: dict[str, Any] = dict(docopt.docopt(_usage(), sys.argv[1:]))
    if options["--plan"]:
        from tests.sim.shrink import load

        return int(show(load(Path(options["--plan"]))) is not None)
    size = None if options["--farm"] is None else _size(options["--farm"])
    if options["--replay"]:
        plan = Seeds(options["--database"], size).plan(int(options["--replay"]))
        return int(show(plan) is not None)
    jobs = int(options["--jobs"]) or os.cpu_count() or 2
    only = [database for database in (False, True) if options[_KIND[database]]]
    kinds = only or [False, True]
    save_to = None if options["--save-to"] is None else Path(options["--save-to"])
    status = 0
    for database in kinds:
        start, count = random.SystemRandom().randrange(10**6, 10**9), None
        if options["--seeds"]:
            first, _, last = options["--seeds"].partition(":")
            start, count = int(first), int(last) - int(first)
        name = f"{'with a database' if database else 'in memory'}, seeds from {start}"
        seconds = float(options["--seconds"]) / len(kinds)
        seeds = Seeds(database, size)
        done, took = run_many(start, count, seconds, seeds, jobs, options["--stop-at-first"])
        report(name, done, took, jobs)
        if options["--coverage"]:
            show_coverage(done)
        if done.broken:
            status = 1
            explain(done, seeds, timeline=not options["--no-timeline"], save_to=save_to)
    return status


def _size(text: str) -> tuple[int, int]:
    """Clients and tasks, of 3x30."""
    clients, _, tasks = text.partition("x")
    return int(clients), int(tasks)


def show_coverage(done: Done) -> None:
    """Say which pairs of state and event were met, and by which exceptions tasks ran twice."""
    for (state, event), number in sorted(done.coverage.items()):
        print(f"  {state:20} {event:32} {number}")
    for excuse, number in sorted(done.excused.items()):
        print(f"  twice at the same time, as {excuse}: {number}")


def _usage() -> str:
    """What is said above, as docopt reads it: the program is called by one word."""
    text = (__doc__ or "").replace("make sim\n       .ci/make sim", "make-sim")
    return text.replace(".ci/make sim", "make-sim")


if __name__ == "__main__":
    sys.exit(main())
