"""When a client goes, and with which status: its main thread, told what happens by the test."""

import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from hypershell.client.client import Client
from hypershell.client.events import (
    BufferDrained,
    ClientEvent,
    LoopFailed,
    PauseAsked,
    PauseOver,
    SignalCame,
)
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.session import Session
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.orders import Continue, Orders, Pause, Resume, Stop
from hypershell.core.ending import Ending
from hypershell.core.errors import ConnectionLost, KeyRefused, TasksUnstartable
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.runtime import clock
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_messages import Answer, Hello, Phase, Welcome
from tests.helpers.waiting import until

WELCOME = Welcome("c1", 1, 30.0, 5.0)


class NoProcesses:
    """Processes of which there are none."""

    def kill_strays(self, task_ids=None) -> int:
        """There is nothing to kill."""
        return 0


class Link:
    """A link to a server that hears everything, in the order in which it was said."""

    host, port = "node1", 1234
    is_up = True

    def __init__(self, said: list[object]) -> None:
        self.heard_at = clock.boottime()
        self.said = said
        self.paused = False

    def pause(self) -> None:
        """See ServerLink."""
        self.paused = True

    def go_on(self, heard_at: float = 0.0) -> None:
        """See ServerLink."""
        self.paused = False
        self.heard_at = max(self.heard_at, heard_at)

    trouble = "the server at node1 port 1234 refused this key"

    def doubt(self, reason: str) -> None:
        """Note it."""
        self.said.append(("doubt", reason))

    def leave(self, reason: str, dead: bool, begun=(), interrupted=()) -> bool:
        """Note it; it is heard."""
        self.said.append(("leave", reason, dead))
        return True


class Pipe:
    """A supervisor that hears everything too."""

    def __init__(self, said: list[object]) -> None:
        self.said = said

    def joined(self, welcome: Welcome, heard_at: float) -> None:
        """It is known."""

    def heard(self, at: float, lease_seconds: float) -> None:
        """It is known."""

    def unheard(self) -> bool:
        """It lives."""
        return False

    def stopped(self, heard_at: float) -> None:
        """Note it."""
        self.said.append("stopped")

    def paused(self) -> None:
        """Note it."""
        self.said.append("paused")

    def resumed(self, heard_at: float) -> None:
        """It is known."""

    def left(self, *, known: bool) -> None:
        """Note it."""
        self.said.append("left" if known else "left unheard")


class Scene:
    """A client with a real buffer, session and orders. Things happen when its inbox is empty."""

    def __init__(self, idle_timeout: float | None = None) -> None:
        self.said: list[object] = []
        self.script: list[Callable[[], object]] = []
        self.inbox: Inbox[ClientEvent] = ScriptedInbox(self.script)
        self.orders = Orders(self.obey)
        self.stands_still = True
        self.buffer = TaskBuffer(
            2, lambda: None, lambda all_accepted: self.inbox.put(BufferDrained(all_accepted))
        )
        self.link, pipe = Link(self.said), Pipe(self.said)
        tasks = RunningTasks(self.orders, self.buffer, NoProcesses(), pipe)
        hello = Hello("node1", 1, 1)
        self.session = Session(
            hello, WELCOME, self.link, self.buffer, tasks, pipe, lambda name: None, self.inbox.put
        )
        self.has_ended = False
        self.client = Client(
            *(self.inbox, self.session, self.link, self.buffer, tasks, pipe),
            *(idle_timeout, self, 60.0, lambda is_last: self.has_ended),
        )

    def lose_server(self) -> None:
        """The connection breaks."""
        self.link.is_up = False

    def end_run(self) -> None:
        """The server has ended in order, and could not say so: its directory tells."""
        self.has_ended = True

    def obey(self) -> None:
        """As the executor obeys a pause."""
        if self.stands_still and isinstance(order := self.orders.pending[-1], Pause):
            order.done.set()

    def paused(self, client_id: str) -> None:
        """As the launcher is told that tasks stand still."""
        self.said.append("acknowledged")

    def play(self, *happens: Callable[[], object]) -> int:
        """Let these happen one after another; the exit status."""
        self.script += happens
        return self.client.wait_for_end()

    def tell(self, event: ClientEvent) -> Callable[[], None]:
        """That an event comes."""
        return lambda: self.inbox.put(event)

    def start(self, number: int) -> None:
        """A task comes and starts."""
        self.session.handle(Answer(True, Phase.RUNNING, [Claim(number, 1, 1, b"true")]))
        assert self.buffer.start_next() is not None

    def end(self, number: int) -> None:
        """A task ends."""
        self.buffer.put_outcomes([Outcome(number, 1, Ending.EXITED)])

    def wait_until_idle(self) -> None:
        """Until the idle timeout has passed."""
        until(lambda: self.buffer.idle_seconds() > 0.05, 5.0, "it is idle")

    def give(self) -> None:
        """All that is here is given and accepted."""
        self.buffer.next_batch(5.0)
        self.buffer.accepted(0.001)


class ScriptedInbox(Inbox[ClientEvent]):
    """An inbox that, once it is empty, has the next thing happen instead of waiting."""

    def __init__(self, script: list[Callable[[], object]]) -> None:
        super().__init__()
        self._script = script

    def get(self, timeout: float | None = None) -> ClientEvent | None:
        """See Inbox."""
        event = super().get(0.0)
        if event is None and self._script:
            self._script.pop(0)()
        elif event is None:
            return super().get(timeout)
        return event


@pytest.fixture
def scene() -> Scene:
    """A client that runs nothing."""
    return Scene()


def test_a_client_goes_when_all_is_done(scene):
    """The server knows, and hears nothing more."""
    scene.session.handle(Answer(True, Phase.OVER, []))

    assert 0 == scene.play()
    assert ["left"] == scene.said


def test_a_client_whose_server_ended_before_it_could_say_so_goes_as_well(scene):
    """But not while the server may come back."""
    assert 0 == scene.play(scene.lose_server, lambda: None, scene.end_run)

    assert ["left"] == scene.said


def test_a_client_that_has_something_for_its_server_goes_on_looking_for_it(scene):
    """A task that runs, or its outcome: the next server of the run takes it."""
    scene.start(1)

    assert 0 == scene.play(
        scene.lose_server, scene.end_run, lambda: scene.end(1), lambda: None, scene.give
    )

    assert 0 == len(scene.script)


def test_a_phase_that_does_not_hold_any_more_is_not_obeyed(scene):
    """A server that was started again began its run meanwhile."""
    scene.session.handle(Answer(True, Phase.OVER, []))
    scene.session.returned(WELCOME, still_known=True)
    scene.orders.pending.clear()

    status = scene.play(scene.tell(SignalCame(signal.SIGTERM)), scene.give)

    assert 128 + signal.SIGTERM == status


def test_the_first_interrupt_lets_tasks_finish(scene):
    """And the client leaves when their outcomes are accepted."""
    scene.start(1)

    status = scene.play(scene.tell(SignalCame(signal.SIGINT)), lambda: scene.end(1), scene.give)

    assert 128 + signal.SIGINT == status
    assert [] == list(scene.orders.pending)
    assert [("leave", "it received SIGINT", False), "left"] == scene.said


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_a_second_interrupt_or_another_signal_stops_tasks(scene, signals):
    """With the grace that the server gives."""
    scene.start(1)

    status = scene.play(
        *[scene.tell(SignalCame(number)) for number in signals], lambda: scene.end(1), scene.give
    )

    assert 128 + signals[0] == status
    assert [Stop(5.0)] == list(scene.orders.pending)


def test_a_run_that_is_stopped_stops_tasks_and_waits_for_the_server(scene):
    """Which says when all is over."""
    scene.start(1)
    scene.session.handle(Answer(True, Phase.STOPPING, []))

    status = scene.play(
        lambda: scene.end(1),
        scene.give,
        lambda: scene.session.handle(Answer(True, Phase.OVER, [])),
    )

    assert 0 == status
    assert [Stop(5.0)] == list(scene.orders.pending)


def test_outcomes_that_nobody_accepts_are_waited_for_for_a_moment(scene, monkeypatch):
    """Then the client goes, and says that it may have begun what it could not give."""
    scene.start(1)
    now = [clock.monotonic()]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def a_second_passes() -> None:
        now[0] += 1.0

    status = scene.play(
        scene.tell(SignalCame(signal.SIGINT)), lambda: scene.end(1), a_second_passes
    )

    assert 128 + signal.SIGINT == status
    assert [("leave", "it received SIGINT", True), "left"] == scene.said


def test_a_client_that_is_idle_too_long_leaves():
    """With status 0; one that works is not idle."""
    scene = Scene(idle_timeout=0.05)

    assert 0 == scene.play(scene.wait_until_idle, scene.give)
    assert [("leave", "it was idle", False), "left"] == scene.said


def cut_off(scene: Scene, monkeypatch, silent: float = 25.0) -> Callable[[], None]:
    """That the lease ends, in which a task ends by itself and another is stopped."""
    later = [0.0]
    boottime = clock.boottime
    monkeypatch.setattr(clock, "boottime", lambda: boottime() + later[0])
    scene.pass_time = lambda seconds: later.__setitem__(0, later[0] + seconds)

    def the_lease_is_over() -> None:
        later[0] += silent
        scene.end(1)
        scene.buffer.put_outcomes([Outcome(2, 1, Ending.INTERRUPTED)])

    scene.start(1)
    scene.start(2)
    return the_lease_is_over


@pytest.mark.parametrize(("silent", "grace"), [(24.0, 5.0), (27.0, 2.0), (60.0, 0.0)])
def test_a_lease_that_is_over_stops_all_and_the_client_looks_for_its_server(
    scene, monkeypatch, silent, grace
):
    """What is left of the lease is their grace. It keeps what it has, and gives up when the time
    for that is over as well.
    """
    the_lease_is_over = cut_off(scene, monkeypatch, silent)
    held: list[int] = []

    def nearly_a_minute() -> None:
        held.append(scene.buffer.number_earned())
        scene.pass_time(24.0 + 59.0 - silent)

    with pytest.raises(ConnectionLost, match=r"nor in 60 s.*refused this key.*2 results") as caught:
        scene.play(the_lease_is_over, nearly_a_minute, lambda: scene.pass_time(2.5))

    assert "within the lease of 30 s" in str(caught.value)
    assert [2] == held
    assert grace == pytest.approx(scene.orders.pending[0].grace_seconds, abs=0.5)
    doubt = ("doubt", "it did not answer within the lease of 30 s")
    assert [doubt, "stopped", "left unheard"] == scene.said


@pytest.mark.parametrize("session", [2, 1])
def test_a_client_that_was_cut_off_goes_on_when_its_server_knows_it(scene, monkeypatch, session):
    """Its server waited longer, or was started again: it gives what it has, and runs tasks."""
    the_lease_is_over = cut_off(scene, monkeypatch)

    def the_server_is_back() -> None:
        assert scene.session.is_cut_off
        scene.link.heard_at = clock.boottime()
        scene.session.returned(replace(WELCOME, session=session), still_known=True)
        scene.session.ready()

    status = scene.play(
        the_lease_is_over,
        lambda: None,
        the_server_is_back,
        lambda: scene.start(3),
        lambda: scene.end(3),
        scene.tell(SignalCame(signal.SIGINT)),
        scene.give,
        scene.give,
    )

    assert 128 + signal.SIGINT == status
    assert [Stop, Resume] == [type(order) for order in scene.orders.pending]


def test_a_client_that_was_cut_off_hands_in_what_it_earned_under_its_former_id(scene, monkeypatch):
    """The server has given it up: it is another client now, and shows whose results these are."""
    the_lease_is_over = cut_off(scene, monkeypatch)
    earned: list[object] = []

    def the_server_is_back() -> None:
        scene.link.heard_at = clock.boottime()
        scene.session.returned(Welcome("c2", 1, 30.0, 5.0, (), "new"), still_known=False)
        earned.append(scene.session.earned())
        scene.session.handed_in(earned[0], 1)
        scene.session.ready()

    status = scene.play(
        the_lease_is_over,
        lambda: None,
        the_server_is_back,
        scene.tell(SignalCame(signal.SIGINT)),
        scene.give,
    )

    assert 128 + signal.SIGINT == status
    assert (WELCOME.client_id, WELCOME.secret) == earned[0][:2]
    endings = [(o.task_id, o.ending) for o in earned[0].outcomes]
    assert [(1, Ending.EXITED), (2, Ending.INTERRUPTED)] == endings
    assert scene.session.earned() is None
    assert () == scene.buffer.held()


def test_a_server_that_is_heard_at_the_last_moment_stops_nothing(scene, monkeypatch):
    """Its answer came while the client made up its mind."""
    the_lease_is_over = cut_off(scene, monkeypatch)
    real = scene.link.doubt

    def doubt(reason: str) -> None:
        real(reason)
        scene.link.heard_at = clock.boottime()

    scene.link.doubt = doubt

    scene.play(the_lease_is_over, lambda: None, scene.tell(SignalCame(signal.SIGINT)), scene.give)

    assert not scene.session.is_cut_off
    assert [] == list(scene.orders.pending)


@pytest.mark.parametrize("heard_ago", [0.0, None])
def test_a_pause_by_the_launcher_is_no_part_of_the_lease_if_the_server_says_so(scene, heard_ago):
    """However long it was; where the lease went on meanwhile, the tasks are ended as they stand."""
    scene.start(1)

    def paused_for_long() -> None:
        scene.link.heard_at -= 60.0

    def go_on() -> None:
        heard_at = None if heard_ago is None else clock.boottime() - heard_ago
        scene.inbox.put(PauseOver(heard_at))

    def end() -> None:
        scene.end(1)
        scene.session.handle(Answer(True, Phase.OVER, []))

    assert 0 == scene.play(scene.tell(PauseAsked(by_launcher=True)), paused_for_long, go_on, end)

    assert ["paused", "acknowledged"] == scene.said[:2]
    orders = [type(order) for order in scene.orders.pending if type(order) is not Pause]
    assert ([Stop] if heard_ago is None else []) + [Continue] == orders


def test_tasks_that_do_not_stand_still_in_time_run_on(scene, monkeypatch):
    """The launcher hears nothing, so that the lease goes on as well."""
    scene.start(1)
    scene.stands_still = False
    monkeypatch.setattr("hypershell.client.client._PAUSE_SECONDS", 0.01)

    def end() -> None:
        scene.session.handle(Answer(True, Phase.OVER, []))

    scene.play(scene.tell(PauseAsked(by_launcher=True)), end)

    assert ["left unheard"] == scene.said  # of a task that has begun
    assert [Pause, Continue] == [type(order) for order in scene.orders.pending]


def test_a_signal_ends_a_client_whose_tasks_stand_still(scene):
    """Its launcher has died, say: nobody will tell it to go on."""
    scene.start(1)

    status = scene.play(
        scene.tell(PauseAsked(by_launcher=True)),
        scene.tell(SignalCame(signal.SIGTERM)),
        lambda: scene.end(1),
        scene.give,
    )

    assert 143 == status
    assert not scene.link.paused


def test_tasks_that_cannot_be_started_here_end_the_client_in_order(scene):
    """They go back to the server, which has others."""
    scene.session.handle(Answer(True, Phase.RUNNING, [Claim(1, 1, 1, b"true")]))
    error = TasksUnstartable(reason="too many open files")

    with pytest.raises(TasksUnstartable):
        scene.play(scene.tell(LoopFailed("executor", error)), scene.give)

    assert () == scene.buffer.held()
    assert [("leave", str(error), False), "left"] == scene.said


def test_a_loop_that_fails_takes_the_client_down(scene):
    """What runs is stopped; the supervisor says the rest."""
    with pytest.raises(KeyRefused):
        scene.play(scene.tell(LoopFailed("returner", KeyRefused(host="node1", port=1234))))

    assert [Stop(5.0)] == list(scene.orders.pending)
    assert [] == scene.said
