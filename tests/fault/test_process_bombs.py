"""Lines that start processes without end and take their client with them."""

import pytest

from tests.helpers.once import assert_never_twice, exclusive
from tests.helpers.waiting import until

BOMB = (
    "test $TASK_ATTEMPT -gt 1 && exit; "
    "n=0; while test $n -lt 150; do n=$((n+1)); "
    "(trap '' TERM; while :; do (trap '' TERM; exec sleep 0.05); done) & done; "
    "kill -9 $PPID; sleep 100"
)
"""150 processes that ignore TERM and start others all the time."""


@pytest.mark.campaign
def test_a_bomb_whose_clean_up_outlasts_the_lease_condemns_nobody(farm, need):
    """The supervisor keeps the lease meanwhile; what was never begun is given back."""
    need("flock")
    lines = [BOMB, *[exclusive("sleep 0.1")] * 60]
    server = farm.start_server(lines, "--lease", 2, "--grace", 0.5, "--max-lost", 2)
    first = farm.start_client("-N", 4)
    until(lambda: not first.is_running, 60, "the first client has ended")
    other = farm.start_client("-N", 4)

    assert [0, 0] == [server.wait(60), other.wait()], server
    assert "61 succeeded, 0 failed" in server.err
    assert 60 == len(farm.read("ends"))
    assert_never_twice(farm)
