"""One warning names a client that fails whatever it is given."""

import logging

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.server.events import ClientJoined, EventBus, OutcomesRecorded
from hypershell.server.reports.failing_clients import FailingClients
from hypershell.store.tasks.journal import Recorded


class Outcomes:
    """What clients a and b did, as the report hears of it."""

    def __init__(self) -> None:
        self._bus = EventBus()
        FailingClients().subscribe(self._bus)
        for client in ("a", "b"):
            self._bus.publish(ClientJoined, client, f"node-{client}", 1, 1)

    def tell(self, client: str, *codes: int) -> None:
        """Tasks of a client exited with these statuses."""
        task = Task(1, b"x", 1)
        self._bus.publish(
            OutcomesRecorded,
            [
                Recorded(task, TaskState.WAITING, Outcome(1, 1, Ending.EXITED, code), client)
                for code in codes
            ],
        )


@pytest.fixture
def outcomes(caplog) -> Outcomes:
    """Those of a run."""
    caplog.set_level(logging.WARNING, "hypershell.server")
    return Outcomes()


def test_a_client_that_fails_all_while_others_succeed_is_named_once(outcomes, caplog):
    """With its host and the numbers."""
    for _ in range(30):
        outcomes.tell("a", 127)
        outcomes.tell("b", 0)

    (message,) = caplog.messages
    assert "client a on node-a failed 10 tasks in a row" in message


def test_it_is_named_also_where_the_others_succeed_only_later(outcomes, caplog):
    """It was faster than they are, and has nothing to do any more."""
    outcomes.tell("a", *[127] * 20)
    before = caplog.messages[:]
    outcomes.tell("b", 0, 0, 0)

    assert [] == before
    assert 1 == len(caplog.messages)


@pytest.mark.parametrize("elsewhere", [[], [1] * 40, [0, 1] * 3])
def test_failures_are_not_the_fault_of_a_client_where_others_fail_as_well(
    outcomes, caplog, elsewhere
):
    """Or where there is no other; whatever they did before the first of its failures."""
    outcomes.tell("a", *[0] * 100)
    outcomes.tell("b", *[0] * 100)
    for number in range(12):
        outcomes.tell("a", 1)
        outcomes.tell("b", *elsewhere[number : number + 1])

    assert [] == caplog.messages


def test_a_success_ends_the_row(outcomes, caplog):
    """A client that succeeds now and then has no broken machine."""
    for _ in range(20):
        outcomes.tell("a", *[1] * 9, 0)
        outcomes.tell("b", 0)

    assert [] == caplog.messages
