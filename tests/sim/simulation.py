"""Runs worlds: one seed after another, in this process."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from hypershell.client.task_buffer import TaskBuffer
from tests.sim import disk, runtime
from tests.sim.books import Broken
from tests.sim.plan import Plan
from tests.sim.world import World

SPINNING_SECONDS = 20.0
"""Of processor time, by which any world is over: one that is not goes round in circles."""

_world: World | None = None
_accepted = TaskBuffer.accepted


def _note_accepted(buffer: TaskBuffer, round_trip_seconds: float) -> None:
    """What the server has taken, its client was told."""
    if _world is not None:
        _world.books.told_accepted(buffer._given)
    _accepted(buffer, round_trip_seconds)


def _dial(address: Any, authkey: bytes, plane: str = "", patience: float | None = None) -> Any:
    assert _world is not None
    return _world.network.dial(address, authkey, plane, patience)


def _hostname() -> str:
    if _world is None or _world.scheduler.current is None:
        return "node0"
    return _world.scheduler.current.process.machine.name


@contextmanager
def simulated(with_database: bool) -> Iterator[None]:
    """The runtime, the wire and the disk are simulated meanwhile."""
    from tests.sim.servers import sim_plane_servers

    with ExitStack() as stack:
        if with_database:
            stack.enter_context(disk.replaced())
        stack.enter_context(runtime.replaced())
        for name, stand_in in {
            "hypershell.wire.proxy.dial": _dial,
            "hypershell.server.server.plane_servers": sim_plane_servers,
            "hypershell.server.server.raise_descriptor_limit": lambda: None,
            "multiprocessing.managers.util.ForkAwareLocal": runtime.Local,
            "multiprocessing.managers.BaseProxy._address_to_local": {},
            "multiprocessing.managers.util.register_after_fork": lambda *_: None,
            "socket.gethostname": _hostname,
            "hypershell.client.task_buffer.TaskBuffer.accepted": _note_accepted,
            "hypershell.runtime.procfs.load_average": lambda: 0.0,
            "hypershell.runtime.procfs.memory_percent": lambda: 0.0,
        }.items():
            stack.enter_context(mock.patch(name, stand_in))
        yield


def run_plan(
    plan: Plan, tell: Callable[[float, str, str], None] | None = None
) -> tuple[World, Broken | None]:
    """Run one world to its end; which rule was broken, if one was."""
    import multiprocessing.managers as managers

    global _world
    managers.BaseProxy._address_to_local.clear()  # type: ignore[attr-defined]
    _world = world = World(plan, tell)
    broken = None
    try:
        with _bounded(world):
            world.run()
    except Broken as error:
        broken = error
    finally:
        _world = None
    return world, broken


@contextmanager
def _bounded(world: World) -> Iterator[None]:
    """A strand that never gives way, or a world in which no time passes, is broken off."""

    def break_off(*_: object) -> None:
        strand = world.scheduler.current
        who = "nobody" if strand is None else strand.name
        raise Broken("a run ends", f"it spins at {world.scheduler.now:.3f} s, in {who}")

    before = signal.signal(signal.SIGPROF, break_off)
    signal.setitimer(signal.ITIMER_PROF, SPINNING_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def current() -> World | None:
    """The world that runs, if one does."""
    return _world


def quiet() -> None:
    """The product's log goes nowhere."""
    logging.disable(logging.CRITICAL)
