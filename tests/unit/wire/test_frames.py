"""What a long frame may hold, and how much of them is under way at a time."""

import msgpack
import pytest
from hypothesis import given, settings

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.wire.codec import WireError, encode
from hypershell.wire.frames import MAX_ELEMENTS, FrameBudget, check_shape, frame_seconds
from tests.property.test_codec import VALUES


@settings(deadline=None)
@given(VALUES)
def test_any_value_of_a_client_has_its_shape_found(value):
    """The walk ends where the value does, for every kind of value that is sent."""
    check_shape(encode(value))
    check_shape(memoryview(encode(value)))


@settings(deadline=None)
@given(VALUES)
def test_a_value_that_is_cut_short_or_goes_on_is_refused(value):
    """Whatever it is."""
    data = encode(value)

    with pytest.raises(WireError):
        check_shape(data + b"\0")
    with pytest.raises(WireError):
        check_shape(data[:-1])


def test_the_largest_batch_of_outcomes_is_let_through():
    """As many as a client gives at once, each with all that it can say."""
    outcomes = [Outcome(n, 1, Ending.EXITED, 1, "x" * 40, err=b"x" * 200) for n in range(5000)]

    check_shape(encode(["worker service", "exchange", ["c", 1, outcomes, 1, 0.0, []], {}]))


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\x00\x10\x00\x00" + b"\x90" * 2**20,
        b"\xdf\x00\x08\x00\x00" + b"\xa0\xc0" * 2**19,
        b"\x9f" + (b"\xdc\xff\xff" + b"\xc0" * 0xFFFF) * 15,
        b"\xdd\xff\xff\xff\xff",
    ],
    ids=["empty lists", "one dict", "many lists", "a length beyond the frame"],
)
def test_too_many_values_are_refused(data):
    """In one list or in many."""
    with pytest.raises(WireError, match=f"more than {MAX_ELEMENTS} values"):
        check_shape(data)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa0", b"\xdc\x00\x01"])
def test_deep_values_are_refused(opening):
    """However they are nested."""
    check_shape(opening * 8 + b"\xc0")

    with pytest.raises(WireError, match="nested"):
        check_shape(opening * 9 + b"\xc0")


def test_a_tag_is_refused():
    """What is in it would not be looked at, and no client sends one."""
    with pytest.raises(WireError, match="no client sends"):
        check_shape(msgpack.packb([msgpack.ExtType(1, b"x" * 100)]))


class Peer:
    """A connection, and whether it was ended."""

    aborted = False

    def abort(self) -> None:
        """See Connection."""
        self.aborted = True


def test_the_frame_that_was_begun_first_goes_when_there_are_too_many():
    """An honest one is over by then."""
    budget = FrameBudget(100)
    withholding, honest, last = Peer(), Peer(), Peer()

    budget.begin(withholding, 60)
    budget.begin(honest, 40)
    budget.begin(last, 30)

    assert [True, False, False] == [p.aborted for p in (withholding, honest, last)]


def test_what_is_over_makes_room():
    """Also where it was given up: it is counted once."""
    budget = FrameBudget(100)
    peers = [Peer() for _ in range(50)]

    for peer in peers:
        budget.begin(peer, 60)
        budget.end(peer)
        budget.end(peer)

    assert not any(peer.aborted for peer in peers)


def test_a_frame_that_is_larger_than_all_is_let_through_alone():
    """There is nobody else to go."""
    budget = FrameBudget(100)
    peer = Peer()

    budget.begin(peer, 1000)

    assert not peer.aborted


def test_a_frame_has_time_for_its_length():
    """A slow link of a megabit a second is fast enough."""
    assert frame_seconds(0) < 20 < frame_seconds(16 * 2**20) < 180
