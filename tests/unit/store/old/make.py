"""Makes a task database as this release lays it out, with tasks in each state.

    python -m tests.unit.store.old.make tests/unit/store/old/v1.db

Run once for each version of the tables and never again: what it made stays, and must open for
ever.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.store.sql.engine import sqlite_url
from tests.helpers.stored import StoredRun, ended


def make(path: Path) -> None:
    """Two runs: one that came to its end, and one whose server died."""
    url = sqlite_url(path)
    with StoredRun(url, policy=Policy(max_retries=1), path=b"/data/first", owes=True) as run:
        run.add(b"echo one", b"echo two # HYPERSHELL: kind:a", b"false \xff", b"sleep 9", b"exit 4")
        one, two, three, four, five = run.store.lease(5)
        run.finish(ended(one), ended(two), ended(three, 1, b"no such file: /tmp/17\n"))
        again, *_ = run.store.lease(1)
        run.finish(ended(again, 1, b"no such file: /tmp/18\n"))
        run.finish(Outcome(four.id, four.lease, Ending.SIGNALED, 9), ended(five, 4))
        last, *others = run.store.lease(2)
        run.finish(Outcome(last.id, last.lease, Ending.LOST), *(ended(task, 4) for task in others))
        run.store.cancel(Selection(ids=(last.id,)))
        run.store.printed([three.id], b"/data/failed", 8)()
    run = StoredRun(url, path=b"/data/second")
    run.add(*[b"task %d # HYPERSHELL: group:%d" % (n, n // 4) for n in range(8)])
    tasks = run.store.lease(4)
    run.finish(ended(tasks[0]))
    run.finish(Outcome(tasks[1].id, tasks[1].lease, Ending.INTERRUPTED), stopping=True)
    run.store.cancel(Selection(ids=(tasks[2].id,)))
    run.kept.journal.joined("89abcdef", "node2", 2, 16)
    run.die()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
