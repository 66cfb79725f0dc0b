"""When a bundle is full, or old enough."""

import pytest

from hypershell.core.bundle import Bundler


@pytest.fixture
def bundler() -> Bundler[str]:
    """Bundles of three that wait for five seconds."""
    return Bundler(3, 5.0)


def test_a_bundle_that_is_not_full_stays(bundler):
    """Nothing is handed out before its time."""
    bundles = bundler.add(["a", "b"], now=100.0)

    assert [] == bundles


def test_a_full_bundle_goes_at_once(bundler):
    """The item that fills it is its last."""
    bundler.add(["a", "b"], now=100.0)

    assert [["a", "b", "c"]] == bundler.add(["c"], now=101.0)


def test_many_items_make_many_bundles_and_a_rest(bundler):
    """In order; the rest is gathered."""
    bundles = bundler.add(list("abcdefgh"), now=100.0)

    assert [["a", "b", "c"], ["d", "e", "f"]] == bundles
    assert [["g", "h"]] == bundler.flush()


def test_nothing_is_due_while_nothing_is_gathered(bundler):
    """Whoever waits for a bundle to grow old may wait without end."""
    assert bundler.due(100.0) is None


def test_the_oldest_item_tells_when_a_bundle_is_due(bundler):
    """Those that come later do not put it off."""
    bundler.add(["a"], now=100.0)
    bundler.add(["b"], now=104.0)

    assert 1.0 == bundler.due(104.0)
    assert 0.0 == bundler.due(106.0)


def test_what_is_left_of_a_full_bundle_is_as_old_as_its_own_items(bundler):
    """Not as old as those that have gone."""
    bundler.add(["a"], now=100.0)
    bundler.add(["b", "c", "d"], now=104.0)

    assert 5.0 == bundler.due(104.0)


def test_a_flush_leaves_nothing(bundler):
    """And nothing comes of a second one."""
    bundler.add(["a"], now=100.0)

    assert [["a"]] == bundler.flush()
    assert [] == bundler.flush()
    assert bundler.due(200.0) is None
