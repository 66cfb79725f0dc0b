"""Ends a run by its `--halt` rule, once, when enough of its tasks have ended in the way it says."""

import logging

from hypershell.core.halt import HaltRule
from hypershell.core.state import TaskState
from hypershell.runtime import threads
from hypershell.server.events import EventBus, HaltMet, TasksFinal
from hypershell.server.state.scheduled_queue import ScheduledQueue

log = logging.getLogger(__name__)

_FINISHED = (TaskState.SUCCEEDED, TaskState.FAILED)


class Halting:
    """Counts the tasks that become final. Publishes HaltMet."""

    def __init__(self, rule: HaltRule, scheduled: ScheduledQueue, bus: EventBus) -> None:
        self._rule = rule
        self._scheduled = scheduled
        self._bus = bus
        self._lock = threads.lock("halting")
        self._counted = self._finished = 0
        self._is_met = False

    def note_final(self, event: TasksFinal) -> None:
        """Tasks became final; may be called by several threads."""
        rule = self._rule
        with self._lock:
            last = None
            for task_id, state in event.tasks:
                self._finished += state in _FINISHED
                self._counted += rule.counts(state)
                if rule.counts(state) and rule.is_met(self._counted, self._finished):
                    last = task_id
                    break
            if last is None or self._is_met:
                return
            self._is_met = True
            counted, finished = self._counted, self._finished
        share = f" of {finished}" if rule.is_share else ""
        log.warning(
            "ending the run by --halt %s: %d%s %s, the last of them task %d",
            *(rule.text, counted, share, rule.verb, last),
        )
        # Before the client that gave this outcome is answered: it would get another task.
        self._scheduled.hand_out_nothing_more()
        self._bus.publish(HaltMet, rule, last)
