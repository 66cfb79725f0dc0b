"""The supervisor's decisions, without a process: what it does when its client is dead, in order."""

import signal

import pytest

from hypershell.client.begun_table import BegunTable
from hypershell.client.client_process import Heard, Reaped
from hypershell.client.supervisor import Supervisor
from hypershell.runtime import clock

LEASE, GRACE = 2.0, 0.5


class Scene:
    """A client that is killed, and leaves a process; the supervisor's system and its speaker."""

    supervisor, launcher = 11, 1

    def __init__(self, heeds: int | None) -> None:
        self.now = 100.0
        self.heeds = heeds
        self.left = {7}
        self.log: list[str] = []
        self.call_seconds = 0.0

    def prepare(self) -> bool:
        """There is a launcher."""
        return True

    def start(self, client) -> int | None:
        """It has been started."""
        return None

    def wait(self, seconds: float | None) -> Heard:
        """It has joined."""
        return Heard(f"joined 0a1b2c3d 1 {LEASE} {GRACE} {self.now}\n".encode(), [])

    def signals(self) -> list:
        """None come."""
        return []

    def last_words(self) -> bytes:
        """It had no time for any."""
        return b""

    def reap(self) -> Reaped:
        """It was killed."""
        return Reaped(signal.SIGKILL, False)

    def descendants(self) -> set[int]:
        """What it left."""
        return set(self.left)

    def signal(self, number: int, pid: int | None = None) -> None:
        """To one process."""

    def signal_all(self, number: int) -> set[int]:
        """To all that it left."""
        self.log.append(signal.Signals(number).name)
        if number == self.heeds:
            self.left.clear()
        return set()

    def heed_no_more(self) -> None:
        """Nothing runs any more."""

    def say(self, text: str) -> None:
        """Nobody reads it here."""

    def still_here(self, client_id: str, session: int, patience_seconds: float) -> None:
        """A call that takes its time."""
        self.log.append("still here")
        self.now += self.call_seconds

    def leave(self, client_id: str, reason: str) -> bool:
        """The server hears it."""
        self.log.append("leave")
        return True

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds


def supervise(scene: Scene, monkeypatch) -> None:
    """Have it do all that it does."""
    for name in ("monotonic", "boottime"):
        monkeypatch.setattr(clock, name, lambda: scene.now)
    monkeypatch.setattr(clock, "sleep", scene.sleep)
    Supervisor(lambda *_: 0, lambda: scene, BegunTable(1), scene).run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_hears_of_a_death_when_nothing_is_left(monkeypatch, number):
    """As it gives the tasks to others then."""
    scene = Scene(heeds=number)

    supervise(scene, monkeypatch)

    assert ["SIGTERM", *["SIGKILL"] * (number == signal.SIGKILL), "leave"] == scene.log


def test_nobody_is_called_before_what_is_left_was_killed(monkeypatch):
    """A call over a slow network may take longer than the lease."""
    scene = Scene(heeds=None)
    scene.call_seconds = 10.0

    supervise(scene, monkeypatch)

    assert ["SIGTERM", "SIGKILL", "still here"] == scene.log[:3]
    assert "leave" not in scene.log


def test_the_grace_of_what_is_left_ends_with_the_lease(monkeypatch):
    """However late the client was seen to be dead."""
    scene = Scene(heeds=signal.SIGKILL)
    heard_at = scene.now - LEASE
    scene.wait = lambda seconds: Heard(
        f"joined 0a1b2c3d 1 {LEASE} {GRACE} {heard_at}\n".encode(), []
    )

    supervise(scene, monkeypatch)

    assert ["SIGTERM", "SIGKILL", "leave"] == scene.log
    assert scene.now < 100.1
