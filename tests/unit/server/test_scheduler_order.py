"""What goes first of what is leased, and who is woken while nothing is handed out."""

from collections.abc import Callable

import pytest

from hypershell.core.ending import Ending
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.wire.worker_messages import Phase
from tests.helpers.fakes import ServerParts, commands, ended


def test_only_what_is_rescheduled_goes_before_what_is_scheduled():
    """New tasks that the scheduler leases together with it go behind, in their order."""
    parts = ServerParts(b"a", b"b", b"c", b"d", bundlesize=2)
    client = parts.join()
    given_back = [
        ended(claim, Ending.GIVEN_BACK) for claim in parts.exchange(client, want=1).claims
    ]
    parts.store.record([(client.client_id, given_back)])
    parts.add(b"e", b"f")

    parts.scheduler.dispatch()

    answer = parts.exchange(parts.join("node2"), want=6)
    assert [b"a", b"b", b"c", b"d", b"e", b"f"] == commands(answer)


@pytest.mark.parametrize(
    "hand_out_nothing",
    [
        pytest.param(lambda queue: queue.pause(), id="paused"),
        pytest.param(lambda queue: queue.set_phase(Phase.DRAINING), id="draining"),
        pytest.param(lambda queue: queue.set_phase(Phase.STOPPING), id="stopping"),
    ],
)
def test_a_call_that_is_given_nothing_wakes_no_other_while_nothing_is_handed_out(
    hand_out_nothing: Callable[[ScheduledQueue], None],
):
    """Though a bundle lies there: the other would be given nothing too, and wake this one."""
    parts = ServerParts(b"a")
    first, second = parts.join(), parts.join("node2")
    hand_out_nothing(parts.scheduled)
    parts.exchange(first, want=1)  # it knows the phase from now on, and so can be parked
    parts.park(first)

    with parts.lock:  # one that was woken cannot park again before it is counted
        answer = parts.exchange(second, want=1)
        parked = parts.parked()

    assert ([], 1) == (answer.claims, parked)
