"""Runs tasks: takes claims from the desk, leaves outcomes there. One thread for all slots."""

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Iterable

from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.spawn import (
    SHORT_OF,
    Child,
    Spawner,
    kill_strays,
    reap,
    signal_group,
)
from hypershell.client.tasks.stopper import TaskStopper
from hypershell.client.tasks.watch import Watch
from hypershell.core.errors import TasksUnstartable
from hypershell.core.task import Claim, Ending, Outcome

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.05
_STRAYS_SECONDS = 0.5
_MAX_STARTED_AT_ONCE = 64


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
        self._stopper = TaskStopper()
        self._short_since: float | None = None
        self._orders: deque[float | None] = deque()  # seconds of grace to stop in, None to resume
        self._cancels: deque[list[tuple[int, int]]] = deque()
        self._stopping = False
        self._resume_asked = False
        self._gone: list[Outcome] = []  # of tasks that were ended
        self._said_broken = False
        for descriptor in output.streams:
            watch.add_pipe(descriptor)

    def attach(self, buffer: TaskBuffer) -> None:
        """Where claims come from and outcomes go."""
        self._buffer = buffer

    def wake(self) -> None:
        """There may be something to do."""
        self._watch.wake()

    def stop_tasks(self, grace_seconds: float | None = None) -> None:
        """Stop all that runs: TERM to each process group, KILL after the grace. Returns at once."""
        self._orders.append(self._grace_seconds if grace_seconds is None else grace_seconds)
        self._watch.wake()

    def cancel_tasks(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Stop those that run under these (task id, lease), and no others. Returns at once."""
        self._cancels.append(list(pairs))
        self._watch.wake()

    def resume(self) -> None:
        """Run tasks again, as soon as all that are being stopped are gone. Returns at once."""
        self._orders.append(None)
        self._watch.wake()

    def stopping(self) -> bool:
        """Whether tasks are being stopped, or are to be."""
        return self._stopping or any(o is not None for o in list(self._orders))

    def one_pass(self) -> bool:
        """Start what can be started, wait until something happens, and deal with it."""
        self._take_orders()
        if not self._stopping:
            self._fill_slots()
        self._collect_ended(*self._watch.wait(self._patience()))
        if self._stopper:
            self._end_victims()
        return True

    def _take_orders(self) -> None:
        """Orders come from other threads; what they change is changed here alone."""
        obeys = bool(self._cancels or self._orders)
        while self._cancels:
            self._cancel(self._cancels.popleft())
        while self._orders:
            grace_seconds = self._orders.popleft()
            self._resume_asked = grace_seconds is None
            if grace_seconds is not None:
                self._stop(grace_seconds)
        if self._resume_asked and not self._children:
            self._resume_asked = self._stopping = False
        if obeys:
            self._watch.wake()  # to obey is to look, by which another wake may have been lost

    def _collect_ended(self, ended: list[Child], readable: list[int]) -> None:
        self._forward(readable)
        if not ended:
            return
        outcomes = []
        for child in ended:
            self._watch.remove(child)
            if child in self._stopper:
                self._stopper.ended[child] = None
            else:
                outcomes.append(self._collect(child))
        if outcomes:
            self._buffer.put_outcomes(outcomes)

    def _forward(self, readable: list[int]) -> None:
        for descriptor in readable:
            if not self._output.forward(descriptor):
                self._watch.remove_pipe(descriptor)
                self._output.drop(descriptor)
        if readable:
            self._check_output()

    def _patience(self) -> float | None:
        if self._short_since is not None:
            return _LOOK_AGAIN_SECONDS
        return self._stopper.patience()

    def _fill_slots(self) -> None:
        started = 0
        while self._free and started < _MAX_STARTED_AT_ONCE:
            claim = self._buffer.start_next()
            if claim is None:
                return
            slot = self._free.popleft()
            try:
                child = self._start(claim, slot)
            except OSError as error:
                self._free.appendleft(slot)
                if error.errno in SHORT_OF:
                    self._buffer.put_back(claim)
                    self._wait_for_room(error)
                    return
                self._buffer.put_outcomes([_unstartable(claim, error, slot)])
                continue
            self._children[child] = None
            self._short_since = None
            started += 1
        if started == _MAX_STARTED_AT_ONCE:
            self._watch.wake()  # go on after a look at what has ended meanwhile

    def _start(self, claim: Claim, slot: int) -> Child:
        if claim.captured:
            child = self._spawn_captured(claim, slot)
        else:
            child = self._spawner.spawn(claim, slot, *self._output.ends(slot))
        try:
            self._watch.add(child)
        except OSError:
            signal_group(child, signal.SIGKILL)  # what cannot be watched must not run
            reap(child)
            raise
        return child

    def _spawn_captured(self, claim: Claim, slot: int) -> Child:
        out, err = self._output.capture(slot)
        try:
            self._watch.add_pipe(out.read_end)
            self._watch.add_pipe(err.read_end)
            return self._spawner.spawn(claim, slot, out.write_end, err.write_end)
        except OSError:
            self._output.finish(slot)
            raise
        finally:
            out.started()
            err.started()

    def _wait_for_room(self, error: OSError) -> None:
        """The machine is short of what a task needs; TasksUnstartable when it stays so."""
        now = time.monotonic()
        if self._short_since is None:
            self._short_since = now
            log.warning("cannot start a task at the moment: %s", (error.strerror or "").lower())
        if not self._children and now - self._short_since > self._grace_seconds:
            # The lines are not at fault: other machines may run them.
            raise TasksUnstartable(reason=(error.strerror or "").lower()) from error

    def _collect(self, child: Child) -> Outcome:
        """The outcome of a child that has ended and is not watched any more."""
        out, err = self._output.finish(child.slot)
        outcome = reap(child)
        self._children.pop(child, None)
        self._free.append(child.slot)
        if (out or err) and (child.claim.captured or not outcome.ok):
            outcome = outcome._replace(out=out, err=err)
        return outcome

    # Stopping.

    def _stop(self, grace_seconds: float) -> None:
        if not self._stopping:
            self._collect_ended(*self._watch.wait(0))  # what has ended by itself is no victim
        self._stopping = True
        kill_at = time.monotonic() + grace_seconds
        for child in self._children:
            self._stopper.add(child, Ending.INTERRUPTED, kill_at)

    def _cancel(self, pairs: list[tuple[int, int]]) -> None:
        self._collect_ended(*self._watch.wait(0))  # what has ended by itself is no victim
        children = {(child.claim.task_id, child.claim.lease): child for child in self._children}
        kill_at = time.monotonic() + self._grace_seconds
        for pair in pairs:
            if pair in children:
                self._stopper.add(children[pair], Ending.CANCELLED, kill_at)
        # It may have been put back meanwhile, for want of what it takes to start it.
        self._buffer.cancel(pair for pair in pairs if pair not in children)

    def _end_victims(self) -> None:
        """Collect tasks that are wholly gone."""
        gone = self._stopper.look(self._spawner.client_id)
        if gone:
            self._forward(self._watch.wait(0)[1])  # their last words
        for child, ending in gone:
            self._gone.append(self._collect(child)._replace(ending=ending))
        if self._gone and not (self._stopping and self._children):
            self._tell_gone()

    def _tell_gone(self) -> None:
        """Whoever is told that these ended may start them again: first end what left its group."""
        deadline = time.monotonic() + _STRAYS_SECONDS
        while (
            self._stopping and kill_strays(self._spawner.client_id) and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        self._buffer.put_outcomes(self._gone)
        self._gone = []

    def _check_output(self) -> None:
        error = self._output.error()
        if error and not self._said_broken:
            self._said_broken = True
            log.error("cannot write the output of tasks: %s", os.strerror(error).lower())


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
