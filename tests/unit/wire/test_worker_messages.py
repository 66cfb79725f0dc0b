"""The records of the worker plane: bounds that a peer's word must keep."""

import math

import pytest

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.wire.codec import decode, encode
from hypershell.wire.worker_messages import (
    Hello,
    Welcome,
    pack_hello,
    pack_welcome,
    unpack_answer,
    unpack_begun,
    unpack_hello,
    unpack_outcome,
    unpack_pairs,
    unpack_welcome,
)


@pytest.mark.parametrize("slots", [0, -1, 100_001, 2**63])
def test_a_greeting_with_an_absurd_number_of_slots_is_refused(slots):
    """Nobody has none, and nobody has so many."""
    with pytest.raises(ValueError, match="greeting"):
        unpack_hello(pack_hello(Hello("node1", 1, slots)))


def test_a_greeting_with_an_endless_host_name_is_refused():
    """It is written into logs."""
    with pytest.raises(ValueError, match="greeting"):
        unpack_hello(pack_hello(Hello("n" * 256, 1, 1)))


@pytest.mark.parametrize("ending", [-1, max(Ending) + 1, 2**40])
def test_an_outcome_with_an_unknown_ending_is_refused(ending):
    """A newer client must not end tasks in a way that this server does not know."""
    packed = decode(encode(Outcome(1, 1, Ending.EXITED)))
    packed[2] = ending

    with pytest.raises(ValueError, match="outcome"):
        unpack_outcome(packed)


@pytest.mark.parametrize("ending", [e for e in Ending if not e.reported])
def test_an_ending_that_only_the_server_tells_is_refused(ending):
    """A client that says it is lost is not."""
    with pytest.raises(ValueError, match="outcome"):
        unpack_outcome(decode(encode(Outcome(1, 1, ending))))


def test_an_outcome_with_an_endless_reason_is_refused():
    """It would be kept for as long as the task."""
    packed = decode(encode(Outcome(1, 1, Ending.UNSTARTABLE, reason="x" * 4097)))

    with pytest.raises(ValueError, match="outcome"):
        unpack_outcome(packed)


@pytest.mark.parametrize(
    "field",
    [
        *({"code": code} for code in (-1, 256, 2**63)),
        *({"slot": slot} for slot in (-1, 100_001)),
        *({"pid": pid} for pid in (-1, 2**31)),
        *({"peak_kib": peak} for peak in (-1, 2**50 + 1)),
        *(
            {name: number}
            for name in ("started_at", "seconds", "user_seconds", "system_seconds")
            for number in (math.nan, math.inf, -1.0, 1e300)
        ),
    ],
    ids=str,
)
def test_an_outcome_that_no_database_could_keep_is_refused(field):
    """One that got in would end the server, or all who ask for it later."""
    with pytest.raises(ValueError, match="outcome"):
        unpack_outcome(decode(encode(Outcome(1, 1, Ending.EXITED)._replace(**field))))


@pytest.mark.parametrize(
    "field",
    [
        {"started_at": math.nan},
        {"started_at": -1.0},
        {"started_at": 1e300},
        {"started_at": 1},
        {"slot": -1},
        {"slot": 100_001},
        {"slot": True},
        {"pid": -1},
        {"pid": 2**31},
        {"task_id": "1"},
        {"lease": None},
    ],
    ids=str,
)
def test_a_begun_task_that_no_database_could_keep_is_refused(field):
    """It is written like an outcome."""
    with pytest.raises(ValueError, match="begun"):
        unpack_begun(decode(encode(Begun(1, 1, 1e9, 1, 7)._replace(**field))))


@pytest.mark.parametrize("packed", [None, {}, [1], [[1]], [[1, 2, 3]], [[1, "2"]]], ids=str)
def test_what_are_no_pairs_are_refused(packed):
    """A task of a client is an id and a lease."""
    with pytest.raises(ValueError, match="not a"):
        unpack_pairs(packed)


@pytest.mark.parametrize("pid", [-1, 2**31])
def test_a_greeting_with_an_absurd_pid_is_refused(pid):
    """It is kept with the client."""
    with pytest.raises(ValueError, match="greeting"):
        unpack_hello(pack_hello(Hello("node1", pid, 1)))


def test_a_reason_is_cleaned_of_what_cannot_be_kept_or_shown():
    """Refused, the outcome would be the end of a client that means well."""
    packed = decode(encode(Outcome(1, 1, Ending.UNSTARTABLE, reason="a\0b\x1b[31m\udc80\né")))

    assert "a?b?[31m??é" == unpack_outcome(packed).reason


def test_an_answer_of_an_unknown_phase_is_refused():
    """What it would ask for cannot be known."""
    with pytest.raises(ValueError, match="9"):
        unpack_answer([True, 9, [], [], True, 0])


@pytest.mark.parametrize("packed", [None, 5, True, 1.5])
def test_what_is_not_even_a_list_is_refused_alike(packed):
    """A ValueError, as for any other garbage."""
    with pytest.raises(ValueError, match="outcome"):
        unpack_outcome(packed)


def test_an_answer_with_a_claim_that_is_no_list_is_refused():
    """A ValueError, as for any other garbage."""
    with pytest.raises(ValueError, match="claim"):
        unpack_answer([True, 0, [5], [], True, 0])


def test_a_lease_of_whole_seconds_is_a_lease():
    """An int is a number of seconds as good as any other."""
    welcome = Welcome("c1", 1, 30, 5)

    assert welcome == unpack_welcome(pack_welcome(welcome))
