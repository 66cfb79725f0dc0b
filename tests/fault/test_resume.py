"""A server that is killed goes on with the same FILE, again and again, and runs each line once."""

import json

from tests.helpers.waiting import until


def test_a_file_that_was_read_to_its_end_can_be_resumed_twice(farm):
    """What was read stays read: no line is stored anew, and the part is checked each time."""
    file = farm.write_lines([f"echo {n} >> ran" for n in range(50)])
    for how in ([], ["--resume"], ["--resume"]):
        server = farm.start("server", file, *how, "-p", 0)
        server.expect("listens on")
        until(lambda: _lines_read(farm) == 50, 10, "all lines are stored")
        server.kill()

    resumed = farm.start("cluster", file, "--resume")

    assert 0 == resumed.wait(), resumed.err
    assert sorted(map(str, range(50))) == sorted(farm.read("ran"))
    checked = farm.run("db", "check")
    assert b"is whole: 50 tasks (50 succeeded)" in checked.out


def _lines_read(farm) -> int:
    exported = farm.run("db", "export")
    return len([json.loads(line) for line in exported.out.splitlines()])
