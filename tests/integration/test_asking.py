"""Tasks as people ask for them and change them, through a server and without one."""

import csv
import json
import signal
from typing import Any

import pytest

from tests.helpers.access import Site, complaint
from tests.helpers.farm import PROMPT, Process
from tests.helpers.terminal import Terminal
from tests.helpers.waiting import until

LINES = [
    "true",
    "echo 'no such thing: /data/17/a' >&2; exit 3",
    "echo 'no such thing: /data/4/b' >&2; exit 3",
    "kill -9 $$",
    "true # HYPERSHELL: site:A",
]


@pytest.fixture
def done(site: Site) -> Site:
    """A server and a client that have run LINES, as tasks 1 to 5."""
    site.serve()
    site.client("-N", 2)
    lines = site.farm.write_lines(LINES)
    site.run("submit", "-f", lines, "--tag", "day:one")
    assert 1 == site.run("wait", "--tag", "day").wait()
    return site


def listed(site: Site, *words: object) -> list[dict[str, Any]]:
    """What `list` shows, as JSON."""
    shown = site.run("list", *words, "--format", "json")
    assert 0 == shown.wait(), shown.err
    rows: list[dict[str, Any]] = json.loads(shown.out)
    return rows


def out(process: Process, status: int = 0) -> str:
    """What a process that has ended with this status printed."""
    assert status == process.wait(), process.err
    return process.out.decode()


def test_tasks_are_listed_by_what_holds_for_them(done: Site) -> None:
    """States, tags and conditions, alone and together; each row has what was asked for."""
    failed = listed(done, "id", "state", "exit_status", "signal", "--failed")
    tagged = listed(done, "id", "tag.site", "--tag", "site:A", "--tag", "day")
    slow = listed(done, "id", "--where", "duration > 10m")
    found = listed(done, "id", "--where", "exit_status >= 3 and line ~ '/[0-9]{2}/'")

    assert [2, 3, 4] == [row["id"] for row in failed]
    assert {"id": 4, "state": "failed", "exit_status": None, "signal": 9} == failed[2]
    assert [{"id": 5, "tag.site": "A"}] == tagged
    assert [] == slow
    assert [{"id": 2}] == found


def test_tasks_are_counted_and_limited(done: Site) -> None:
    """With the same selections."""
    assert "3\n" == out(done.run("list", "--count", "--failed"))
    assert "5\n" == out(done.run("list", "--count", "--where", "added > 1h ago"))
    assert [1, 2] == [row["id"] for row in listed(done, "id", "--limit", 2)]


def test_tasks_are_sorted_by_a_field(done: Site) -> None:
    """Those that do not have it come last, and those with the same value in the order of ids."""
    by_status = listed(done, "id", "--sort", "exit_status:desc")
    by_signal = listed(done, "id", "--sort", "signal")
    by_tag = listed(done, "id", "--sort", "tag.site", "--limit", 2)

    assert [2, 3, 1, 5, 4] == [row["id"] for row in by_status]
    assert [4, 1, 2, 3, 5] == [row["id"] for row in by_signal]
    assert [5, 1] == [row["id"] for row in by_tag]
    as_json = out(done.run("list", "id", "--json", "--sort", "id:desc"))
    assert [5, 4, 3, 2, 1] == [row["id"] for row in json.loads(as_json)]


@pytest.mark.parametrize("words", [["--sort", "x"], ["--sort", "id:up"], ["--sort", "tags"]])
def test_tasks_are_not_sorted_by_what_is_no_field(site: Site, words: list[str]) -> None:
    """It is named, with 2."""
    complaint(site.run("list", *words), 2, "sort|field")


def test_a_line_is_listed_byte_for_byte(site: Site) -> None:
    """Plain: as it came. JSON: in a form that gives the bytes back."""
    line = b": '\xff\xfe \"quoted\" \xc3\xa9'"
    site.serve()
    site.run("submit", "-f", site.farm.write_lines([line]))

    plain = site.run("list", "line", "--format", "plain")
    (row,) = listed(site, "line")

    assert line + b"\n" == plain.out
    assert line == row["line"].encode("utf-8", "surrogateescape")


def test_a_condition_that_cannot_be_read_is_shown_with_its_place(site: Site) -> None:
    """Before anything is asked of a server."""
    bad = site.run("list", "--where", "exit_status >= many")

    complaint(bad, 2, r"character 16 \(many\)", "a whole number")


def test_a_pattern_that_is_not_supported_is_named_before_anything_is_asked(site: Site) -> None:
    """The place of it, what it is, and what to do; no server is there, and none is missed."""
    bad = site.run("list", "--where", "line ~ '(?=x)'")

    complaint(bad, 2, r"character 8", r"lookahead .* is not supported: simplify the regular")


def test_a_pattern_that_backtracks_without_end_elsewhere_is_answered(site: Site) -> None:
    """Questions and changes alike, and the server goes on with the rest."""
    site.serve()
    site.run("submit", "--", "true " + 100 * "a").wait()

    asked = site.run("list", "--count", "--where", "line ~ '(a+)+b'")
    changed = site.run("cancel", "--where", "line ~ '(a+)+b'")

    assert "0\n" == out(asked)
    assert "0 tasks cancelled\n" == out(changed)
    assert "true aaa" in out(site.run("list", "--where", "line ~ '(a+)+$'"))


def test_failed_tasks_are_told_by_cause(done: Site) -> None:
    """What differs from one to the other does not part them; the cause can be tried again."""
    causes = json.loads(out(done.run("failures", "--json")))
    first = causes[0]

    again = done.run("retry", "--cause", first["cause"])

    assert [2, 1] == [cause["count"] for cause in causes]
    assert first["text"].startswith("exit status 3\n")
    assert first["hosts"]
    assert 3 == first["example"]
    assert "no such thing" in first["stderr"]
    assert "2 tasks will be retried\n" == out(again)
    assert 1 == done.run("wait", "2-3").wait()
    assert [2, 2] == [r["attempt"] for r in listed(done, "attempt", "--cause", first["cause"])]


def test_a_task_is_told_with_its_attempts(done: Site) -> None:
    """And with the end of what a failed attempt printed."""
    told = json.loads(out(done.run("info", 2, "--json")))

    assert ("failed", {"day": "one"}) == (told["state"], told["tags"])
    (attempt,) = told["attempts"]
    assert (1, "exited", 3) == (attempt["number"], attempt["ending"], attempt["exit_status"])
    assert "no such thing: /data/17/a\n" == attempt["stderr"]
    assert 1 == done.run("info", 99).wait()


def test_a_wait_ends_with_the_last_task(site: Site) -> None:
    """Not before, and at once; with 1 where one failed."""
    site.serve()
    (first,) = site.submit("until test -e go; do sleep 0.02; done")
    site.client()
    wait = site.start("wait", first)
    every = site.start("wait", "--all")
    until(lambda: site.info()["tasks"]["running"] == 1, PROMPT, "the task runs")
    running = wait.is_running and every.is_running

    (site.farm.folder / "go").touch()

    assert running
    assert (0, 0) == (wait.wait(), every.wait())


def test_a_wait_has_an_end(site: Site) -> None:
    """Status 4, and how many are left."""
    site.serve()
    site.submit("true")

    wait = site.run("wait", 1, "--timeout", 0.2)

    complaint(wait, 4, "not finished after 0.2 s: 1 task")


def test_a_wait_for_a_server_that_ends_is_answered_from_its_database(site: Site) -> None:
    """All was done: that is why it ended."""
    lines = site.farm.write_lines(["until test -e go; do sleep 0.02; done"])
    server = site.start("server", lines, "-p", 0)
    server.expect("listening on")
    wait = site.start("wait", "--all")
    site.client()
    until(lambda: site.info()["tasks"]["running"] == 1, PROMPT, "the task runs")

    (site.farm.folder / "go").touch()

    assert 0 == server.wait()
    assert 0 == wait.wait()


def test_a_command_runs_on_the_farm_as_it_would_here(site: Site) -> None:
    """Its outputs come out where they belong, and its status is that of `run`."""
    site.serve()
    site.client()

    exited = site.run("run", "--", "printf 'a\\377'; echo b >&2; exit 7")
    signaled = site.run("run", "--", "kill -TERM $$")

    assert (7, b"a\xff", "b\n") == (exited.wait(), exited.out, exited.err)
    assert 128 + 15 == signaled.wait()


def test_ctrl_c_cancels_a_command_that_runs_on_the_farm(site: Site) -> None:
    """The task is ended, not left behind."""
    site.serve()
    site.client()
    run = site.start("run", "--", "touch began; sleep 60")
    until((site.farm.folder / "began").exists, PROMPT, "the task runs")

    run.press_ctrl_c()

    assert 130 == run.wait()
    assert 1 == site.run("wait", 1).wait()
    assert ["cancelled"] == [row["state"] for row in listed(site, "state")]


def test_tasks_are_cancelled_whether_they_wait_or_run(site: Site) -> None:
    """Others run on; what was cancelled may be tried again."""
    site.serve()
    site.client()
    site.submit("touch began; sleep 60")
    site.submit("sleep 61")
    site.submit("echo $TASK_ID >> ran")
    until((site.farm.folder / "began").exists, PROMPT, "the first task runs")

    cancelled = site.run("cancel", "1-2", "--json")

    numbers = json.loads(out(cancelled))
    assert (2, 0) == (numbers["changed"], numbers["refused"])
    assert numbers["running"] in (1, 2)  # the second may be with the client already
    assert 0 == site.run("wait", 3).wait()
    assert ["3"] == site.farm.read("ran")
    assert [1, 2] == [row["id"] for row in listed(site, "id", "--cancelled")]
    assert 1 == site.run("cancel", 1).wait()


def test_deleted_tasks_are_gone(done: Site) -> None:
    """With what belonged to them; their ids are not given again."""
    deleted = done.run("delete", "--succeeded")

    assert "2 tasks deleted\n" == out(deleted)
    assert [2, 3, 4] == [row["id"] for row in listed(done, "id")]
    assert [6] == done.submit("true")


def test_a_change_names_its_tasks(site: Site) -> None:
    """None that says nothing changes everything."""
    for verb in ("cancel", "retry", "delete"):
        complaint(site.run(verb), 2, "no tasks selected")


def test_without_a_database_questions_are_refused_and_waits_are_not(site: Site) -> None:
    """One line and a hint; waiting needs only what is in memory."""
    site.serve("--no-db")
    site.client()
    site.submit("exit 3")

    complaint(site.run("list"), 3, "has no database")
    complaint(site.run("run", "--", "true"), 3, "has no database")
    assert 1 == site.run("wait", "--all").wait()
    assert 1 == site.run("wait", 1).wait()


def test_without_a_server_the_database_is_asked_and_changed(done: Site) -> None:
    """Under the directory's lock; the next server goes on with what waits there."""
    done.stop()

    submitted = done.run("submit", "--tag", "day:two", "--", "echo $TASK_ID >> later")
    retried = done.run("retry", "--where", "signal = KILL")
    cancelled = done.run("cancel", 4)
    counted = done.run("list", "--count", "--waiting")

    assert "6\n" == out(submitted)
    assert "1 task will be retried\n" == out(retried)
    assert "1 task cancelled\n" == out(cancelled)
    assert "1\n" == out(counted)
    assert 1 == done.start("cluster", "--restart", "-N", 1).wait(30)
    assert ["6"] == done.farm.read("later")
    assert [2, 2] == [row["attempt"] for row in listed(done, "attempt", "--failed")]
    assert [4] == [row["id"] for row in listed(done, "id", "--cancelled", "--run", "all")]


@pytest.mark.campaign
def test_a_server_that_cannot_be_reached_is_not_passed_by(site: Site) -> None:
    """A submission never becomes a local one while a server has the directory."""
    server = site.serve()
    server.signal(19)

    try:
        submit = site.run("submit", "--", "true", seconds=90.0)
        count = submit.wait()
    finally:
        server.signal(18)

    assert 4 == count
    assert "0\n" == out(site.run("list", "--count"))


def test_a_directory_without_a_database_takes_no_submission(site: Site) -> None:
    """There is nowhere to put it: no server was there."""
    complaint(site.run("submit", "--", "true"), 4, "no server was ever started")


def test_a_database_that_is_named_is_worked_on_itself(done: Site) -> None:
    """Read beside its server; changed only when that is gone."""
    database = done.path / "hyper-shell.db"

    beside = done.run("list", "--count", "--database", database)
    locked = done.run("delete", 1, "--database", database)

    assert "5\n" == out(beside)
    assert 3 == locked.wait()


def test_terms_of_a_submission_hold_for_its_tasks(site: Site) -> None:
    """Tags, group, priority, retries."""
    site.serve()
    submit_options = ("--tag", "a:1", "--tag", "b:2", "--group", 1, "--priority", -5, "-r", 2)
    site.run("submit", *submit_options, "--", "exit 3")
    site.client()

    status = site.run("wait", "--tag", "a:1").wait()
    (row,) = listed(site, "tags", "group", "priority", "attempt")

    assert 1 == status
    assert {"tags": {"a": "1", "b": "2"}, "group": 1, "priority": -5, "attempt": 3} == row


def test_what_runs_is_told_from_what_a_client_holds_in_advance(site: Site) -> None:
    """By every verb alike: the numbers agree, and each acts on what it shows as such."""
    site.serve()
    site.run("submit", "-f", site.farm.write_lines(["sleep 60"] * 30)).wait()
    site.client("-N", 2)
    until(lambda: site.info()["tasks"]["running"] == 2, PROMPT, "two tasks run")

    counts = [out(site.run("list", "--count", f"--{state}")) for state in ("running", "waiting")]
    rows = listed(site, "--running")
    long = listed(site, "id", "--where", "started < 2h ago")
    recent = listed(site, "id", "--where", "started > 2h ago and host != ''")
    waiting = out(site.run("cancel", "--waiting"))
    until(lambda: site.info()["tasks"]["waiting"] == 0, PROMPT, "the client has dropped them")
    still = out(site.run("list", "--count", "--running"))
    running = out(site.run("cancel", "--running"))

    assert ["2\n", "28\n"] == counts
    assert all(row["pid"] > 0 and row["client"] and row["started"] for row in rows)
    assert {1, 2} == {row["slot"] for row in rows}
    assert ([], 2) == (long, len(recent))
    assert ("28 tasks cancelled\n", "2\n") == (waiting, still)
    assert "2 tasks cancelled, 2 still stopping\n" == running
    until(lambda: site.info()["tasks"]["cancelled"] == 30, PROMPT, "all are cancelled")


def test_a_list_that_is_watched_is_drawn_over_what_was_there(site: Site) -> None:
    """The screen is cleared once, and shows no more than fits; what does not is counted."""
    site.run("cluster", site.farm.write_lines([f"true {n}" for n in range(30)]), "-q").wait()
    terminal = Terminal(columns=40, rows=10)

    watch = site.start("list", "id", "line", "--watch", stdout=terminal.theirs)
    until(lambda: terminal.shown.count("... and") >= 2, PROMPT, "two frames")
    watch.signal(signal.SIGINT)

    assert 0 == watch.wait()
    shown = terminal.close()
    assert 1 == shown.count("\x1b[2J")
    frames = [frame for frame in shown.split("\x1b[H")[1:] if frame.endswith("\x1b[J")]
    assert {9} == {frame.count("\n") for frame in frames}
    assert all("... and 23 more\x1b[K\n" in frame for frame in frames)


def test_a_list_that_is_watched_in_a_file_has_no_escapes(site: Site) -> None:
    """One after the other, with a blank line between them."""
    site.run("cluster", site.farm.write_lines(["true"]), "-q").wait()

    watch = site.start("list", "id", "--watch")
    until(lambda: watch.out.count(b"id") >= 2, PROMPT, "two lists")
    watch.signal(signal.SIGINT)

    assert 0 == watch.wait()
    assert watch.out.startswith(b"id\n 1\n\nid\n 1\n")


def test_all_verbs_name_and_write_a_field_alike(site: Site) -> None:
    """An unknown value is null, or empty; a signal has its name where people read."""
    site.run("cluster", site.farm.write_lines(["kill -9 $$"]), "-q").wait()
    fields = ["id", "memory", "started", "duration", "signal", "exit_status", "cpu", "added"]

    (row,) = listed(site, *fields)
    info = json.loads(out(site.run("info", "1", "--json")))
    exported = json.loads(out(site.run("db", "export")))
    site.run("db", "export", site.path / "e.csv").wait()
    listed_csv = out(site.run("list", *fields, "--format", "csv"))

    (csv_row,) = csv.DictReader((site.path / "e.csv").open())
    assert row == {name: (exported | exported["attempts"][0])[name] for name in fields}
    assert row == {name: (info | info["attempts"][0])[name] for name in fields}
    assert [None, 9] == [row["memory"], row["signal"]]
    assert [{name: csv_row[name] for name in fields}] == [*csv.DictReader(listed_csv.splitlines())]
    assert ["", "KILL"] == [csv_row["memory"], csv_row["signal"]]
    assert "memory ran out" in out(site.run("info", "1"))
    assert "memory ran out" in out(site.run("failures"))
