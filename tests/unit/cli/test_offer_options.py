"""What a client offers, by its options and by those of its cluster."""

import os

import pytest

from hypershell.cli.offer_options import offer_from, offer_words
from hypershell.cli.options import parse
from hypershell.cli.verbs import client, cluster
from hypershell.core.errors import UsageError
from hypershell.runtime.machine import allocated_cores

GIB = 2**30


def parsed(verb: str, *words: str):
    """The options of a command line."""
    usage = client.USAGE if verb == "client" else cluster.USAGE
    return parse(usage, verb, list(words))


def test_a_client_offers_what_it_is_told_or_else_what_it_has():
    """Of its synonyms either will do."""
    offer, gpus = offer_from(
        parsed("client", "--client-cores", "9", "--client-memory", "2GiB", "--gpus", "2")
    )

    assert (9, 2 * GIB, 2, False) == (offer.cores, offer.memory, offer.gpus, offer.limits_places)
    assert ("0", "1") == gpus.ids
    assert allocated_cores(os.environ) == offer_from(parsed("client"))[0].cores


def test_what_tasks_of_a_cluster_need_is_not_what_its_client_has():
    """`--gpus` there is theirs."""
    words = ["f", "--gpus", "3", "--resource", "a=1", "--client-resource", "a=2"]

    offer, _ = offer_from(parsed("cluster", *words))

    assert (0, (("a", 2),)) == (offer.gpus, offer.others)


def test_places_are_limited_where_their_number_is_said():
    """Also if it is that of the default."""
    assert offer_from(parsed("client", "-N", "1"))[0].limits_places
    assert offer_from(parsed("client", "-j", "1"))[0].limits_places


def test_clients_of_one_machine_share_what_it_has():
    """In equal parts, but for the GPUs."""
    words = offer_words(parsed("cluster", "f", "--client-memory", "1GiB", "--pin"), clients=2)
    said = dict(zip(words[:-1:2], words[1::2], strict=True))

    assert str(max(1, allocated_cores(os.environ) // 2)) == said["--client-cores"]
    assert ("1GiB", "0", "--pin") == (said["--client-memory"], said["--client-gpus"], words[-1])
    assert [] == offer_words(parsed("cluster", "f"), clients=1)


@pytest.mark.parametrize(
    "words",
    [
        ("--client-cores", "0"),
        ("--client-memory", "0"),
        ("--client-memory", "x"),
        ("--client-memory", "9000PB"),
        ("--client-gpus", "-1"),
        ("--client-resource", "a"),
        ("--client-resource", "a=0"),
        ("--client-resource", "cores=3"),
        ("--resource", "a b=1"),
        ("--gpus", "1", "--client-gpus", "2"),
    ],
)
def test_a_wrong_offer_is_refused(words):
    """By the option that is wrong."""
    with pytest.raises(UsageError, match=r"--client-|--resource|--gpus"):
        offer_from(parsed("client", *words))
