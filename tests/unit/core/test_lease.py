"""The arithmetic of a lease."""

import pytest

from hypershell.core.lease import call_seconds, margin_seconds


def test_the_margin_is_a_tenth_of_a_short_lease():
    """And a second of a long one."""
    assert 0.1 == margin_seconds(1.0)
    assert 1.0 == margin_seconds(30.0)


@pytest.mark.parametrize(("lease", "grace"), [(0.5, 0.1), (2.0, 0.5), (30.0, 5.0), (3600.0, 60.0)])
def test_a_client_has_time_to_come_back_when_a_connection_dies_without_a_word(lease, grace):
    """Parked, waiting for the answer, and once more for the next call."""
    mine = lease - grace - margin_seconds(lease)

    assert 0 < 3 * call_seconds(lease, grace) < mine
