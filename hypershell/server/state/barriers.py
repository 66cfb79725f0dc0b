"""What a client is not given for now: what just failed there, a directory it cannot enter, a second
suspect, what waits for its next attempt.

A task that failed goes to a client on which it has not failed, as long as one that takes tasks is
connected; once it has failed on all of them, to any but the last. It waits for a slot there,
however long that takes: whatever that client runs has to end before the run does in any case. A
directory that a client could not enter is kept from it for REFUSED_SECONDS; then it may try again.
A task whose client died while it ran may be what killed it: a client has one such at most at a
time, so that they do not become suspect by each other.

All of it is in memory: after a restart of the server any client may have any task. The lock of the
registry and the scheduled queue is held by whoever calls. Time is monotonic, in seconds.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hypershell.core.resources import Needs, TaskNeeds, expected_seconds
from hypershell.core.retry import is_suspect
from hypershell.core.setting_values import CLIENT_CWD
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec, layered
from hypershell.server.state.client import Client

REFUSED_SECONDS = 60.0
"""How long a client is not given tasks of a directory that it could not enter."""


class Barrier(NamedTuple):
    """What keeps a task from some clients: a directory that one of them cannot enter, None if all
    can; the clients on which it has failed, the last one last; whether it is suspect; what it
    needs; and how long it takes, where a client has an end that is known.
    """

    directory: str | None
    failed_on: tuple[str, ...]
    suspect: bool = False
    needs: Needs | None = None
    seconds: float | None = None


class Barriers:
    """The barriers of one run, whose tasks have the spec `default` unless they say otherwise.

    `clients` are those that are connected, by their ids.
    """

    def __init__(self, clients: Mapping[str, Client], default: TaskSpec = DEFAULT_SPEC) -> None:
        self._clients = clients
        self._default = default
        self._needs = TaskNeeds(default)
        self._has_ends = False
        self._failed_on: dict[int, tuple[str, ...]] = {}
        self._refused: dict[str, dict[str, float]] = {}  # directory, client: until when
        self._not_before: dict[int, float] = {}

    def any(self) -> bool:
        """Whether there are barriers at all."""
        if self._needs.plain is not None or self._has_ends:
            return True
        return bool(self._failed_on or self._refused or self._not_before)

    def clients(self) -> Iterable[Client]:
        """Those that are connected."""
        return self._clients.values()

    def needs_of(self, task: Task) -> Needs | None:
        """What a task needs; None if it is plain."""
        return self._needs.plain if task.spec is DEFAULT_SPEC else self._needs.of(task.spec)

    def note_end(self) -> None:
        """A client has an end that is known: how long tasks take matters from now on."""
        self._has_ends = True

    def _seconds_of(self, task: Task) -> float | None:
        if not self._has_ends:
            return None
        return expected_seconds(layered(task.spec, self._default))

    def directory_of(self, task: Task) -> str:
        """The directory in which a task runs."""
        return task.spec.cwd or self._default.cwd or CLIENT_CWD

    def note_failed(self, client_id: str, task_ids: Iterable[int]) -> None:
        """Tasks have failed on a client."""
        for task_id in task_ids:
            before = self._failed_on.get(task_id, ())
            others = tuple(each for each in before if each != client_id)
            self._failed_on[task_id] = (*others, client_id)

    def forget(self, task_ids: Iterable[int]) -> None:
        """These are final: nobody is given them any more."""
        for task_id in task_ids:
            self._failed_on.pop(task_id, None)
            self._not_before.pop(task_id, None)

    def delay(self, not_before: Mapping[int, float]) -> None:
        """Nobody is given these tasks before then."""
        self._not_before.update(not_before)

    def delayed_until(self, task: Task, now: float) -> float:
        """Until when nobody is given a task; 0 if somebody may have it now."""
        until = self._not_before.get(task.id, 0.0)
        if 0.0 < until <= now:
            del self._not_before[task.id]
        return until if until > now else 0.0

    def note_refused(self, client_id: str, directory: str, now: float) -> None:
        """A client cannot enter a directory."""
        self._prune(now)
        self._refused.setdefault(directory, {})[client_id] = now + REFUSED_SECONDS

    def _prune(self, now: float) -> None:
        for directory, clients in list(self._refused.items()):
            for client_id, until in list(clients.items()):
                if until <= now or client_id not in self._clients:
                    del clients[client_id]
            if not clients:
                del self._refused[directory]

    def barrier_of(self, task: Task) -> Barrier | None:
        """What keeps a task from some clients; None if nothing does."""
        directory = self.directory_of(task)
        failed_on, suspect = self._failed_on.get(task.id, ()), is_suspect(task)
        needs, seconds = self.needs_of(task), self._seconds_of(task)
        if directory in self._refused:
            return Barrier(directory, failed_on, suspect, needs, seconds)
        if failed_on or suspect or needs is not None or seconds is not None:
            return Barrier(None, failed_on, suspect, needs, seconds)
        return None

    def lets(self, client: Client, barrier: Barrier, now: float) -> bool:
        """Whether a client may be given tasks that are behind this barrier."""
        failed_on = barrier.failed_on
        if barrier.suspect and client.suspects:
            return False
        if not self._can(client, barrier, now):
            return False
        if client.id not in failed_on:
            return True
        others = [
            other.id
            for other in self._clients.values()
            if other is not client and _takes(other) and self._can(other, barrier, now)
        ]
        if any(other not in failed_on for other in others):
            return False
        return not others or client.id != failed_on[-1]

    def _can(self, client: Client, barrier: Barrier, now: float) -> bool:
        """Whether a client that runs nothing could run such a task to its end."""
        needs, seconds = barrier.needs, barrier.seconds
        if needs is not None and not client.usage.offer.can(needs):
            return False
        if seconds is not None and now + seconds > client.ends_at:
            return False
        return self.can_enter(client.id, barrier.directory, now)

    def can_enter(self, client_id: str, directory: str | None, now: float) -> bool:
        """Whether a client can enter a directory, as far as is known."""
        if directory is None:
            return True
        return self._refused.get(directory, {}).get(client_id, now) <= now

    def closed_to_all(self, now: float) -> list[str]:
        """The directories that no connected client can enter; none while nobody is connected."""
        clients = self._clients
        return [
            directory
            for directory in self._refused
            if clients and not any(self.can_enter(each, directory, now) for each in clients)
        ]


def _takes(client: Client) -> bool:
    """Whether a client takes tasks at present."""
    return client.want > 0 and not client.is_held
