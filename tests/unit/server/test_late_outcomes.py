"""Outcomes that a client earned before it was given up, and hands in when it is back."""

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.server.events import OutcomesRecorded
from hypershell.wire.codec import decode, encode
from hypershell.wire.worker_messages import Welcome
from tests.helpers.fakes import Call, ServerParts


class Back:
    """A server of some tasks whose client held all of them, was given up, and is back."""

    def __init__(self, *lines: bytes, policy: Policy = Policy()) -> None:  # noqa: B008
        self.parts = ServerParts(*lines, policy=policy)
        self.former = self.parts.join(slots=len(lines))
        self.claims = self.parts.exchange(self.former, want=len(lines)).claims
        self.lose(self.former)
        self.now = self.parts.join()

    def lose(self, client: Welcome) -> None:
        """A client is given up, which had begun all that it held."""
        (known,) = self.parts.registry.clients()
        known.note_begun(list(known.claims.items()))
        self.parts.finished.put(*self.parts.registry.give_up(client.client_id))
        self.parts.receive()

    def hand_in(self, *outcomes: Outcome, secret: str | None = None) -> int:
        """How many of these are taken."""
        arguments = [self.now.client_id, self.now.session, self.former.client_id]
        secret = self.former.secret if secret is None else secret
        arguments += [secret, list(outcomes)]
        return self.parts.worker_service.hand_in(*decode(encode(arguments)))

    def outcome(self, number: int, ending: Ending = Ending.EXITED, code: int = 0) -> Outcome:
        """How the attempt of the former client ended."""
        return Outcome(number, self.claims[number - 1].lease, ending, code)

    def taken_by(self, client: Welcome) -> list[tuple[int, int]]:
        """Id and attempt of what a client gets now."""
        claims = self.parts.exchange(client, want=10).claims
        return sorted((claim.task_id, claim.attempt) for claim in claims)


@pytest.mark.parametrize("is_scheduled", [True, False])
def test_what_was_earned_counts_as_long_as_nobody_else_has_the_task(is_scheduled):
    """It waits, or was scheduled and not taken: it leaves the queue, and runs no more."""
    back = Back(b"a", b"b")
    if is_scheduled:
        back.parts.scheduler.dispatch()
    recorded = back.parts.heard(OutcomesRecorded)

    taken = back.hand_in(back.outcome(1))
    back.parts.scheduler.dispatch()

    assert 1 == taken
    counts = back.parts.store.counts()
    assert (1, 1) == (counts.succeeded, counts.unfinished)
    assert [(1, 1)] == [(r.task.id, r.attempt) for event in recorded for r in event.recorded]
    assert [(2, 2)] == back.taken_by(back.now)


def test_a_task_that_was_handed_out_again_is_whose_it_is_now():
    """The other runs it: what the former client says comes too late."""
    back = Back(b"a")
    back.parts.scheduler.dispatch()
    assert [(1, 2)] == back.taken_by(back.now)

    assert 0 == back.hand_in(back.outcome(1))
    assert 1 == back.parts.store.counts().sent


def test_what_was_recorded_already_is_not_recorded_again():
    """The client may not have heard that it was: a failure is counted once."""
    back = Back(b"a", policy=Policy(max_retries=5))

    assert 1 == back.hand_in(back.outcome(1, code=3))
    assert 0 == back.hand_in(back.outcome(1, code=3))

    back.parts.scheduler.dispatch()
    assert [(1, 2)] == back.taken_by(back.now)


def test_a_failure_that_was_reported_in_time_is_no_attempt_that_was_given_up():
    """It waits for its retry; its client says the same again."""
    parts = ServerParts(b"a", policy=Policy(max_retries=5))
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.give(client, Outcome(1, claim.lease, Ending.EXITED, 3), want=0)

    arguments = [client.client_id, client.session, client.client_id, client.secret]
    arguments.append([Outcome(1, claim.lease, Ending.EXITED, 3)])
    taken = parts.worker_service.hand_in(*decode(encode(arguments)))

    assert 0 == taken
    assert 1 == parts.store.counts().retried


def test_a_task_that_its_client_had_to_stop_has_lost_no_client():
    """It was cut off, which is not the task's doing: it is not on its way to being condemned."""
    back = Back(b"a", policy=Policy(max_lost=2))

    assert 1 == back.hand_in(back.outcome(1, Ending.INTERRUPTED))

    back.parts.scheduler.dispatch()
    assert [(1, 2)] == back.taken_by(back.now)
    back.lose(back.now)
    assert 1 == back.parts.store.counts().unfinished


@pytest.mark.parametrize("secret", ["", "0" * 64, "\udcff"])
def test_nobody_else_can_hand_in_for_a_client(secret, caplog):
    """An id is no secret: others see it. It is refused, and said once."""
    back = Back(b"a")

    assert [0, 0] == [back.hand_in(back.outcome(1), secret=secret) for _ in range(2)]

    assert 1 == len([text for text in caplog.messages if "has not shown" in text])
    assert 1 == back.parts.store.counts().unfinished


def test_a_task_that_was_cancelled_meanwhile_stays_so():
    """Somebody decided that."""
    back = Back(b"a")
    store = back.parts.store
    store.cancel(Selection(ids=(1,)))
    store.take_back(back.parts.scheduled.cancel(store.to_cancel()))

    assert 0 == back.hand_in(back.outcome(1))
    assert 1 == back.parts.store.counts().cancelled


def test_a_client_that_is_not_known_as_it_is_now_joins_again_first():
    """Its call is of an older session."""
    back = Back(b"a")
    back.now = back.former

    assert back.hand_in(back.outcome(1)) is None


@pytest.mark.parametrize("wrong", [[1], ["x", 1, "y", "z", "no list"], ["x", 1, 2, "z", []]])
def test_what_is_nothing_to_hand_in_is_refused(wrong):
    """As an error of the caller."""
    back = Back(b"a")

    with pytest.raises((ValueError, TypeError)):
        back.parts.worker_service.hand_in(*wrong)


def test_nothing_is_taken_when_the_run_is_over():
    """What is final by then is what the run says."""
    back = Back(b"a")
    back.parts.scheduler.close()

    assert 0 == back.hand_in(back.outcome(1))


def test_two_that_hand_in_the_same_at_once_are_counted_once():
    """One of two calls that its client made, as the first seemed to be lost."""
    back = Back(*[b"a"] * 50)
    outcomes = [back.outcome(number) for number in range(1, 51)]

    calls = [Call(back.hand_in, *outcomes) for _ in range(4)]

    assert 50 == sum(call.result() for call in calls)
    assert 50 == back.parts.store.counts().succeeded
