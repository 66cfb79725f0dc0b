"""The client plane of the server: what people and scripts call."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypershell.core.errors import ClientUnknown
from hypershell.core.query.selection import UNFINISHED, Changed, Selection
from hypershell.core.state import TaskState
from hypershell.core.submission import SubmitOptions, checked_lines
from hypershell.core.units import counted
from hypershell.runtime import clock
from hypershell.server.events import EventBus, StopAsked, TasksAdded, TasksChanged
from hypershell.server.planes.completion import CompletionWaiters
from hypershell.server.state.client import Client
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.errors import NoDatabase, StoreClosed
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.client_plane import MAX_EXPLAINED, MAX_SLOTS, MAX_WAIT, SUBMIT_SECONDS
from hypershell.wire.worker_messages import Phase

if TYPE_CHECKING:
    from hypershell.store.sql.patient import PatientQueries

log = logging.getLogger(__name__)

_WATCHED = 10_000
"""Ids that one wait looks out for at a time."""


class ClientService:
    """The object that serves the client plane. Its public methods, and nothing else, are the verbs.

    `facts` is what the server is known by; `has_capacity` waits that many seconds at most until
    there is capacity for a submission. Without a database `queries` is None. All arguments come
    from peers: each verb checks them and raises ValueError. It publishes TasksAdded, TasksChanged
    and StopAsked, each after the change is durable.
    """

    def __init__(
        self,
        store: TaskStore,
        registry: ClientRegistry,
        scheduled: ScheduledQueue,
        facts: dict[str, Any],
        bus: EventBus,
        has_capacity: Callable[[float], bool],
        completion: CompletionWaiters,
        queries: "PatientQueries | None" = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._scheduled = scheduled
        self._facts = facts
        self._bus = bus
        self._has_capacity = has_capacity
        self._completion = completion
        self._queries = queries

    def submit(self, lines: Any, submit_options: Any = None) -> list[int]:
        """Add all lines as tasks and return their ids; none if there is no capacity for a while."""
        how = SubmitOptions() if submit_options is None else SubmitOptions.unpack(submit_options)
        checked = checked_lines(lines)
        if how.spec.capture:
            self._database()  # what they print is stored in the database
        self._check_database()
        if self._scheduled.phase is not Phase.RUNNING:
            raise StoreClosed("the server is ending")
        if not self._has_capacity(SUBMIT_SECONDS):
            return []
        tasks = how.tasks(checked, self._store.new_id)
        self._store.add(tasks, how.tags, made_in=how.made_in)
        self._bus.publish(TasksAdded, len(tasks))
        return [task.id for task in tasks]

    # What is asked.

    def info(self) -> dict[str, Any]:
        """What the server is, its tasks by state, its clients."""
        counts = self._store.counts()
        tasks = {state.value: number for state, number in counts.shown().items()}
        clients = [_shown(client) for client in self._registry.clients()]
        facts = self._facts
        if self._queries is not None and (silent := self._queries.silent_seconds()):
            facts = facts | {
                "database": f"{facts['database']} (has not answered for {silent:.0f} s)"
            }
        if self._scheduled.is_held:
            facts = facts | {"paused": "yes"}
        return facts | {"tasks": tasks | {"retried": counts.retried}, "clients": clients}

    def count(self, selection: Any) -> int:
        """Count the tasks in a selection."""
        which = Selection.unpack(selection)
        return self._database().count(which)

    def rows(self, selection: Any, fields: Any, after: Any, limit: Any) -> list[Any]:
        """The fields of tasks after an id, and the last id of them, 0 if there are no more."""
        from hypershell.store.sql.queries import check_fields

        which, names = Selection.unpack(selection), check_fields(fields)
        limits = _whole(after), max(1, _whole(limit))
        rows, last = self._database().rows(which, names, *limits)
        return [rows, last]

    def task(self, task_id: Any) -> dict[str, Any] | None:
        """All of a task; None if there is none of that id."""
        number = _whole(task_id)
        return self._database().task(number)

    def explain(self, task_ids: Any) -> list[list[Any]]:
        """Why each of these tasks is not running: its id and the reasons, a line each."""
        if not isinstance(task_ids, list) or len(task_ids) > MAX_EXPLAINED:
            raise ValueError("not a list of ids")
        ids = [_whole(task_id) for task_id in task_ids]
        waiting, held = self._store.look_up(ids)
        reasons = self._scheduled.explain(waiting)
        holders = {i: c for c in self._registry.clients() for i in list(c.claims)}
        for client_id, task_id in self._store.unconfirmed_of(ids):
            reasons[task_id] = [f"it failed on client {client_id}, which is on trial"]
        for task in held:
            if (client := holders.get(task.id)) is not None:
                reasons[task.id] = [f"client {client.id} on {client.host} holds it"]
            else:
                reasons |= self._scheduled.explain([task])
        return [[i, reasons.get(i, ["other tasks go before it, or it has ended"])] for i in ids]

    def output(self, task_id: Any) -> list[bytes] | None:
        """What a captured task printed: to its standard output, and error."""
        number = _whole(task_id)
        return self._database().output(number)

    def failures(self, selection: Any) -> list[dict[str, Any]]:
        """The failed tasks of a selection, by cause."""
        which = Selection.unpack(selection)
        return self._database().failures(which)

    def wait(self, selection: Any, seconds: Any) -> dict[str, Any]:
        """Wait until all of a selection is final.

        Returns after `seconds` at the latest, and when no more of it can become final:
        the numbers of tasks that are `unfinished` and `bad`, and whether it is `over`.
        """
        which = Selection.unpack(selection)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_WAIT:
            raise ValueError("not a number of seconds")
        in_memory = which.is_whole_run() or which == Selection(ids=which.ids)
        if self._queries is None and not in_memory:
            raise NoDatabase
        deadline = clock.monotonic() + seconds
        while True:
            ended, is_over = self._verdict(which)
            remaining = deadline - clock.monotonic()
            if is_over or remaining <= 0:
                return {**ended, "over": is_over}
            if self._completion.is_closed():
                raise StoreClosed("the server is ending")
            self._completion.wait(lambda: self._unfinished(which), self._is_idle, remaining)

    def _verdict(self, which: Selection) -> tuple[dict[str, int], bool]:
        """How it went so far, and whether that is the end of it.

        Memory says whether anything can still become final, the database how tasks ended, and it is
        one commit behind. So memory is asked first, its changes are waited for, and it must say the
        same afterwards: that nothing of a selection can become final is true of both at once.
        """
        revision = self._store.idle_revision()
        if revision is not None:
            self._store.wait_until_durable()
        ended = self._ended(which)
        if revision is not None:
            return ended, revision == self._store.idle_revision()
        return ended, not ended["unfinished"] and not which.is_whole_run()

    def _unfinished(self, which: Selection) -> list[int]:
        """Ids that are waited for; of the whole run one that is none stands for all of them."""
        if which.is_whole_run():
            return [] if self._is_idle() else [0]
        if self._queries is not None:
            return self._queries.unfinished(which, _WATCHED)
        return self._store.unfinished_among(which.ids)

    def _is_idle(self) -> bool:
        """Whether this run has nothing left that can become final."""
        return not self._store.unfinished()

    def _ended(self, which: Selection) -> dict[str, int]:
        """How it went."""
        if which.is_whole_run():
            numbers = self._store.counts().shown()
            bad = numbers[TaskState.FAILED] + numbers[TaskState.CANCELLED]
            return {"unfinished": sum(numbers[state] for state in UNFINISHED), "bad": bad}
        if self._queries is None:
            unfinished = self._store.unfinished_among(which.ids)
            return {"unfinished": len(unfinished), "bad": self._completion.bad(which.ids)}
        numbers_of = self._queries.outcome(which)
        return {"unfinished": numbers_of[0], "bad": numbers_of[1]}

    # What is changed.

    def cancel(self, selection: Any) -> list[int]:
        """Cancel what is not final; how many tasks changed, run still, could not be changed."""
        self._check_database()
        changed = self._store.cancel(_some(selection))
        if pairs := self._store.to_cancel():
            self._store.take_back(self._scheduled.cancel(pairs))
        return self._note("cancelled", changed)

    def retry(self, selection: Any) -> list[int]:
        """Let failed, cancelled and interrupted tasks wait again."""
        self._check_database()
        which = _some(selection)
        changed = self._store.retry(which)
        self._completion.forget(which.ids)
        return self._note("rescheduled", changed)

    def delete(self, selection: Any) -> list[int]:
        """Delete tasks that are neither waiting nor running."""
        self._check_database()
        return self._note("deleted", self._store.delete(_some(selection)))

    def _note(self, what: str, changed: Changed) -> list[int]:
        # The next group may go, if these were what was left of one or what stopped it.
        self._bus.publish(TasksChanged, changed.changed)
        log.info("%s %s on request", counted(changed.changed, "task"), what)
        return list(changed)

    def hold(self, client_id: Any, held: Any) -> None:
        """Hand out nothing more, to a client or with "" to all, or hand out again."""
        if not isinstance(client_id, str) or not isinstance(held, bool):
            raise ValueError("not a client and whether it is held")
        client = self._client(client_id) if client_id else None
        self._scheduled.hold(client, held=held)
        whom = f"client {client.id} on {client.host}" if client else "every client"
        log.info("%s gets %s, as requested", whom, "no more tasks" if held else "tasks again")

    def set_slots(self, client_id: Any, slots: Any) -> None:
        """Have a client run so many tasks at a time."""
        if not isinstance(client_id, str) or not 1 <= _whole(slots) <= MAX_SLOTS:
            raise ValueError("not a client and a number of slots")
        client = self._client(client_id)
        self._scheduled.set_slots(client, slots)
        log.info(
            "client %s on %s has %s, as requested", client.id, client.host, counted(slots, "slot")
        )

    def _client(self, client_id: str) -> Client:
        client = self._registry.client(client_id)
        if client is None:
            raise ClientUnknown(client=client_id)
        return client

    def stop(self, drain: Any) -> None:
        """End the run; with `drain`, after what runs has finished."""
        if not isinstance(drain, bool):
            raise ValueError("not a stop")
        log.info(
            "stopping%s, as requested", " when the running tasks have finished" if drain else ""
        )
        self._bus.publish(StopAsked, drain)

    def _check_database(self) -> None:
        """Refuse a change at once while the database hangs: DatabaseUnusable."""
        if self._queries is not None:
            self._queries.check_answers()

    def _database(self) -> "PatientQueries":
        if self._queries is None:
            raise NoDatabase
        return self._queries


def _some(selection: Any) -> Selection:
    which = Selection.unpack(selection)
    if which.is_everything():
        raise ValueError("an empty selection")
    return which


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError("not a whole number")
    return value


def _shown(client: Client) -> dict[str, Any]:
    """A client as `info` shows it. `last_heard` is in seconds ago."""
    return {
        "id": client.id,
        "host": client.host,
        "pid": client.pid,
        "slots": client.slots,
        "state": _state(client),
        "holds": len(client.claims),
        "running": len(client.begun),
        "done": client.done,
        "failed": client.failed,
        "last_heard": round(clock.monotonic() - client.heard, 3),
        "load": client.load,
        "memory_percent": client.memory_percent,
    }


def _state(client: Client) -> str:
    if client.is_set_aside:
        return "set aside"
    return "paused" if client.is_held else "active"
