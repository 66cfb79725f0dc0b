"""What a client is to its server: what answers and reconnections change, whoever brings them."""

import threading

import pytest

from hypershell.client.events import BufferDrained, PhaseChanged
from hypershell.client.found_server import greeting
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.server_link import ServerLink
from hypershell.client.session import Session
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.orders import Cancel, Orders, Resume, Stop
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.wire.worker_messages import Answer, Phase, Welcome

WELCOME = Welcome("c1", 1, 30.0, 5.0)


class NoProcesses:
    """Processes of which there are none."""

    def __init__(self) -> None:
        self.strays_killed = 0

    def kill_strays(self, task_ids=None) -> int:
        """Note it."""
        self.strays_killed += 1
        return 0


class Site:
    """A session with a real buffer and real orders, and no server."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.names: list[str] = []
        self.orders = Orders(lambda: None)
        self.buffer = TaskBuffer(
            2, lambda: None, lambda all_accepted: self.events.append(BufferDrained(all_accepted))
        )
        self.processes = NoProcesses()
        # The supervisor is dead: only then the client kills strays itself.
        pipe = SupervisorPipe(None)
        self.tasks = RunningTasks(self.orders, self.buffer, self.processes, pipe)
        self.session = Session(
            greeting("node1", 2),
            WELCOME,
            ServerLink(lambda: ("127.0.0.1", 1, b"")),
            self.buffer,
            self.tasks,
            pipe,
            self.names.append,
            self.events.append,
        )

    def answer(self, *claims: Claim, phase: Phase = Phase.RUNNING, cancelled=()) -> None:
        """The server says something."""
        self.session.handle(Answer(True, phase, list(claims), cancelled))

    def taken_orders(self) -> list[object]:
        """What the executor would be told."""
        taken = list(self.orders.pending)
        self.orders.pending.clear()
        return taken


@pytest.fixture
def site() -> Site:
    """A client that has joined as c1."""
    return Site()


def claim(number: int) -> Claim:
    """A claim of a task."""
    return Claim(number, 1, 1, b"true")


def test_claims_go_to_the_buffer_and_are_held(site):
    """A client that comes back says so."""
    site.answer(claim(1), claim(2))

    hello = site.session.greet()

    assert ("c1", ((1, 1, False), (2, 1, False))) == (hello.client_id, hello.held)


def test_a_cancelled_task_that_runs_is_ended(site):
    """One that is not begun simply is not."""
    site.answer(claim(1), claim(2))
    site.buffer.start_next()

    site.answer(cancelled=((1, 1), (2, 1)))

    assert [Cancel(((1, 1),))] == site.taken_orders()
    assert site.buffer.start_next() is None


def test_each_phase_is_reported_once(site):
    """Every answer carries it."""
    for phase in (Phase.RUNNING, Phase.DRAINING, Phase.DRAINING, Phase.OVER, Phase.OVER):
        site.answer(phase=phase)

    assert [PhaseChanged(Phase.DRAINING), PhaseChanged(Phase.OVER)] == site.events


def test_a_late_answer_does_not_undo_a_later_phase(site):
    """The two threads may handle theirs in either order."""
    site.answer(phase=Phase.OVER)

    site.answer(phase=Phase.DRAINING)

    assert Phase.OVER is site.session.phase
    assert [PhaseChanged(Phase.OVER)] == site.events


def test_two_answers_at_once_leave_the_later_phase(site):
    """However they meet: the last event that the main thread gets is the phase that there is."""
    begin = threading.Barrier(2)

    def handle(phase: Phase) -> None:
        begin.wait()
        site.answer(phase=phase)

    for _ in range(200):
        site.session.returned(WELCOME, still_known=True)  # a run that begins again
        threads = [
            threading.Thread(target=handle, args=(phase,)) for phase in (Phase.DRAINING, Phase.OVER)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert Phase.OVER is site.session.phase
        assert PhaseChanged(Phase.OVER) == site.events[-1]


def test_a_client_that_is_still_known_keeps_what_it_has(site):
    """But for what the server says is not its own any more."""
    site.answer(claim(1), claim(2), claim(3))
    site.buffer.start_next()

    site.session.returned(Welcome("c1", 2, 30.0, 5.0, ((1, 1), (2, 1))), still_known=True)

    assert [Cancel(((1, 1),))] == site.taken_orders()
    assert ((3, 1, False), (1, 1, True)) == site.buffer.held()


def test_a_server_that_was_started_again_begins_its_run(site):
    """Even where the last one was about to end."""
    site.answer(phase=Phase.DRAINING)
    site.buffer.drain()

    site.session.returned(WELCOME, still_known=True)

    assert Phase.RUNNING is site.session.phase
    assert [Resume()] == site.taken_orders()
    site.answer(claim(1))
    assert site.buffer.start_next() == claim(1)


def test_a_client_that_is_not_known_any_more_kills_all_and_starts_over(site):
    """What it held belongs to others by now: there is no grace."""
    site.answer(claim(1), claim(2))

    site.session.returned(Welcome("c2", 1, 30.0, 5.0), still_known=False)

    assert [Stop(0.0), Resume()] == site.taken_orders()
    assert 1 == site.processes.strays_killed
    assert ["c2"] == site.names
    hello = site.session.greet()
    assert ("c2", ()) == (hello.client_id, hello.held)


@pytest.mark.parametrize("still_known", [True, False])
def test_a_client_that_leaves_is_not_kept_by_a_server_that_comes_back(site, still_known):
    """It takes nothing more, from this server or another."""
    site.answer(claim(1))
    site.buffer.start_next()
    site.session.leave()
    if still_known:
        site.buffer.put_outcomes([Outcome(1, 1, Ending.EXITED)])

    threading.Timer(0.05, site.buffer.start_over, (True,)).start()  # what runs is gone soon
    site.session.returned(Welcome("c1", 1, 30.0, 5.0), still_known)

    assert Resume() not in site.taken_orders()
    site.answer(claim(2))
    assert site.buffer.start_next() is None


def test_the_lease_ends_a_grace_and_a_margin_early(site):
    """So that tasks are gone before another client has them."""
    heard_at = site.session.lease_end() - (30.0 - 5.0 - 1.0)

    assert site.session._link.heard_at == heard_at
