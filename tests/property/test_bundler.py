"""Bundles, for any arrivals: nothing is lost, nothing comes twice, nothing waits too long."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.core.bundle import Bundler

ARRIVALS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), max_size=30)


@settings(deadline=None)
@given(ARRIVALS, st.integers(1, 5), st.integers(0, 5))
def test_what_goes_in_comes_out_once_and_in_order_and_in_time(arrivals, size, wait_seconds):
    """Bundles are full unless they were flushed, and flushed no later than asked for."""
    bundler: Bundler[int] = Bundler(size, wait_seconds)
    came: list[tuple[int, float]] = []
    gone: list[tuple[int, float]] = []
    now = 0.0

    def hand_out(bundles: list[list[int]], at: float) -> None:
        gone.extend((item, at) for bundle in bundles for item in bundle)

    for pause, count in arrivals:
        # Whoever adds looks when something is due, as the intake does.
        due = bundler.due(now)
        if due is not None and due <= pause:
            hand_out(bundler.flush(), now + due)
        now += pause
        items = [len(came) + position for position in range(count)]
        came += [(item, now) for item in items]
        full = bundler.add(items, now)
        hand_out(full, now)
        assert all(len(bundle) == size for bundle in full)
    rest_due = bundler.due(now) or 0.0
    rest = bundler.flush()
    hand_out(rest, now + rest_due)

    assert all(0 < len(bundle) < size for bundle in rest)
    assert [item for item, _ in came] == [item for item, _ in gone]
    assert all(end - begin <= wait_seconds for (_, begin), (_, end) in zip(came, gone, strict=True))
