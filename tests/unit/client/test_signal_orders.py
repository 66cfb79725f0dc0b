"""What becomes of a signal that was sent to a client, before its main thread hears of it."""

import math
import signal

import pytest

from hypershell.client.begun_table import BegunTable
from hypershell.client.events import SignalCame
from hypershell.client.senders import Senders
from hypershell.client.signal_orders import END_SECONDS, SignalOrders
from hypershell.runtime import clock
from hypershell.runtime.signals import Sent
from hypershell.runtime.threads import Inbox

SUPERVISOR = 4711


@pytest.fixture
def orders() -> SignalOrders:
    """Those of a client that runs a task, and whose tasks have five seconds after TERM."""
    table = BegunTable(1)
    table.mark(1, 1)
    orders = SignalOrders(Senders(table, SUPERVISOR, (), lambda text: None), Inbox())
    orders.grace_seconds = 5.0
    return orders


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """The time."""
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    return now


def test_an_order_is_passed_on_and_sets_a_bound(orders, now):
    """A first Ctrl-C sets none, as tasks may finish; a second one and any other do."""
    bounds = []
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        bounds.append(orders.came(Sent(number, SUPERVISOR)))
        now[0] += 1.0

    assert [math.inf, 5 + END_SECONDS, 5 + END_SECONDS] == bounds
    assert [2, 2, 15] == [orders.inbox.get(0).number for _ in range(3)]


def test_a_client_that_has_not_joined_ends_soon(orders):
    """It may be waiting for something that never comes."""
    orders.grace_seconds = None

    assert 0 < orders.came(Sent(signal.SIGINT)) < 5
    assert SignalCame(signal.SIGINT) == orders.inbox.get(0)


def test_an_interrupt_that_came_to_both_processes_is_one(orders, now):
    """The supervisor passes its own on; one that comes later is meant."""
    for seconds in (0.0, 0.05, 0.3):
        now[0] += seconds
        orders.came(Sent(signal.SIGINT, SUPERVISOR))

    assert [SignalCame(signal.SIGINT)] * 2 == [orders.inbox.get(0), orders.inbox.get(0)]
    assert orders.inbox.get(0) is None


def test_what_a_task_sends_is_not_passed_on(orders):
    """It sets no bound either."""
    assert math.inf == orders.came(Sent(signal.SIGTERM, 2**22 + 5))
    assert orders.inbox.get(0) is None
