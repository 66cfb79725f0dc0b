"""Whose signals end a client: real processes as senders, of a client that the test plays."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from hypershell.client.begun_table import BegunTable
from hypershell.client.senders import AGAIN_SECONDS, Senders
from hypershell.runtime import clock, procfs
from hypershell.runtime.signals import Sent
from tests.helpers.waiting import until
from tests.unit.client.conftest import state_of


class Scene:
    """A client that is this process, and a supervisor of which nobody is a child."""

    def __init__(self) -> None:
        self.table = BegunTable(10)
        self.said: list[str] = []
        self.senders = Senders(self.table, 2**22 + 1, {4711}, self.said.append)

    def is_order(self, pid: int) -> bool:
        """Whether TERM of this process is one."""
        return self.senders.is_order(Sent(signal.SIGTERM, pid))


@pytest.fixture
def scene() -> Scene:
    """One in which tasks 1 and 2 have begun, and nothing was ignored."""
    scene = Scene()
    for number in (1, 2):
        scene.table.mark(number, 1)
    return scene


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a session of its own."""
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as process:
        yield process
        process.kill()


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_kernel_and_other_namespaces_give_orders(scene):
    """A terminal, or `docker stop`: no process can be named."""
    assert scene.is_order(0)


def test_the_launcher_gives_orders_even_when_it_has_ended(scene):
    """Its death is one."""
    assert scene.is_order(4711)
    assert scene.is_order(os.getpid())
    assert [] == scene.said


def test_somebody_else_who_lives_gives_orders(scene, sleeper):
    """A shell, or the daemon of a batch system."""
    assert scene.is_order(sleeper.pid)
    assert scene.is_order(os.getppid())


def test_a_process_in_the_session_of_a_task_does_not(scene, sleeper):
    """The task is named; a second signal is obeyed."""
    scene.table.started((2, 1), sleeper.pid)

    assert not scene.is_order(sleeper.pid)
    assert scene.is_order(sleeper.pid)
    assert ["ignored", "obeyed"] == [
        text.split(": ")[1].split()[0].strip(";,") for text in scene.said
    ]
    assert scene.said[0].startswith("TERM came from task 2: ")


def test_a_process_below_the_supervisor_does_not(sleeper):
    """Whatever session it made for itself: all that runs there is of a task."""
    scene = Scene()
    scene.table.mark(1, 1)
    scene.senders = Senders(scene.table, os.getpid(), (), scene.said.append)

    assert not scene.is_order(sleeper.pid)
    assert f"process {sleeper.pid}, perhaps task 1" in scene.said[0]


def test_a_sender_that_has_ended_may_have_been_any_task(scene):
    """All that run are named."""
    assert not scene.is_order(pid := gone())
    assert f"process {pid}, which has ended, perhaps one of the tasks 1, 2" in scene.said[0]


def test_a_task_that_has_just_ended_is_named(scene):
    """Though its outcome is accepted by now."""
    scene.table.started((2, 1), pid := gone())
    scene.table.forget((2, 1))

    assert not scene.is_order(pid)
    assert scene.said[0].startswith("TERM came from task 2: ")


def test_a_client_that_never_ran_a_task_obeys_everybody():
    """There is no task that it could have been."""
    assert Scene().is_order(gone())


def test_a_second_signal_counts_whichever_process_it_came_to(scene):
    """Client and supervisor share the table."""
    other = Senders(scene.table, 2**22 + 1, (), scene.said.append)

    assert not scene.is_order(gone())
    assert other.is_order(Sent(signal.SIGHUP, gone()))


def test_a_signal_long_after_the_first_is_ignored_too(scene, monkeypatch):
    """It is a first one again."""
    assert not scene.is_order(gone())
    later = clock.boottime() + AGAIN_SECONDS + 1
    monkeypatch.setattr(clock, "boottime", lambda: later)

    assert not scene.is_order(gone())


def test_a_sender_that_nobody_has_waited_for_yet_is_known(scene):
    """`kill` of a shell that lives has ended by the time somebody looks, and is its child."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    until(lambda: state_of(pid) == "Z", 5, "it is a zombie")

    try:
        assert scene.is_order(pid)
    finally:
        os.waitpid(pid, 0)


def test_a_sender_that_only_the_system_may_look_at_gives_orders(scene, sleeper, monkeypatch):
    """Where /proc shows nobody the processes of others, as on many clusters: none is of a task."""
    monkeypatch.setattr(procfs, "ancestors", lambda pid: None)

    assert scene.is_order(sleeper.pid)
