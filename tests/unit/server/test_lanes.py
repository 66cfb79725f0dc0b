"""Tasks with needs at the server: which client gets them, and that none waits for ever."""

import random

import pytest

from hypershell.core.resources import Needs, Offer, Usage, needs_of
from hypershell.core.task import Claim, new_task
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock
from hypershell.server.state.lanes import PATIENCE_SECONDS
from tests.helpers.fakes import ServerParts, commands, succeeded

FOUR = Offer(cores=4)


@pytest.fixture
def later(monkeypatch):
    """Moves the monotonic clock on."""
    ahead = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


def parts_of(*needs: str, bundlesize: int = 1) -> ServerParts:
    """A server with lines that say what they need, as `cores:2`, or nothing."""
    lines = [
        f"{n}{' # HYPERSHELL: ' * bool(each)}{each}".encode() for n, each in enumerate(needs, 1)
    ]
    return ServerParts(*lines, bundlesize=bundlesize)


def numbers(answer) -> list[int]:
    """The tasks of an answer."""
    return [claim.task_id for claim in answer.claims]


def test_a_client_gets_what_fits_it_in_order():
    """4 cores: two tasks of two, and none ahead of them."""
    parts = parts_of("cores:2", "cores:2", "cores:2", "cores:1")
    client = parts.join(offer=FOUR)

    assert [1, 2] == numbers(parts.exchange(client, want=9))
    assert [] == numbers(parts.exchange(client))


def test_a_smaller_task_goes_past_one_that_does_not_fit():
    """It holds up nobody."""
    parts = parts_of("cores:3", "cores:2", "cores:1", "")
    client = parts.join(offer=FOUR)

    assert [1, 3] == numbers(parts.exchange(client, want=1))


def test_plain_tasks_count_as_a_core_beside_tasks_with_needs():
    """And are not fetched ahead then."""
    parts = parts_of("cores:2", "", "", "", "")
    client = parts.join(slots=8, offer=FOUR)

    assert [1, 2, 3] == numbers(parts.exchange(client, want=20))


def test_plain_tasks_alone_are_fetched_as_many_as_are_wanted():
    """Tasks with needs that do not fit beside them wait."""
    parts = parts_of("", "", "", "cores:4", "")
    client = parts.join(slots=2, offer=FOUR)

    assert [1, 2, 3, 5] == numbers(parts.exchange(client, want=4))


def test_a_client_without_an_offer_gets_plain_tasks_only():
    """As one that has too little of something."""
    parts = parts_of("cores:1", "gpus:1", "")
    plain, with_gpu = parts.join(), parts.join(offer=Offer(cores=4, gpus=1))

    assert [3] == numbers(parts.exchange(plain, want=5))
    assert [1, 2] == numbers(parts.exchange(with_gpu, want=5))


def test_a_parked_call_gets_a_task_as_soon_as_it_fits():
    """When the one that had its cores has ended."""
    parts = parts_of("cores:3", "cores:3")
    client = parts.join(offer=FOUR)
    (first,) = parts.exchange(client, want=1).claims

    assert [2] == numbers(parts.give(client, succeeded(first)))


def test_a_draining_client_gets_nothing():
    """It wants no more tasks."""
    parts = parts_of("cores:1")
    client = parts.join(offer=FOUR)

    assert [] == numbers(parts.exchange(client, want=0))


def test_a_large_task_gets_its_client_after_a_while(later):
    """While small ones flow for ever it would not."""
    parts = parts_of("cores:1", "cores:4", *["cores:1"] * 40)
    client = parts.join(offer=FOUR)
    running = parts.exchange(client, want=1).claims
    started: list[int] = []
    while 2 not in started:
        later(PATIENCE_SECONDS / 8)
        answer = parts.give(client, succeeded(running.pop(0)))
        running += answer.claims
        started += numbers(answer)
        assert running, "the client stands still"

    # Eight rounds of patience, and four in which the client runs empty.
    assert len(started) <= 13
    assert [2] == [claim.task_id for claim in running]


def test_kinds_of_large_tasks_take_turns(later):
    """One client, and two kinds that need all of it."""
    keys = ["cores:4", "cores:4 res.a:1", *["cores:1"] * 200]
    parts = parts_of("cores:1", *keys)
    client = parts.join(offer=Offer(cores=4, others=(("a", 1),)))
    running = parts.exchange(client, want=1).claims
    started: list[int] = []
    for _ in range(60):
        later(PATIENCE_SECONDS / 4)
        answer = parts.give(client, succeeded(running.pop(0)))
        running += answer.claims
        started += numbers(answer)

    assert {2, 3} <= set(started)


def test_a_client_that_was_set_aside_and_left_is_forgotten(later):
    """Another one is set aside then."""
    parts = parts_of("cores:1", "cores:4", *["cores:1"] * 20)
    first = parts.join(offer=FOUR)
    (running, *others) = parts.exchange(first, want=1).claims
    later(PATIENCE_SECONDS + 1)
    nothing = numbers(parts.give(first, succeeded(running)))
    second = parts.join(offer=FOUR)
    del others

    parts.leave(first)
    parts.receive()

    assert [] == nothing
    assert [2] == numbers(parts.exchange(second, want=1))


def test_claims_keep_their_needs_when_a_client_comes_back():
    """What it holds is known by the server, whatever it says."""
    parts = parts_of("cores:3", "cores:3")
    client = parts.join(offer=FOUR)
    (claim,) = parts.exchange(client, want=1).claims
    (known,) = parts.registry.clients()

    assert Needs(3) == known.needs[claim.task_id]
    assert 3 == known.usage.cores
    parts.give(client, succeeded(claim))
    assert (3, {2: Needs(3)}) == (known.usage.cores, known.needs)


def test_bundles_of_tasks_with_needs_are_parted():
    """They go one by one, and never more than fit."""
    parts = parts_of(*["cores:2"] * 6, "", "", bundlesize=4)
    client = parts.join(offer=FOUR)

    assert [1, 2] == numbers(parts.exchange(client, want=1))


def test_a_run_may_give_needs_to_all_of_its_tasks():
    """A task of its own number of cores keeps that."""
    lines = [b"a", b"b", b"c # HYPERSHELL: cores:1"]
    parts = ServerParts(*lines, default=TaskSpec(cores=2))
    client = parts.join(offer=Offer(cores=3))

    assert [b"a", b"c"] == commands(parts.exchange(client, want=1))


@pytest.mark.parametrize("seed", range(12))
def test_no_client_is_ever_given_more_than_it_has(seed, later):
    """Random tasks, clients and endings; all tasks come to run."""
    chance = random.Random(seed)
    keys = ["", "cores:1", "cores:2", "cores:4", "memory:5", "gpus:1 cores:2", "res.a:2"]
    parts = parts_of(*chance.choices(keys, k=120))
    offers = [
        Offer(chance.choice([4, 8]), 12, 2, (("a", 3),), limits_places=chance.random() < 0.5)
        for _ in range(3)
    ]
    slots = [chance.choice([1, 3, 6]) for _ in offers]
    clients = [parts.join(slots=n, offer=o) for n, o in zip(slots, offers, strict=True)]
    running: list[list[Claim]] = [[], [], []]
    done = 0
    for _ in range(2000):
        n = chance.randrange(3)
        later(chance.random())
        ended = chance.sample(running[n], chance.randint(0, len(running[n])))
        running[n] = [claim for claim in running[n] if claim not in ended]
        done += len(ended)
        outcomes = [succeeded(claim) for claim in ended]
        give = parts.give if ended else parts.exchange
        running[n] += give(clients[n], *outcomes, want=slots[n] + chance.randint(0, 2)).claims
        parts.scheduler.dispatch()
        _check_usage(running[n], offers[n], slots[n])
        if done == 120:
            break

    assert 120 == done


def _check_usage(running: list[Claim], offer: Offer, slots: int) -> None:
    """Of what a client holds, no more has to run at once than it has for it."""
    used, plain = Usage(offer, slots), 0
    for claim in running:
        needs = needs_of(new_task(claim.command, 1, 1).spec) or needs_of(claim.spec)
        if needs is None:
            plain += 1
        else:
            used.add(needs)
    plain = min(plain, slots) if used.number else 0
    amounts = dict(offer.others)
    assert used.cores + plain <= offer.cores
    assert used.memory <= offer.memory
    assert used.gpus <= offer.gpus
    assert all(number <= amounts[name] for name, number in used.others.items())
    assert not offer.limits_places or used.number + plain <= slots
