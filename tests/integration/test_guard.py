"""A machine that fails whatever it is given, beside one that does not."""

import json

import pytest

from tests.helpers.farm import rarely

LINES = [f"sleep 0.01 && echo {n} >> done" for n in range(200)]


@pytest.mark.parametrize("database", [[], rarely(["--no-db"])])
def test_a_broken_client_fails_nothing(farm, database):
    """Ten lines at most are handed to it; it is named, set aside, and its lines run elsewhere."""
    server = farm.start_server(LINES, "-f", "failed", *database)
    good = farm.start_client("-N", 2)
    good.expect("joined the server")
    broken = farm.start_client("-N", 4, env={"PATH": ""})

    codes = [server.wait(60), good.wait(), broken.wait()]

    assert [0, 0, 0] == codes
    assert sorted(map(str, range(200))) == sorted(farm.read("done"))
    assert [] == farm.read("failed")
    assert "failed 10 tasks, while others succeed elsewhere: it is set aside" in server.err
    assert "200 tasks: 200 succeeded, 0 failed" in server.err


def test_without_the_guard_it_fails_what_it_gets(farm):
    """As it may be wanted where lines are known to fail."""
    server = farm.start_server(LINES, "--no-guard")
    good = farm.start_client("-N", 2)
    good.expect("joined the server")
    broken = farm.start_client("-N", 4, env={"PATH": ""})

    codes = [server.wait(60), good.wait(), broken.wait()]

    assert [1, 0, 0] == codes
    assert " 0 failed" not in server.err.split("200 tasks:")[1]


def test_a_client_that_was_set_aside_is_shown_so(farm):
    """By `server info`, and `resume` trusts it again."""
    server = farm.start_server([*LINES[:60], "until test -e enough; do sleep 0.1; done"])
    good = farm.start_client("-N", 2)
    good.expect("joined the server")
    broken = farm.start_client("-N", 4, env={"PATH": ""})
    server.expect("it is set aside")

    shown = json.loads(farm.run("server", "info", "--json").out)["clients"]
    farm.wait_for_lines("done", 60)  # else it would fail the rest, and be set aside again
    (bad,) = [each["id"] for each in shown if each["state"] == "set aside"]
    resumed = farm.run("resume", "--client", bad)
    after = json.loads(farm.run("server", "info", "--json").out)["clients"]
    (farm.folder / "enough").touch()
    server.wait(60)

    assert 0 == resumed.wait()
    assert {"active"} == {each["state"] for each in after}
    assert [0, 0] == [good.wait(), broken.wait()]
