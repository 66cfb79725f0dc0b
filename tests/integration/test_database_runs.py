"""Runs on the default database: one after the other, and whatever their lines look like."""

import json

import pytest

from tests.helpers.farm import rarely

LOOK_ALIKES = [
    b"20240101",
    b"2024-01-31T12:00:00Z",
    b"007",
    b"-1",
    b"1e9",
    b"NaN",
    b"True",
    b"None",
    b"null",
    b'{"line": "x", "id": 7}',
    b"[1, 2, 3]",
    b"'; DROP TABLE tasks; --",
    b"SELECT * FROM tasks WHERE id = ?",
    b"%s %(name)s %d :name $1 {0} {}",
    b"$(echo not run) `echo not run`",
    b'"quoted" \'both\' \\"',
    b"a\tb  c ",
    b"\\n \\x00 \\",
    "\u00fc\u4e2d\U0001f600".encode(),
    b"\xff\xfe\x80 not utf-8",
    b"~/x *.py [a-z]? !! #no-comment",
    b"x" * 100_000,
]
"""Texts that somebody might take for something else."""


@pytest.mark.parametrize("number", [3, rarely(8)])
def test_a_file_of_three_lines_runs_three_tasks_each_time(farm, number):
    """Runs in a row on one database: each runs its own lines, all of them, and ends."""
    path = farm.write_lines([f"echo {n} >> ran" for n in range(3)])

    runs = [farm.start_cluster(path).wait() for _ in range(number)]

    assert [0] * number == runs
    assert ["0", "1", "2"] * number == sorted_by_runs(farm.read("ran"))
    exported = farm.run("db", "export").out.splitlines()
    tasks = [json.loads(line) for line in exported]
    assert list(range(1, 3 * number + 1)) == [task["id"] for task in tasks]
    assert [1, 2, 3] * number == [task["number"] for task in tasks]
    assert number == len({task["run"] for task in tasks})


def sorted_by_runs(lines: list[str]) -> list[str]:
    """Threes, each in order: those of one run may end in any."""
    return [line for n in range(0, len(lines), 3) for line in sorted(lines[n : n + 3])]


def test_lines_that_look_like_something_else_run_byte_for_byte(farm):
    """Dates, numbers, JSON, SQL, formats and shell: the task gets what the file has."""
    quoted = [text.replace(b"'", b"'\\''") for text in LOOK_ALIKES]
    lines = [b"printf '%%s\\n' '%s' >> ran" % text for text in quoted]

    cluster = farm.start_cluster(lines, "-N", 1)

    assert 0 == cluster.wait(), cluster.err
    assert LOOK_ALIKES == (farm.folder / "ran").read_bytes().splitlines()


def test_lines_are_stored_and_given_back_byte_for_byte(farm):
    """Each of them fails as it stands, and comes back in the failures as in the file."""
    file = farm.write_lines([b"false " + text for text in LOOK_ALIKES])

    cluster = farm.start("cluster", file, "-f", "failed", "--shell", "/bin/false")

    assert 1 == cluster.wait(), cluster.err
    assert file.read_bytes() == (farm.folder / "failed").read_bytes()


@pytest.mark.parametrize("how", ["sqlite", "postgresql"])
def test_a_restart_runs_failed_lines_as_they_were_read(farm, request, how):
    """Through the database and back, in SQLite as in PostgreSQL."""
    options = []
    if how == "postgresql":
        url = request.getfixturevalue("postgres_url")
        assert 0 == farm.run("initdb", "--database", url).popen.returncode
        options = ["--database", url]
    texts = [text.replace(b"'", b"'\\''") for text in LOOK_ALIKES]
    lines = [b"printf '%%s\\n' '%s' >> ran; exit 1" % text for text in texts]
    assert 1 == farm.start_cluster(lines, "-N", 1, *options).wait()
    (farm.folder / "ran").unlink()

    again = farm.start("cluster", "--restart", "-N", 1, *options)

    assert 1 == again.wait(), again.err
    assert LOOK_ALIKES == (farm.folder / "ran").read_bytes().splitlines()
