"""Runs in a real task database, without a server around them."""

import secrets
import threading
from collections.abc import Sequence
from types import TracebackType

from hypershell.access.keys import new_client_key
from hypershell.core.ending import Ending
from hypershell.core.origin import UNKNOWN, Origin
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.core.task import Task, new_task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec
from hypershell.store.sql.engine import initialize_database, open_database
from hypershell.store.sql.location import POSTGRESQL
from hypershell.store.sql.runs import Making, begin_run
from hypershell.store.sql.session import RunSession
from hypershell.store.tasks.journal import Progress
from hypershell.store.tasks.task_store import Final, TaskStore
from hypershell.store.tasks.window import MAX_TASKS

CLIENT = "0123abcd"


class StoredRun:
    """A run whose changes are durable when the calls of `store` return."""

    def __init__(
        self,
        url: str,
        mode: RunMode = RunMode.FILE,
        policy: Policy = Policy(),  # noqa: B008 - it is frozen
        most_tasks: int = MAX_TASKS,
        path: bytes = b"-",
        owes: bool = False,
        on_final: Final = lambda final: None,
        origin: Origin = UNKNOWN,
        moves: bool = False,
    ) -> None:
        if url.startswith(POSTGRESQL):
            initialize_database(url)
        database = open_database(url)
        making = Making(
            secrets.token_hex(4), path, 30.0, origin, moves, client_key=new_client_key()
        )
        begun = begin_run(database, mode, making)
        self.kept = RunSession(database, begun, mode)
        self.store = TaskStore(
            policy, self.kept.journal, begun.start, most_tasks, owes=owes, on_final=on_final
        )
        self._number = begun.lines_read
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        self.kept.note_client(CLIENT, "node1", 1, 1)

    def __enter__(self) -> "StoredRun":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, *lines: bytes, spec: TaskSpec = DEFAULT_SPEC) -> list[Task]:
        """Lines of the input, all with these settings."""
        tasks = []
        for line in lines:
            self._number += 1
            task = new_task(line, self._number, self.store.new_id())
            tasks.append(task._replace(spec=spec))
        self.store.add(tasks, progress=Progress(self._number, b"", False))
        return tasks

    def finish(self, *outcomes: Outcome, stopping: bool = False) -> None:
        """Outcomes from a client."""
        self.store.record([(CLIENT, outcomes)], stopping)

    def die(self) -> None:
        """Leave the run as a server leaves it that is killed."""
        self.kept.writer.close()
        self._writer.join()
        self.kept.close()

    def close(self) -> None:
        """The run is over."""
        self.kept.end([CLIENT])
        self._writer.join()
        self.kept.close()

    def _write(self) -> None:
        while self.kept.writer.one_pass():
            pass


def ended(task: Task, code: int = 0, err: bytes = b"") -> Outcome:
    """What a client tells of a task that exited."""
    return Outcome(
        *(task.id, task.lease, Ending.EXITED, code, "", 1.7e9, 0.25, 0.125, 0.0625, 1000, 1, 4711),
        err=err,
    )


def run_tasks(url: str, *lines: bytes, codes: Sequence[int] = ()) -> None:
    """A whole run in which the first tasks exit with these statuses, and the others with 0."""
    with StoredRun(url, owes=True) as run:
        run.add(*lines)
        tasks = run.store.lease(len(lines))
        padded = [*codes, *[0] * (len(tasks) - len(codes))]
        run.finish(*map(ended, tasks, padded))
