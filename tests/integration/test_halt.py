"""Runs that end early by --halt, and what is left of them."""

import os
import shutil
import signal
import subprocess

import pytest

ONE_BY_ONE = [f"sleep 0.4; echo {n}; exit {int(n < 3)}" for n in range(1, 5)]


@pytest.mark.parametrize(
    ("rule", "code", "printed", "said"),
    [
        ("soon,fail=2", 1, 2, "2 failed, the last of them task 2"),
        ("now,success=1", 0, 3, "1 succeeded, the last of them task 3"),
        ("now,done=1", 1, 1, "1 finished, the last of them task 1"),
        ("soon,fail=60%", 1, 4, ""),  # two are no share of anything
    ],
)
def test_a_run_ends_by_its_rule(farm, rule, code, printed, said):
    """It says which, and by which task; lines that did not run are unfinished."""
    cluster = farm.start_cluster(ONE_BY_ONE, "--halt", rule)

    status = cluster.wait()

    assert code == status
    assert said in cluster.err
    assert (f"ending the run by --halt {rule}" in cluster.err) == bool(said)
    assert set(range(1, printed + 1)) <= {int(line) for line in cluster.out.split()}
    assert ("unfinished" in cluster.err) == bool(said)


def test_now_stops_what_runs_and_soon_lets_it_end(farm):
    """A task of a minute, and one that fails beside it."""
    lines = ["sleep 60; touch late", "test -e began || sleep 0.2; exit 1"]

    now = farm.start_cluster(lines, "-N2", "--halt", "now,fail=1", "--grace", 1)
    codes = [now.wait(30)]
    lines[0] = "sleep 1; touch late"
    soon = farm.start_cluster(lines, "-N2", "--halt", "soon,fail=1")
    codes.append(soon.wait(30))

    assert [1, 1] == codes
    assert "stopping running tasks" in now.err
    assert (farm.folder / "late").exists()


def test_what_was_not_run_is_run_by_resume(farm):
    """Each line once."""
    path = farm.write_lines(f"sleep 0.3; echo {n} >> ran; exit {int(n == 2)}" for n in range(1, 9))
    first = farm.start_cluster(path, "--halt", "soon,fail=1")
    first.wait()
    before = farm.read("ran")

    second = farm.start_cluster(path, "--resume", "-N4")
    second.wait()

    assert ["1", "2"] == before[:2]
    assert len(before) < 8
    assert sorted("12345678") == sorted(farm.read("ran"))


def test_a_signal_comes_before_a_rule(farm):
    """Whoever ended it first is whom the exit status names."""
    cluster = farm.start_cluster(["echo >> began; sleep 60", "exit 1"], "--halt", "soon,fail=1")
    farm.wait_for_lines("began", 1)

    cluster.signal(signal.SIGTERM)

    assert 143 == cluster.wait(30)


HALTS = [
    # Of the manual of GNU parallel 20221122, slowed down so that each task ends by itself.
    ("now,fail=1", "sleep 0.$(( 4 * {#} )); echo {#}; exit {}", "0 0 1 0 0"),
    ("soon,fail=1", "sleep 0.$(( 4 * {#} )); echo {#}; exit {}", "0 1 0 0 0"),
    ("now,success=1", "sleep 0.5; echo {#}; exit {}", "1 1 0 0"),
    ("soon,success=2", "sleep 0.3; echo {#}; exit {}", "0 1 0 0"),
    ("never", "echo {#}; exit {}", "0 1 0 1 1"),
]


@pytest.mark.campaign
@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not installed")
@pytest.mark.parametrize(("rule", "command", "statuses"), HALTS)
def test_a_rule_ends_a_run_where_gnu_parallel_ends_one(farm, rule, command, statuses):
    """With one task at a time: the same tasks have run. Its exit status says more than ours."""
    (farm.folder / ".parallel").mkdir()
    (farm.folder / ".parallel" / "will-cite").touch()
    theirs = subprocess.run(
        ["parallel", "-j1", "--halt", rule, command, ":::", *statuses.split()],
        cwd=farm.folder, env={**os.environ, "HOME": str(farm.folder)}, capture_output=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    ours = farm.run(
        *("cluster", "-q", "--no-db", "-N1", "--halt", rule, "--", command),
        *(":::", *statuses.split()),
    )

    assert theirs.stdout.splitlines() == ours.out.splitlines()
    assert bool(theirs.returncode) == bool(ours.wait())
