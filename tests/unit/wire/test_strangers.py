"""Which of the connections without a key goes when there are too many."""

import random

import pytest

from hypershell.runtime import chance
from hypershell.wire.strangers import STRANGERS, Strangers, source_of


class Peer:
    """A connection from somewhere."""

    def __init__(self, peer: str) -> None:
        self.peer = peer


@pytest.fixture(autouse=True)
def _seeded(monkeypatch) -> None:
    monkeypatch.setattr(chance, "uniform", random.Random(1).uniform)


def fill(strangers: Strangers, source: str, number: int = STRANGERS, greet: bool = False):
    """So many strangers from one address."""
    peers = [Peer(source) for _ in range(number)]
    for peer in peers:
        strangers.add(peer)
        if greet:
            strangers.greeted(peer)
    return peers


def survives(strangers: Strangers, mine: Peer, source: str, arrivals: int, greet: bool) -> bool:
    """Whether a peer in the middle of its handshake is still there after so many arrivals."""
    fill(strangers, source, arrivals, greet)
    return strangers.proved(mine)


@pytest.mark.parametrize("source", ["192.0.2.1", "192.0.2.2"])
def test_who_has_greeted_outlives_any_number_of_silent_ones(source):
    """From its own address or another."""
    strangers = Strangers()
    silent = fill(strangers, "192.0.2.1")
    mine = Peer(source)

    strangers.add(mine)
    strangers.greeted(mine)

    assert survives(strangers, mine, "192.0.2.1", 5000, greet=False)
    assert not strangers.proved(silent[0])


def test_who_has_just_come_has_time_to_greet():
    """Some more may come before its first word is read."""
    strangers = Strangers()
    fill(strangers, "192.0.2.1")
    mine = Peer("192.0.2.1")

    strangers.add(mine)

    assert survives(strangers, mine, "192.0.2.1", STRANGERS - 20, greet=False)


def test_an_address_that_takes_more_than_its_share_loses_its_own():
    """However many greetings come from there."""
    strangers = Strangers()
    fill(strangers, "192.0.2.1", greet=True)
    mine = Peer("192.0.2.2")

    strangers.add(mine)

    assert survives(strangers, mine, "192.0.2.1", 5000, greet=True)


def test_a_flood_of_greetings_from_ones_own_address_is_got_through():
    """Each try has a fair chance: 75 more come while it shakes hands, as 300 a second would do."""
    strangers = Strangers()
    fill(strangers, "192.0.2.1", greet=True)

    def attempt() -> bool:
        mine = Peer("192.0.2.1")
        strangers.add(mine)
        strangers.greeted(mine)
        return survives(strangers, mine, "192.0.2.1", 75, greet=True)

    got_through = sum(attempt() for _ in range(100))

    assert got_through > 30


def test_an_address_of_clients_keeps_its_place_beside_many_others():
    """Somebody there has proved the key: it has four times the share of one that nobody knows."""
    strangers = Strangers()
    for mine in fill(strangers, "192.0.2.9", 1):
        strangers.proved(mine)
    returning = fill(strangers, "192.0.2.9", 4, greet=True)

    for number in range(1000):
        fill(strangers, f"198.51.100.{number % 250}", 1, greet=True)

    assert all(strangers.proved(peer) for peer in returning)


def test_there_are_never_more_than_may_be():
    """Nor is anybody told to go twice."""
    strangers = Strangers(most=10)
    gone = [strangers.add(Peer(f"192.0.2.{n % 7}")) for n in range(500)]

    assert 10 == len(list(strangers))
    went = [peer for peer in gone if peer is not None]
    assert 490 == len(set(went)) == len(went)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(one, other, same):
    """One customer has 2**64 of them."""
    assert same == (source_of(one) == source_of(other))
