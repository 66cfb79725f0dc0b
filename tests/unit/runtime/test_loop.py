"""A thread that runs passes, and never dies silently."""

import threading

import pytest

from hypershell.runtime.loop import Loop

PROMPT = 5.0


@pytest.fixture
def failures() -> list[tuple[str, Exception]]:
    """What loops tell when they fail."""
    return []


@pytest.fixture
def make_loop(failures):
    """A loop by its pass."""

    def make(one_pass, wake=lambda: None):
        return Loop("worker", one_pass, lambda *what: failures.append(what), wake)

    return make


def test_a_loop_runs_passes_until_one_says_that_it_was_the_last(make_loop, failures):
    """And says nothing about it."""
    left = [True, True, False]
    loop = make_loop(lambda: left.pop(0))

    loop.start()

    assert loop.join(PROMPT)
    assert [] == left
    assert [] == failures


def test_a_loop_that_is_stopped_runs_no_further_pass(make_loop):
    """Whoever stops it wakes the pass that is under way."""
    begun, woken, passes = threading.Event(), threading.Event(), []

    def one_pass() -> bool:
        passes.append(None)
        begun.set()
        return woken.wait(PROMPT)

    loop = make_loop(one_pass, woken.set)
    loop.start()
    begun.wait(PROMPT)

    loop.stop()

    assert loop.join(PROMPT)
    assert 1 == len(passes)


def test_an_error_in_a_pass_is_handed_on(make_loop, failures):
    """With the name of the loop; the loop has ended."""
    error = OSError("disk on fire")

    def one_pass() -> bool:
        raise error

    loop = make_loop(one_pass)
    loop.start()

    assert loop.join(PROMPT)
    assert [("worker", error)] == failures


def test_a_loop_that_was_never_started_can_be_stopped_and_joined(make_loop):
    """An owner that fails half way up closes all that it made."""
    loop = make_loop(lambda: True)

    loop.stop()

    assert loop.join(0)
