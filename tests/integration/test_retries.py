"""Further attempts: how many, and when their turn comes."""

import pytest

FAILS_TWICE = "echo >> tries; test $(wc -l < tries) -gt 2"


def test_a_task_that_fails_twice_succeeds_at_its_third_attempt(farm):
    """`-r 2`: three attempts, exit 0, and nothing is printed."""
    cluster = farm.start_cluster(
        [f"echo $TASK_ATTEMPT >> attempts; {FAILS_TWICE}"], "-r2", "--print"
    )

    code = cluster.wait()

    assert (0, b"") == (code, cluster.out)
    assert ["1", "2", "3"] == farm.read("attempts")
    assert "1 succeeded, 0 failed, 2 retried" in cluster.err


def test_a_task_whose_attempts_are_used_up_is_printed_once(farm):
    """`-r 1`: two attempts, exit 1, and its line."""
    line = f"{FAILS_TWICE} # two are not enough"
    cluster = farm.start_cluster([line, "true"], "-r", 1, "--print")

    code = cluster.wait()

    assert (1, line.encode() + b"\n") == (code, cluster.out)
    assert 2 == len(farm.read("tries"))


@pytest.mark.parametrize(
    ("options", "order"),
    [(["--eager"], ["a", "a", "b", "c", "d"]), ([], ["a", "b", "c", "d", "a"])],
    ids=["eager", "patient"],
)
def test_a_retry_has_its_turn(farm, options, order):
    """With --eager before the tasks that are new; without it after those already read."""
    lines = [f"echo {name} >> order; sleep 0.15; test {name} != a" for name in "abcd"]
    lines[0] = "echo a >> order; sleep 0.15; test $TASK_ATTEMPT -gt 1"

    code = farm.start_cluster(lines, "-r", 1, *options).wait()

    assert 0 == code
    assert order == farm.read("order")


@pytest.mark.campaign
def test_an_endless_input_does_not_starve_a_retry(farm):
    """Without --eager a retry comes after what was read, and not after what is still to come."""
    first = farm.write_lines(["test $TASK_ATTEMPT -gt 1 && touch retried"])
    endless = f"cat {first.name}; until test -e retried; do echo true; done"

    cluster = farm.spawn_shell(f"{{ {endless}; }} | $HYPERSHELL cluster - -r 1 -N 2")

    assert 0 == cluster.wait(60)
