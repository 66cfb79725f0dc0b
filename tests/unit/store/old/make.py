"""Makes a task database as this release lays it out, with tasks in each state.

    python -m tests.unit.store.old.make tests/unit/store/old/v4.db

Run once for each version of the tables and never again: what it made stays, and must open for
ever.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.origin import Origin
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.core.task_spec import TaskSpec
from hypershell.store.sql.engine import sqlite_url
from tests.helpers.stored import CLIENT, StoredRun, ended

_FIRST = Origin(b"/data", "/data")
_SECOND = Origin(b"/data \xff", "/scratch")


def make(path: Path) -> None:
    """Two runs: one that came to its end, and one whose server died."""
    url = sqlite_url(path)
    with StoredRun(
        url, policy=Policy(max_retries=1), path=b"/data/first", owes=True, origin=_FIRST
    ) as run:
        run.add(b"echo one", spec=TaskSpec(max_retries=3, capture=True))
        run.add(b"echo two # HYPERSHELL: kind:a", b"false \xff", b"sleep 9", b"exit 4")
        one, two, three, four, five = run.store.lease(5)
        run.finish(ended(one), ended(two), ended(three, 1, b"no such file: /tmp/17\n"))
        again, *_ = run.store.lease(1)
        run.finish(ended(again, 1, b"no such file: /tmp/18\n"))
        run.finish(Outcome(four.id, four.lease, Ending.SIGNALED, 9), ended(five, 4))
        last, *others = run.store.lease(2)
        run.finish(Outcome(last.id, last.lease, Ending.LOST), *(ended(task, 4) for task in others))
        run.store.cancel(Selection(ids=(last.id,)))
        run.store.printed([three.id], b"/data/failed", 8)()
    run = StoredRun(url, path=b"/data/second", origin=_SECOND, moves=True)
    run.add(*[b"task %d # HYPERSHELL: group:%d" % (n, n // 4) for n in range(8)])
    tasks = run.store.lease(4)
    run.finish(ended(tasks[0]))
    run.finish(Outcome(tasks[1].id, tasks[1].lease, Ending.INTERRUPTED), stopping=True)
    run.store.cancel(Selection(ids=(tasks[2].id,)))
    run.store.begin(CLIENT, [Begun(tasks[3].id, tasks[3].lease, 1.7e9, 1, 4711)])
    run.kept.journal.joined("89abcdef", "node2", 2, 16)
    run.die()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
