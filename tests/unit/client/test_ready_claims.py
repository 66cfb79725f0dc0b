"""Which of a client's ready claims may start."""

from hypershell.client.ready_claims import ReadyClaims
from hypershell.core.resources import Offer
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec

OFFER = Offer(cores=4)


def claim(number: int, cores: int = 0) -> Claim:
    """A claim, plain if it asks for no cores."""
    spec = TaskSpec(cores=cores).pack_for_client() if cores else ""
    return Claim(number, 1, 1, b"true", spec)


def take_all(ready: ReadyClaims, running: int = 0) -> list[int]:
    """Start all that may start, one after the other."""
    found = []
    while (taken := ready.take(running + len(found))) is not None:
        found.append(taken.task_id)
    return found


def test_plain_claims_start_in_order_up_to_the_slots():
    """Whatever the client offers to others."""
    ready = ReadyClaims(2, OFFER)
    ready.extend([claim(1), claim(2), claim(3)])

    assert [1, 2] == take_all(ready)


def test_claims_with_needs_go_first_and_plain_ones_beside_them():
    """The server gave them because they fit; each plain one counts as a core."""
    ready = ReadyClaims(8, OFFER)
    ready.extend([claim(1), claim(2), claim(3, 2), claim(4)])

    assert [3, 1, 2] == take_all(ready)


def test_no_plain_claim_starts_while_one_with_needs_waits():
    """Else it might wait for ever."""
    ready = ReadyClaims(4, OFFER)
    ready.extend([claim(1), claim(2)])
    started = take_all(ready)
    ready.extend([claim(3, 4), claim(4), claim(5)])

    meanwhile = take_all(ready, running=2)
    after = take_all(ready, running=0)

    assert ([1, 2], [], [3]) == (started, meanwhile, after)


def test_what_has_ended_makes_room():
    """A claim with needs gives back what it took."""
    ready = ReadyClaims(1, OFFER)
    large = claim(1, 4)
    ready.extend([large, claim(2)])

    first = take_all(ready)
    has_needs = ready.ended(large)

    assert ([1], True, [2]) == (first, has_needs, take_all(ready))


def test_a_claim_that_is_put_back_is_the_next():
    """And takes nothing meanwhile."""
    ready = ReadyClaims(4, OFFER)
    ready.extend([claim(1, 4), claim(2, 4)])
    taken = ready.take(0)

    ready.put_back(taken)

    assert [1] == take_all(ready)


def test_plain_claims_that_are_too_many_go_back_and_at_the_end_all():
    """Those with needs are never too many: they all run at once."""
    ready = ReadyClaims(4, OFFER)
    ready.extend([claim(1, 1), claim(2), claim(3), claim(4)])

    surplus = ready.give_back(1)
    rest = ready.give_back_all()

    assert ([3, 4], [1, 2]) == ([c.task_id for c in surplus], [c.task_id for c in rest])
    assert not ready


def test_claims_can_be_taken_out():
    """Of both kinds, in one go."""
    ready = ReadyClaims(4, OFFER)
    ready.extend([claim(1, 1), claim(2), claim(3, 1), claim(4)])

    gone = ready.remove(lambda each: each.task_id in (3, 4))

    assert ([3, 4], [1, 2]) == ([c.task_id for c in gone], [c.task_id for c in ready.all()])
