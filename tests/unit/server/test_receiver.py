"""Outcomes on their way to the store: acknowledged after they are recorded, never before."""

import os
import threading

import pytest

from hypershell.core.ending import Ending
from hypershell.core.retry import Policy
from hypershell.server.events import EventBus, OutcomesRecorded
from hypershell.server.reports.sink import LineSink
from hypershell.server.state.finished_queue import Batch, FinishedQueue
from hypershell.server.state.registry import ClientRegistry
from hypershell.wire.worker_messages import Hello, Phase
from tests.helpers.fakes import Call, ServerParts, ended, failed, succeeded
from tests.helpers.waiting import until


def test_all_batches_that_are_there_are_recorded_at_once(monkeypatch):
    """While one is written, the next ones gather."""
    parts = ServerParts(b"a", b"b")
    clients = [parts.join(), parts.join()]
    claims = [parts.exchange(client, want=1).claims[0] for client in clients]
    sizes = []
    record = parts.store.record
    monkeypatch.setattr(
        parts.store, "record", lambda o, *how: sizes.append(len(o)) or record(o, *how)
    )
    calls = [
        Call(parts.exchange, client, [succeeded(claim)])
        for client, claim in zip(clients, claims, strict=True)
    ]
    until(lambda: parts.finished.size() == 2, 5.0, "both have given")

    parts.receive()

    assert [2] == sizes
    assert all(call.result().known for call in calls)


def test_an_outcome_that_cannot_be_recorded_is_not_acknowledged(monkeypatch):
    """The error ends the run; the client keeps its outcome."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    call = Call(parts.exchange, client, [succeeded(claim)])

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.store, "record", fail)

    with pytest.raises(OSError, match="No space"):
        parts.receive()
    assert not call.is_over(0.02)


def test_the_receiver_ends_when_the_queue_is_closed():
    """And not before."""
    parts = ServerParts()
    passing = Call(parts.receive)
    assert not passing.is_over(0.02)

    parts.finished.close()

    assert not passing.result()


def test_others_hear_of_what_was_recorded():
    """The run may be over."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    heard = parts.heard(OutcomesRecorded)

    parts.give(client, succeeded(claim))

    assert [[1]] == [[each.task.id for each in event.recorded] for event in heard]


def test_only_what_is_finally_failed_is_written(tmp_path):
    """With its retries used up; once."""
    with (tmp_path / "failed").open("wb") as file:
        sink = LineSink(os.dup(file.fileno()), "failed", ours=True)
    parts = ServerParts(b"bad  # x", b"good", policy=Policy(1, eager=True), sink=sink)
    client = parts.join()
    bad, good = parts.exchange(client, want=2).claims

    (again,) = parts.give(client, failed(bad), succeeded(good), want=1).claims
    pending_after_first = parts.failures.pending()
    parts.give(client, failed(again))
    parts.failures.one_pass()

    assert (0, 0) == pending_after_first
    assert b"bad  # x\n" == (tmp_path / "failed").read_bytes()


@pytest.mark.parametrize(
    ("phase", "state"), [(Phase.RUNNING, "waiting"), (Phase.STOPPING, "interrupted")]
)
def test_a_stopped_task_is_interrupted_with_the_run(phase, state):
    """Where its client alone was stopped, it waits for another."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.scheduled.set_phase(phase)
    parts.exchange(client)

    parts.give(client, ended(claim, Ending.INTERRUPTED), want=0)
    parts.store.take_back(parts.scheduled.drain())

    assert 1 == getattr(parts.store.counts(), state)


def test_a_task_that_its_last_client_lost_is_failed():
    """It may be what kills them; it is written as failed."""
    parts = ServerParts(b"a", policy=Policy(max_lost=2))
    for _ in range(2):
        client = parts.join()
        parts.scheduler.dispatch()
        claims = parts.exchange(client, want=1).claims
        leaving = Call(parts.leave, client, "it was killed", True, claims)
        parts.receive()
        leaving.result()

    assert (1, (1, 2)) == (parts.store.counts().failed, parts.failures.pending())


def test_a_closed_queue_lets_all_go_who_wait():
    """None of them with a promise."""
    queue = FinishedQueue()
    registry = ClientRegistry(threading.RLock(), 30.0, 5.0, EventBus())
    registry.join(Hello("node1", 1, 1))
    (client,) = registry.clients()
    waiting = [Call(queue.give, Batch(client, [])) for _ in range(3)]
    until(lambda: queue.size() == 3, 5.0, "all have given")

    queue.close()

    assert [False] * 3 == [call.result() for call in waiting]
    assert not queue.give(Batch(client, []))


def test_an_outcome_that_the_server_found_itself_waits_for_nobody():
    """A client that was given up."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.exchange(client, want=1)
    gone, held = parts.registry.give_up(client.client_id)

    parts.finished.put(gone, held)
    parts.receive()

    assert (0, 1) == (parts.store.counts().retried, parts.store.counts().unfinished)
