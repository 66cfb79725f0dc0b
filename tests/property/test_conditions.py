"""What a condition means, and that both databases find what it says."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from hypershell.core.ending import Ending
from hypershell.core.query.columns import COLUMNS
from hypershell.core.query.condition import (
    And,
    Comparison,
    Condition,
    ConditionError,
    Not,
    Or,
    parse,
)
from hypershell.core.query.fields import FIELDS, OPERATORS, Kind
from hypershell.core.query.selection import UNFINISHED, Selection
from hypershell.core.state import TaskState
from hypershell.store.sql.engine import Database, initialize_database, open_database, sqlite_url
from hypershell.store.sql.queries import Queries
from hypershell.store.sql.row_filter import row_filter
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CLIENTS,
    RUNNING,
    RUNS,
    STATE_NUMBERS,
    TAGS,
    TASKS,
)
from tests.helpers.postgres import Postgres

Comparison.__test__ = False  # type: ignore[attr-defined]

_WORDS = [
    "",
    "a",
    "b",
    "aé",
    "x'y",
    'x"y',
    "a b",
    "100%",
    "a_b",
    "(a)",
    "\\",
    "in",
    "and",
    "\udcff",
    *(ending.word for ending in Ending),
]
_PATTERNS = ["a", "^a$", "a|b", "[ab] ", "^$", "é", "\\(", "(?:a).?b", "\\d+", "", "x*", "(?i)^A"]
_PATTERNS += ["(?i)É", "\\x00", "\udcff$", "\\xff", "[^a]", "(?s)^.b", "aab$", "^exit"]
_NUMBERS_OF = {ending.word: int(ending) for ending in Ending}
_NUMBERS = [-1, 0, 1, 2, 3, 9, 2**40]


def _values(kind: Kind, operator: str, name: str = "") -> st.SearchStrategy[Any]:
    if name == "ending" and "~" not in operator:
        return st.sampled_from(sorted(_NUMBERS_OF))
    match kind:
        case Kind.TEXT:
            return st.sampled_from(_PATTERNS if "~" in operator else _WORDS)
        case Kind.STATE:
            return st.sampled_from([s.value for s in TaskState if s is not TaskState.SENT])
        case Kind.DURATION | Kind.TIME:
            return st.sampled_from([0.0, 0.5, 1.0, 3.25, 1e9])
        case Kind.SIGNAL:
            return st.sampled_from([1, 2, 9])
        case Kind.SIZE:
            return st.sampled_from([0, 1024, 4096, 2**40])
    return st.sampled_from(_NUMBERS)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """One comparison."""
    field = draw(st.sampled_from(sorted(FIELDS)))
    operator = draw(st.sampled_from(OPERATORS[FIELDS[field]]))
    values = st.lists(
        _values(FIELDS[field], operator, field), min_size=1, max_size=3 if operator == "in" else 1
    )
    key = draw(st.sampled_from(["k", "my-key"])) if field == "tag" else ""
    return Comparison(field, operator, tuple(draw(values)), key)


conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


def holds(condition: Condition, facts: Mapping[str, Any]) -> bool:
    """What the condition language promises, in a few lines."""
    match condition:
        case Not(term):
            return not holds(term, facts)
        case And(terms):
            return all(holds(term, facts) for term in terms)
        case Or(terms):
            return any(holds(term, facts) for term in terms)
        case Comparison(field, operator, values, key):
            has = facts["tags"].get(key) if key else facts.get(field)
            return has is not None and _compare(has, operator, values)
    raise AssertionError(condition)


def _compare(has: Any, operator: str, values: tuple[Any, ...]) -> bool:
    given = [_bytes(value) if isinstance(has, bytes) else value for value in values]
    match operator:
        case "=":
            return bool(has == given[0])
        case "!=":
            return bool(has != given[0])
        case "<":
            return bool(has < given[0])
        case "<=":
            return bool(has <= given[0])
        case ">":
            return bool(has > given[0])
        case ">=":
            return bool(has >= given[0])
        case "in":
            return has in given
    data = has if isinstance(has, bytes) else _bytes(has)
    pattern = _bytes(values[0]).decode("latin-1")
    return (re.search(pattern, data.decode("latin-1")) is not None) is (operator == "~")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@given(conditions)
def test_a_condition_written_out_reads_the_same(condition: Condition) -> None:
    """Whatever it holds, at any time: what is sent to a server is what was meant here."""
    again = parse(str(condition), now=0.0)

    assert condition == again


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_an_error_with_a_place(text: str) -> None:
    """Nothing else is raised, and what was read can be written out and read again."""
    try:
        condition = parse(text, now=0.0)
    except ConditionError as error:
        written = error.place <= len(text)
    else:
        written = condition == parse(str(condition), 0.0)

    assert written


ROWS: list[dict[str, Any]] = [
    {"state": "waiting", "line": b"a"},
    {
        "state": "running",
        "line": b"a b",
        "tags": {"k": "a"},
        "host": "a",
        "started": 2.5,
        "attempt": 2,
    },
    {"state": "succeeded", "line": "aé".encode(), "exit_status": 0, "host": "a", "memory": 4096},
    {
        "state": "failed",
        "line": b"x'y",
        "exit_status": 3,
        "host": "b",
        "cause": 1,
        "tags": {"k": ""},
    },
    {"state": "failed", "line": b"\xff", "signal": 9, "host": "a", "cause": 2, "run": "b"},
    {"state": "failed", "line": b"100%", "reason": "a b", "cause": 3, "group": 2, "priority": 3},
    {"state": "cancelled", "line": b"(a)", "tags": {"my-key": "a", "k": "b"}, "attempt": 2},
    {"state": "interrupted", "line": b"", "signal": 2, "losses": 1, "failures": 2, "number": 9},
    {"state": "waiting", "line": b"a\0b", "tags": {"k": "A"}, "handed_out": True},
    {"state": "failed", "line": 70_000 * b"a" + b"b", "reason": "É", "host": "b", "cause": 3},
]


def _store(database: Database) -> list[dict[str, Any]]:
    """Insert the rows; what is true of each, by the names of fields."""
    known = []
    with database.writing() as connection:
        connection.execute(insert(RUNS), [_run(1, "a"), _run(2, "b")])
        for host in "ab":
            client = {"id": f"c{host}", "host": host, "pid": 1, "slots": 1, "joined_at": 0.0}
            connection.execute(insert(CLIENTS).values(client))
        for task_id, facts in enumerate(ROWS, 1):
            full = _full(task_id, facts)
            connection.execute(insert(TASKS).values(_task(full)))
            for key, value in full["tags"].items():
                connection.execute(insert(TAGS).values(key=key, value=value, task=task_id))
            if "ending" in full:
                connection.execute(insert(ATTEMPTS).values(_attempt(full)))
            if full["state"] == "running":
                failed = {"exit_status": 3, "host": "b", "attempt": 1}
                before = _full(task_id, {"state": "failed", **failed})
                connection.execute(insert(ATTEMPTS).values(_attempt(before)))
                where = {"task": task_id, "client": full["client"], "started_at": full["started"]}
                connection.execute(insert(RUNNING).values(**where, slot=1, pid=9))
            known.append(full)
    return known


def _full(task_id: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    full: dict[str, Any] = {"attempt": 1, "failures": 0, "losses": 0, "group": 0, "priority": 0}
    full |= {"id": task_id, "number": 0, "run": "a", "tags": {}, "added": float(task_id), **facts}
    if full["state"] == "running":
        return full | {"slot": 1, "pid": 9, "client": f"c{facts['host']}"}
    ending = next((name for name in ("exit_status", "signal", "reason") if name in facts), None)
    if ending is not None:
        endings = {"exit_status": Ending.EXITED, "signal": Ending.SIGNALED}
        full["ending"] = endings.get(ending, Ending.UNSTARTABLE).word
        full |= {"slot": 1, "pid": 9, "started": 3.25, "duration": 0.5, "ended": 3.75}
        full |= {"user": 0.25, "system": 0.25, "cpu": 0.5, "memory": None, **facts}
        full["client"] = f"c{facts['host']}" if "host" in facts else None
    return full


def _run(number: int, uid: str) -> dict[str, Any]:
    values = {"id": number, "uid": uid, "host": "h", "pid": 1, "started_at": 0.0}
    values |= {"lease_seconds": 30.0, "path": b"-", "lines_read": 0, "digest": b""}
    return values | {"input_ended": True}


def _task(full: Mapping[str, Any]) -> dict[str, Any]:
    import json

    same = ("id", "line", "group", "number", "attempt", "failures", "losses")
    return {name: full[name] for name in same} | {
        "tags": json.dumps(full["tags"]) if full["tags"] else None,
        "rank": -full["priority"],
        "sequence": 0,
        "run": {"a": 1, "b": 2}[full["run"]],
        "scope": 1,
        "state": STATE_NUMBERS[TaskState("sent" if "handed_out" in full else full["state"])],
        "lease": 1,
        "spec": None,
        "cancelling": False,
        "owed": False,
        "added_at": full["added"],
        "cause": full.get("cause"),
        "outcome_attempt": 1 if full["state"] == "running" else _ended_attempt(full),
    }


def _ended_attempt(full: Mapping[str, Any]) -> int | None:
    return full["attempt"] if "ending" in full else None


def _attempt(full: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": full["id"],
        "number": full["attempt"],
        "client": full["client"],
        "slot": full["slot"],
        "pid": full["pid"],
        "started_at": full["started"],
        "seconds": full["duration"],
        "ending": _NUMBERS_OF[full["ending"]],
        "code": full.get("exit_status", full.get("signal", 0)),
        "reason": full.get("reason"),
        "user_seconds": full["user"],
        "system_seconds": full["system"],
        "peak_kib": (full["memory"] or 0) // 1024,
    }


class Filled:
    """A database with the rows, and what is true of each of them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.known = _store(database)

    def found(self, condition: Condition) -> list[int]:
        """The ids of what the database finds."""
        which = row_filter(Selection(where=str(condition)), self.database.dialect, now=0.0)
        with self.database.reading() as connection:
            return sorted(row[0] for row in which.rows(connection, select(TASKS.c.id)))

    def expected(self, condition: Condition) -> list[int]:
        """The ids of what is meant."""
        return [facts["id"] for facts in self.known if holds(condition, facts)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    """Each of the two databases."""
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("conditions") / "tasks.db"
        database = open_database(sqlite_url(path))
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_url()
        initialize_database(url)
        database = open_database(url)
    yield Filled(database)
    database.close()


def check_found(filled: Filled, examples: int) -> None:
    """Compare what is found with what is meant, for this number of conditions."""

    @settings(max_examples=examples, deadline=None)
    @given(condition=conditions)
    def check(condition: Condition) -> None:
        expected = filled.expected(condition)

        found = filled.found(condition)

        assert expected == found, str(condition)

    check()


def test_a_database_finds_what_a_condition_says(filled: Filled) -> None:
    """Also with `not`, and where a task does not have what is asked for."""
    check_found(filled, 100)


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_a_database_finds_what_any_of_many_conditions_says(filled: Filled) -> None:
    """The same, for as many as turn up what is rare."""
    check_found(filled, 3000)


def test_rows_tell_what_conditions_ask_for(filled: Filled) -> None:
    """A field that is listed has the value by which the task is found."""
    names = [name for name in COLUMNS if name != "tags"]

    rows, _ = Queries(filled.database).rows(Selection(), names)

    for facts, row in zip(filled.known, rows, strict=True):
        assert {name: facts.get(name) for name in names} == dict(zip(names, row, strict=True))


def check_questions(filled: Filled, examples: int) -> None:
    """Ask all questions about the tasks of this number of conditions."""

    @settings(max_examples=examples, deadline=None)
    @given(condition=conditions, states=st.sampled_from([(), UNFINISHED, (TaskState.FAILED,)]))
    def check(condition: Condition, states: tuple[TaskState, ...]) -> None:
        expected = [
            facts
            for facts in filled.known
            if holds(condition, facts) and (not states or TaskState(facts["state"]) in states)
        ]
        which = Selection(states=states, where=str(condition))
        queries = Queries(filled.database)

        pages = [queries.rows(which, ["id"], 0, 2)]
        while pages[-1][1]:
            pages.append(queries.rows(which, ["id"], pages[-1][1], 2))

        failed = [facts for facts in expected if facts["state"] == "failed"]
        unfinished = [f["id"] for f in expected if TaskState(f["state"]) in UNFINISHED]
        bad = sum(facts["state"] in ("failed", "cancelled") for facts in expected)
        assert len(expected) == queries.count(which)
        assert [[facts["id"]] for facts in expected] == [row for rows, _ in pages for row in rows]
        assert unfinished == queries.unfinished(which, 100)
        assert (len(unfinished), bad) == queries.outcome(which)
        causes = {cause["cause"]: cause for cause in queries.failures(which)}
        assert Counter(facts["cause"] for facts in failed) == {
            c: v["count"] for c, v in causes.items()
        }
        for cause, found in causes.items():
            alike = [facts for facts in failed if facts["cause"] == cause]
            assert alike[-1]["id"] == found["example"]
            assert sorted({f["host"] for f in alike if "host" in f}) == found["hosts"]

    check()


def test_all_questions_have_the_tasks_of_a_condition_in_mind(filled: Filled) -> None:
    """Counts, rows in pages, what is not final, and failures: each finds the same tasks."""
    check_questions(filled, 25)


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_all_questions_have_the_tasks_of_many_conditions_in_mind(filled: Filled) -> None:
    """The same, for as many as turn up what is rare."""
    check_questions(filled, 1000)
