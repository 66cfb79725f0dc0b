"""Runs tasks: takes claims from the desk, leaves outcomes there. One thread for all slots."""

import logging
import os
import signal
import time
from collections import deque

from hypershell.client.desk import Desk
from hypershell.client.output import Output
from hypershell.client.process import (
    SHORT_OF,
    Child,
    Spawner,
    kill_strays,
    live_groups,
    reap,
    signal_group,
)
from hypershell.client.watch import Watch
from hypershell.core.errors import TasksUnstartable
from hypershell.core.task import Claim, Ending, Outcome

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.05
_STRAYS_SECONDS = 0.5
_MOST_STARTED_AT_ONCE = 64


class Executor:
    """Fills the slots, reaps what ends, and stops what must be stopped."""

    def __init__(
        self, slots: int, spawner: Spawner, output: Output, watch: Watch, grace_seconds: float
    ) -> None:
        self._spawner = spawner
        self._output = output
        self._watch = watch
        self._grace_seconds = grace_seconds
        self._free = deque(range(1, slots + 1))
        self._children: dict[Child, None] = {}
        self._dying: dict[Child, None] = {}  # leaders that ended while their group is being stopped
        self._short_since: float | None = None
        self._orders: deque[float | None] = deque()  # seconds of grace to stop in, None to resume
        self._stop_asked: float | None = None
        self._kill_at: float | None = None
        self._resume_asked = False
        self._interrupted: list[Outcome] = []
        self._said_broken = False
        for descriptor in output.streams:
            watch.add_pipe(descriptor)

    def attach(self, desk: Desk) -> None:
        """Where claims come from and outcomes go."""
        self._desk = desk

    def wake(self) -> None:
        """There may be something to do."""
        self._watch.wake()

    def stop_tasks(self, grace_seconds: float | None = None) -> None:
        """Stop all that runs: TERM to each process group, KILL after the grace. Returns at once."""
        self._orders.append(self._grace_seconds if grace_seconds is None else grace_seconds)
        self._watch.wake()

    def resume(self) -> None:
        """Run tasks again, as soon as all that are being stopped are gone. Returns at once."""
        self._orders.append(None)
        self._watch.wake()

    def stopping(self) -> bool:
        """Whether tasks are being stopped, or are to be."""
        return self._stop_asked is not None or any(o is not None for o in list(self._orders))

    def one_pass(self) -> bool:
        """Start what can be started, wait until something happens, and deal with it."""
        self._take_orders()
        if self._stop_asked is None:
            self._fill_slots()
        elif self._kill_at is None:
            self._collect_ended(*self._watch.wait(0))  # what has ended by itself is no victim
            self._terminate(self._stop_asked)
        ended, readable = self._watch.wait(self._patience())
        if self._kill_at is None:
            self._collect_ended(ended, readable)
        else:
            self._forward(readable)
            self._end_stopped(ended)
        return True

    def _take_orders(self) -> None:
        """Orders come from other threads; what they change is changed here alone."""
        while self._orders:
            grace_seconds = self._orders.popleft()
            self._resume_asked = grace_seconds is None
            if grace_seconds is not None:
                self._stop_asked = grace_seconds
                if self._kill_at is not None:
                    self._kill_at = min(self._kill_at, time.monotonic() + grace_seconds)
        if self._resume_asked and not self._children:
            self._resume_asked = False
            self._stop_asked = self._kill_at = None

    def _collect_ended(self, ended: list[Child], readable: list[int]) -> None:
        self._forward(readable)
        if ended:
            self._desk.put_outcomes([self._collect(child) for child in ended])

    def _forward(self, readable: list[int]) -> None:
        for descriptor in readable:
            self._output.forward(descriptor)
        if readable:
            self._check_output()

    def _patience(self) -> float | None:
        if self._kill_at is not None or self._short_since is not None:
            return _LOOK_AGAIN_SECONDS
        return None

    def _fill_slots(self) -> None:
        started = 0
        while self._free and started < _MOST_STARTED_AT_ONCE:
            claim = self._desk.start_next()
            if claim is None:
                return
            slot = self._free.popleft()
            try:
                child = self._start(claim, slot)
            except OSError as error:
                self._free.appendleft(slot)
                if error.errno in SHORT_OF:
                    self._desk.put_back(claim)
                    self._wait_for_room(error)
                    return
                self._desk.put_outcomes([_unstartable(claim, error, slot)])
                continue
            self._children[child] = None
            self._short_since = None
            started += 1
        if started == _MOST_STARTED_AT_ONCE:
            self._watch.wake()  # go on after a look at what has ended meanwhile

    def _start(self, claim: Claim, slot: int) -> Child:
        child = self._spawner.spawn(claim, slot, *self._output.ends(slot))
        try:
            self._watch.add(child)
        except OSError:
            signal_group(child, signal.SIGKILL)  # what cannot be watched must not run
            reap(child)
            raise
        return child

    def _wait_for_room(self, error: OSError) -> None:
        """The machine is short of what a task needs; TasksUnstartable when it stays so."""
        now = time.monotonic()
        if self._short_since is None:
            self._short_since = now
            log.warning("cannot start a task now: %s", (error.strerror or "").lower())
        if not self._children and now - self._short_since > self._grace_seconds:
            # The lines are not at fault: other machines may run them.
            raise TasksUnstartable(reason=(error.strerror or "").lower()) from error

    def _collect(self, child: Child) -> Outcome:
        self._watch.remove(child)
        self._output.finish(child.slot)
        outcome = reap(child)
        self._children.pop(child, None)
        self._free.append(child.slot)
        return outcome

    # Stopping.

    def _terminate(self, grace_seconds: float) -> None:
        for child in self._children:
            signal_group(child, signal.SIGTERM)
            # A task that was stopped by a signal must run to see that it is to end.
            signal_group(child, signal.SIGCONT)
        self._kill_at = time.monotonic() + grace_seconds

    def _end_stopped(self, ended: list[Child]) -> None:
        """Collect tasks that are wholly gone; once the grace is over, make them so.

        A leader that ended is not reaped while others of its group live: its number is what the
        group is signaled by.
        """
        assert self._kill_at is not None
        kill = time.monotonic() >= self._kill_at
        for child in ended:
            self._dying[child] = None
        if kill:
            for child in self._children:
                signal_group(child, signal.SIGKILL)
        alive = live_groups() if self._dying and not kill else set()
        gone = [child for child in self._dying if child.pid not in alive]
        for child in gone:
            del self._dying[child]
            self._interrupted.append(self._collect(child)._replace(ending=Ending.INTERRUPTED))
        if self._interrupted and not self._children:
            self._tell_interrupted()
        if ended and not gone:
            time.sleep(0.02)  # an ended leader polls as readable until it is reaped

    def _tell_interrupted(self) -> None:
        """Whoever is told that these ended may start them again: first end what left its group."""
        deadline = time.monotonic() + _STRAYS_SECONDS
        while kill_strays(self._spawner.client_id) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._desk.put_outcomes(self._interrupted)
        self._interrupted = []

    def _check_output(self) -> None:
        error = self._output.error()
        if error and not self._said_broken:
            self._said_broken = True
            log.error("cannot write what tasks print: %s", os.strerror(error).lower())


def _unstartable(claim: Claim, error: OSError, slot: int) -> Outcome:
    log.error("task %d could not be started: %s", claim.task_id, error.strerror)
    return Outcome(
        claim.task_id,
        claim.lease,
        Ending.UNSTARTABLE,
        reason=(error.strerror or str(error)).lower(),
        started_at=time.time(),
        slot=slot,
    )
