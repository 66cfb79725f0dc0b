"""Runs tasks: takes claims from the task buffer, leaves outcomes there. One thread for all slots.

What is to be done is decided here and in `stopper`; it is done by the `Processes`, the `Watch` and
the `Output` that it is given.
"""

import heapq
import logging
from collections.abc import Collection, Iterable

from hypershell.access.errors import shown
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.grants import Grant, Grants
from hypershell.client.tasks.memory_watch import MemoryWatch, why_ended
from hypershell.client.tasks.orders import (
    Cancel,
    Continue,
    Orders,
    Pause,
    Resume,
    SetSlots,
    Stop,
)
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.pause import TaskPause
from hypershell.client.tasks.processes import Processes
from hypershell.client.tasks.spawn import SHORT_OF, Child
from hypershell.client.tasks.stopper import TaskStopper
from hypershell.client.tasks.task_directory import DirectoryRefused
from hypershell.client.tasks.time_limits import TimeLimits
from hypershell.client.tasks.watch import Watch
from hypershell.core.ending import Ending
from hypershell.core.errors import TasksUnstartable, system_reason
from hypershell.core.outcome import Outcome
from hypershell.core.resources import packed_needs
from hypershell.core.task import Claim
from hypershell.runtime import clock

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.05
_STRAYS_SECONDS = 0.5
_MAX_STARTED_AT_ONCE = 64
_MAX_SIGNAL = 64


class Executor:
    """Fills the slots, reaps what ends, and stops what must be stopped.

    All of it belongs to one thread; others tell it what they want by `orders`.
    """

    def __init__(
        self,
        slots: int,
        buffer: TaskBuffer,
        orders: Orders,
        processes: Processes,
        output: Output,
        watch: Watch,
        grace_seconds: float,
        grants: Grants | None = None,
    ) -> None:
        self._buffer = buffer
        self._orders = orders
        self._processes = processes
        self._output = output
        self._watch = watch
        self._grace_seconds = grace_seconds
        self._slots = slots
        self._free = list(range(1, slots + 1))  # a heap: a task has the lowest that is free
        self._children: dict[Child, None] = {}
        self._grants = grants or Grants()
        self._memory = MemoryWatch(processes)
        self._stopper = TaskStopper()
        self._time_limits = TimeLimits()
        self._pause = TaskPause(processes, self._stopper, self._time_limits)
        self._cancelled_in_pause: list[tuple[int, int]] = []
        self._short_since: float | None = None
        self._stopping = False
        self._resume_asked = False
        self._gone: list[Outcome] = []  # of tasks that were ended
        self._said_broken = False
        self._refused: set[str] = set()  # directories, each said once
        for descriptor in output.streams:
            watch.add_pipe(descriptor)
        orders.while_waiting = self._obey_pauses

    def running(self) -> list[Child]:
        """What was started and is not reaped."""
        return list(self._children)

    def one_pass(self) -> bool:
        """Start what can be started, wait until something happens, and deal with it."""
        if self._orders.pending or self._resume_asked:
            self._obey_orders()
        if not (self._stopping or self._pause.begun):
            self._fill_slots()
        self._collect_ended(*self._watch.wait(self._patience()))
        if self._pause.begun:
            return True
        if self._time_limits:
            self._end_overdue(clock.monotonic())
        if self._children and (now := clock.monotonic()) >= self._memory.look_at:
            self._end_too_large(now)
        if self._stopper:
            self._end_stopped()
        return True

    def _obey_orders(self) -> None:
        """Orders come from other threads; what they change is changed here alone."""
        pending = self._orders.pending
        obeyed = False
        while pending:
            obeyed = True
            match pending.popleft():
                case Cancel(pairs) if self._pause.begun:
                    self._cancelled_in_pause += pairs
                case Cancel(pairs):
                    self._cancel(pairs)
                case Stop(grace_seconds):
                    self._resume_asked = False
                    self._stop(grace_seconds)
                case Resume():
                    self._resume_asked = True
                case Pause() | Continue() as order:
                    self._pause_or_go_on(order)
                case SetSlots(slots):
                    self._add_slots(slots - self._slots)
        if self._resume_asked and not self._children:
            self._resume_asked = self._stopping = self._orders.stop_obeyed = False
        if obeyed:
            self._watch.wake()  # to obey is to look, by which another wake may have been lost

    def _add_slots(self, number: int) -> None:
        """More tasks may run at a time; that fewer do, the buffer sees to."""
        for descriptor in self._output.add_slots(number):
            self._watch.add_pipe(descriptor)
        for slot in range(self._slots + 1, self._slots + number + 1):
            heapq.heappush(self._free, slot)
        self._slots += number

    def _obey_pauses(self) -> None:
        """While a slow reader of output is waited for: it may stand still as well."""
        pending = self._orders.pending
        while pending and isinstance(order := pending[0], Pause | Continue):
            pending.popleft()
            self._pause_or_go_on(order)

    def _pause_or_go_on(self, order: Pause | Continue) -> None:
        if isinstance(order, Pause):
            self._pause.begin(self._children)
            order.done.set()
            return
        self._pause.end(self._children)
        if pairs := self._cancelled_in_pause:
            self._cancelled_in_pause = []
            self._cancel(pairs)

    def _collect_ended(self, ended: list[Child], readable: list[int]) -> None:
        self._forward(readable)
        if not ended:
            return
        outcomes = []
        for child in ended:
            self._watch.remove(child)
            if child in self._stopper:
                self._stopper.leader_ended(child)
                continue
            outcome = self._processes.reap(child)
            by_signal = outcome.code and _by_signal(outcome)
            if by_signal and self._memory.was_killed_for_memory(outcome):
                outcome = _out_of_memory(child, outcome)
            if by_signal and self._processes.outlived(child):
                self._end_rest(child, outcome)
            else:
                outcomes.append(self._collect(child, outcome))
        if outcomes:
            self._check_output()
            self._buffer.put_outcomes(outcomes)

    def _forward(self, readable: list[int]) -> None:
        for descriptor in readable:
            if not self._output.forward(descriptor):
                self._watch.remove_pipe(descriptor)
                self._output.drop(descriptor)
        if readable:
            self._check_output()

    def _patience(self) -> float | None:
        if self._pause.begun:
            return None
        if self._short_since is not None:
            return _LOOK_AGAIN_SECONDS
        now = clock.monotonic()
        until_memory = None
        if self._children:
            until_memory = self._memory.look_at - now
            until_memory = until_memory if until_memory > 0 else 0.0
        if not (self._stopper or self._time_limits or self._output.is_failing):
            return until_memory
        until_look = self._stopper.patience(now)
        until_limit = self._time_limits.patience(now) if self._time_limits else None
        until_retry = self._check_output()
        pauses = (until_look, until_limit, until_retry, until_memory)
        return min((s for s in pauses if s is not None), default=None)

    def _fill_slots(self) -> None:
        started = 0
        while self._free and started < _MAX_STARTED_AT_ONCE:
            claim = self._buffer.start_next()
            if claim is None:
                return
            slot = heapq.heappop(self._free)
            try:
                child = self._start(claim, slot)
            except DirectoryRefused as error:
                heapq.heappush(self._free, slot)
                self._give_back(claim, error)
                continue
            except OSError as error:
                heapq.heappush(self._free, slot)
                if error.errno in SHORT_OF:
                    self._buffer.put_back(claim)
                    self._wait_for_room(error)
                    return
                self._buffer.put_outcomes([_unstartable(claim, error, slot)])
                continue
            self._children[child] = None
            self._buffer.note_started(child)
            if (limit := claim.spec.timeout) is not None and not isinstance(limit, str):
                self._time_limits.add(child, limit)
            self._short_since = None
            started += 1
        if started == _MAX_STARTED_AT_ONCE:
            self._watch.wake()  # go on after a look at what has ended meanwhile

    def _give_back(self, claim: Claim, error: DirectoryRefused) -> None:
        """A claim whose directory cannot be entered here goes to another client, unstarted."""
        directory = claim.spec.cwd or ""
        if directory not in self._refused:
            self._refused.add(directory)
            log.info(
                "cannot enter %s: %s; its tasks are given back", shown(directory), error.reason
            )
        refusal = Outcome(claim.task_id, claim.lease, Ending.NO_DIRECTORY, reason=error.reason)
        self._buffer.put_outcomes([refusal])

    def _start(self, claim: Claim, slot: int) -> Child:
        needs = packed_needs(claim.packed_spec)
        grant = None if needs is None else self._grants.take(needs)
        try:
            if claim.spec.capture:
                child = self._spawn_captured(claim, slot, grant)
            else:
                child = self._processes.spawn(claim, slot, *self._output.ends(slot), grant)
            try:
                self._watch.add(child)
            except OSError:
                self._processes.kill([child])  # what cannot be watched must not run
                self._processes.reap(child)
                raise
        except OSError:
            if grant is not None:
                self._grants.release(grant)
            raise
        return child

    def _spawn_captured(self, claim: Claim, slot: int, grant: Grant | None) -> Child:
        out, err = self._output.capture(slot)
        try:
            self._watch.add_pipe(out.read_end)
            self._watch.add_pipe(err.read_end)
            return self._processes.spawn(claim, slot, out.write_end, err.write_end, grant)
        except OSError:
            self._output.finish(slot)
            raise
        finally:
            out.started()
            err.started()

    def _wait_for_room(self, error: OSError) -> None:
        """The machine is short of what a task needs; TasksUnstartable when it stays so."""
        now = clock.monotonic()
        if self._short_since is None:
            self._short_since = now
            log.warning("cannot start a task at the moment: %s", system_reason(error))
        if not self._children and now - self._short_since > self._grace_seconds:
            # The lines are not at fault: other machines may run them.
            raise TasksUnstartable(reason=system_reason(error)) from error

    def _collect(self, child: Child, outcome: Outcome) -> Outcome:
        """The outcome of a child that was reaped, with what it printed; its slot is free."""
        out, err = self._output.finish(child.slot)
        if child.claim.packed_spec and child.claim.spec.capture:
            for descriptor in self._output.excess():
                self._watch.remove_pipe(descriptor)
                self._output.drop(descriptor)
        self._children.pop(child, None)
        heapq.heappush(self._free, child.slot)
        if child.grant is not None:
            self._grants.release(child.grant)
        if child.peak_kib > outcome.peak_kib:
            outcome = outcome._replace(peak_kib=child.peak_kib)
        if (out or err) and (not outcome.ok or child.claim.spec.capture):
            outcome = outcome._replace(out=out, err=err)
        return outcome

    # Stopping.

    def _end_rest(self, child: Child, outcome: Outcome) -> None:
        """A signal killed the leader of a task, which others of its session have outlived.

        They are ended before its outcome is known: it may be run again then.
        """
        child.outcome = outcome
        self._end([child], outcome.ending, clock.monotonic() + self._grace_seconds)
        self._stopper.leader_ended(child)

    def _stop(self, grace_seconds: float) -> None:
        self._orders.stop_obeyed = True  # from here on no output waits for a slow reader
        if not self._stopping:
            self._collect_ended(*self._watch.wait(0))  # what has ended by itself is not stopped
        self._stopping = True
        if not self._children:
            self._processes.kill_strays()  # of tasks that ended before
        if self._pause.begun:
            grace_seconds = 0.0
            if pairs := self._cancelled_in_pause:
                self._cancelled_in_pause = []
                self._cancel(pairs)
        kill_at = clock.monotonic() + grace_seconds
        self._end(self._children, Ending.INTERRUPTED, kill_at)
        self._pause.end_dead(self._children)

    def _cancel(self, pairs: Collection[tuple[int, int]]) -> None:
        self._collect_ended(*self._watch.wait(0))  # what has ended by itself is not stopped
        children = {(child.claim.task_id, child.claim.lease): child for child in self._children}
        kill_at = clock.monotonic() + self._grace_seconds
        found = [children[pair] for pair in pairs if pair in children]
        self._end(found, Ending.CANCELLED, kill_at)
        # It may have been put back meanwhile, for want of what it takes to start it.
        self._buffer.cancel(pair for pair in pairs if pair not in children)

    def _end_overdue(self, now: float) -> None:
        """Stop the tasks whose time limit has passed."""
        overdue = self._time_limits.passed(now)
        if not overdue:
            return
        self._collect_ended(*self._watch.wait(0))  # what has ended by itself is not stopped
        running = [c for c in overdue if c in self._children and c not in self._stopper]
        self._end(running, Ending.TIMED_OUT, now + self._grace_seconds)

    def _end_too_large(self, now: float) -> None:
        """Kill the tasks that use more memory than they asked for."""
        running = [child for child in self._children if child not in self._stopper]
        if too_large := self._memory.look(running, now):
            self._collect_ended(*self._watch.wait(0))  # what has ended by itself is not ended
            running = [child for child in too_large if child in self._children]
            self._end(running, Ending.OUT_OF_MEMORY, now)

    def _end(self, children: Iterable[Child], ending: Ending, kill_at: float) -> None:
        new = [child for child in children if self._stopper.add(child, ending, kill_at)]
        if new and self._pause.begun:
            self._pause.kill(new)
        elif new:
            self._processes.terminate(new)

    def _end_stopped(self) -> None:
        """Kill those whose time is over, and collect those that are wholly gone."""
        gone = self._look_for_gone(clock.monotonic())
        if gone:
            self._forward(self._watch.wait(0)[1])  # their last words
        for child, ending in self._stopper.take(gone):
            outcome = child.outcome or self._processes.reap(child)
            if ending is Ending.OUT_OF_MEMORY:
                outcome = _out_of_memory(child, outcome)
            self._gone.append(self._collect(child, outcome)._replace(ending=ending))
        if self._gone and not (self._stopping and self._children):
            self._return_gone()

    def _look_for_gone(self, now: float) -> list[Child]:
        stopper, processes = self._stopper, self._processes
        if late := stopper.late(now):
            processes.kill(late)
        if not stopper.waits_for_sessions():
            return []
        gone = stopper.gone(now, processes.live_sessions())
        alone = stopper.stopped_alone(gone)
        if not alone or not processes.kill_strays({c.claim.task_id for c in alone}):
            return gone
        waiting = set(stopper.wait_for_strays(alone, now))
        return [child for child in gone if child not in waiting]

    def _return_gone(self) -> None:
        """Others may start these again as soon as they are known to have ended.

        So what left their sessions is ended first.
        """
        deadline = clock.monotonic() + _STRAYS_SECONDS
        while self._stopping and self._processes.kill_strays() and clock.monotonic() < deadline:
            clock.sleep(0.01)
        self._check_output()
        self._buffer.put_outcomes(self._gone)
        self._gone = []

    def _check_output(self) -> float | None:
        """See whether output can be written, and try again what could not; seconds until a try.

        Before outcomes are given: the server is not to end in the belief that all is written.
        """
        output = self._output
        if not (output.is_failing or output.has_failed()):
            return None
        pause = output.retry()
        unwritten = output.unwritten
        if unwritten is not None and not self._said_broken:
            log.error("cannot write the output of tasks: %s; retrying", unwritten.reason)
        elif unwritten is None and self._said_broken:
            log.info("the output of tasks is written again")
        self._said_broken = unwritten is not None
        return pause


def _by_signal(outcome: Outcome) -> bool:
    """Whether a signal that was not of ours killed a task, as the kernel or its shell tells it."""
    return outcome.ending is Ending.SIGNALED or 128 < outcome.code <= 128 + _MAX_SIGNAL


def _out_of_memory(child: Child, outcome: Outcome) -> Outcome:
    child.peak_kib = max(child.peak_kib, outcome.peak_kib)
    return outcome._replace(ending=Ending.OUT_OF_MEMORY, code=0, reason=why_ended(child))


def _unstartable(claim: Claim, error: OSError, slot: int) -> Outcome:
    log.error("task %d could not be started: %s", claim.task_id, error.strerror)
    return Outcome(
        claim.task_id,
        claim.lease,
        Ending.UNSTARTABLE,
        reason=system_reason(error),
        started_at=clock.wall(),
        slot=slot,
    )
