"""Pauses that grow."""

from hypershell.runtime.backoff import Backoff


def pauses(backoff: Backoff, number: int) -> list[float]:
    """The next ones."""
    return [backoff.pause() for _ in range(number)]


def test_pauses_double_up_to_the_longest():
    """And stay there."""
    assert [0.1, 0.2, 0.4, 0.5, 0.5] == pauses(Backoff(0.1, 0.5), 5)


def test_pauses_may_grow_more_slowly():
    """By a factor of one's own."""
    assert [1.0, 1.5, 2.25] == pauses(Backoff(1.0, 10.0, factor=1.5), 3)


def test_pauses_begin_again_after_a_success():
    """With the first."""
    backoff = Backoff(0.1, 0.5)
    pauses(backoff, 3)

    backoff.reset()

    assert [0.1, 0.2] == pauses(backoff, 2)
