"""What goes wrong with a farm: each kind of event, and how all of it is healed in the end."""

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.sim.scheduler import Machine, Process

if TYPE_CHECKING:
    from tests.sim.clients import SimClient
    from tests.sim.world import World

Fault = Callable[["World", int, float], None]

_SHARE_OF_LEASE = 0.03
"""For how long a program of a busy machine may be late, as a share of the lease.

The margin that the manual states is a tenth of it, up to a second, of which a client needs some.
"""

_LATEST = 0.3
"""Seconds that it may be late at most, however long the lease is."""

_LOOK_SECONDS = 0.01
_FEW_TASKS = 3

_SIGNALS = (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _client(world: "World", who: int) -> "SimClient | None":
    alive = [client for client in world.clients if client.is_supervised or client.is_alive]
    return alive[who % len(alive)] if alive else None


def _with_client(do: Callable[["SimClient", float], None]) -> Fault:
    def happen(world: "World", who: int, value: float) -> None:
        client = _client(world, who)
        if client is not None:
            do(client, value)

    return happen


def _freeze_client(client: "SimClient", value: float) -> None:
    client.freeze(client.proper, value)


def _freeze_supervisor(client: "SimClient", value: float) -> None:
    client.freeze(client.supervisor, value)


def _freeze_and_stop(world: "World", who: int, value: float) -> None:
    """A client stands still past its lease, and somebody stops the server meanwhile."""
    from tests.sim.users import USERS

    client = _client(world, who)
    if client is not None:
        client.freeze(client.proper, 2 * world.plan.lease)
        world.scheduler.call_in(min(value, 0.2), lambda: USERS["stop"](world, who, value))


def _signal_client(client: "SimClient", value: float) -> None:
    client.signal_supervisor(_SIGNALS[int(value * 100) % len(_SIGNALS)])


def _signal_all(client: "SimClient", value: float) -> None:
    client.signal_all(_SIGNALS[int(value * 100) % len(_SIGNALS)])


# Machines.


def _machine(world: "World", who: int) -> Machine:
    """One of those that have no server."""
    return world.machines[1 + who % (len(world.machines) - 1)]


def _crash_machine(world: "World", who: int, value: float) -> None:
    crash(world, _machine(world, who), value)


def crash(world: "World", machine: Machine, seconds: float) -> None:
    """A machine loses its power, and is back in a while."""
    if not machine.is_up:
        return
    machine.is_up = False
    world.note(machine.name, "crashes")
    for client in world.clients:
        if client.machine is machine:
            client.machine_crashed()
    for process in list(machine.processes):
        world.scheduler.kill(process)
    world.running.lose(machine)
    world.scheduler.call_in(seconds, partial(_reboot, world, machine))


def _reboot(world: "World", machine: Machine) -> None:
    machine.is_up = True
    world.note(machine.name, "is up again")


def _freeze_machine(world: "World", who: int, value: float) -> None:
    machine = _machine(world, who)
    freeze(world, machine)
    world.scheduler.call_in(value, partial(thaw, world, machine, 0.0))


def _suspend_machine(world: "World", who: int, value: float) -> None:
    machine = _machine(world, who)
    freeze(world, machine)
    world.scheduler.call_in(value, partial(thaw, world, machine, value))


def freeze(world: "World", machine: Machine) -> None:
    """All of a machine stands still."""
    if machine.is_frozen or not machine.is_up:
        return
    machine.is_frozen = True
    world.note(machine.name, "stands still")
    for process in machine.processes:
        world.scheduler.freeze(process)
    for task in world.running.on(machine):
        task.stand_still()
        task.is_frozen = True
    for client in world.clients:
        client.look_if_watched()


def thaw(world: "World", machine: Machine, suspended: float) -> None:
    """It goes on; its monotonic clock stood still if it was suspended."""
    if not machine.is_frozen:
        return
    machine.is_frozen = False
    world.note(machine.name, "goes on")
    if suspended:
        machine.suspended += suspended
        world.scheduler.shift(machine, suspended)
    for process in machine.processes:
        world.scheduler.thaw(process)
    for task in world.running.on(machine):
        task.is_frozen = False
        task.run_on()


def _busy_machine(world: "World", who: int, value: float) -> None:
    """For a while programs run late there: by less than the margin of a lease allows."""
    _be_busy(world, world.machines[who % len(world.machines)], value)


def _overload_machine(world: "World", who: int, value: float) -> None:
    """Its programs run late, and nothing comes or goes, until a while after its leases are over."""
    seconds = world.plan.lease + min(value, 3.0)
    _be_busy(world, _machine(world, who), seconds)
    _block(inward=True, outward=True)(world, who, seconds)


def _be_busy(world: "World", machine: Machine, seconds: float) -> None:
    rng, end = world.scheduler.rng, world.scheduler.now + seconds
    longest = min(_LATEST, _SHARE_OF_LEASE * world.plan.lease)

    def stall() -> None:
        stalled = [p for p in machine.processes if not p.is_frozen and not machine.is_frozen]
        for process in stalled:
            world.scheduler.freeze(process)
        world.scheduler.call_in(rng.uniform(0, longest), partial(go_on, stalled))

    def go_on(stalled: list[Process]) -> None:
        for process in stalled:
            if not machine.is_frozen and not process.is_dead:
                world.scheduler.thaw(process)
        if world.scheduler.now < end:
            world.scheduler.call_in(rng.uniform(0, longest), stall)

    stall()


def _no_memory(world: "World", who: int, value: float) -> None:
    machine = world.machines[who % len(world.machines)]
    machine.short_until = world.scheduler.now + value


def _step_clock(world: "World", who: int, value: float) -> None:
    machine = world.machines[who % len(world.machines)]
    machine.wall_offset += (value - 5.0) * 1000


# The network.


def _block(inward: bool, outward: bool) -> Fault:
    def happen(world: "World", who: int, value: float) -> None:
        here, there = world.machines[0], _machine(world, who)
        pairs = [(here, there)] * inward + [(there, here)] * outward
        for one, other in pairs:
            world.network.block(one, other)
            world.scheduler.call_in(value, partial(world.network.free, one, other))

    return happen


def _cut(world: "World", who: int, value: float) -> None:
    world.network.cut(_machine(world, who))


def _lose_answers(world: "World", who: int, value: float) -> None:
    machine = world.machines[who % len(world.machines)]
    lost = world.network.lose_answer_to
    lost[machine] = lost.get(machine, 0) + 1 + int(value) % 3


def _slow(world: "World", who: int, value: float) -> None:
    before, world.network.slow = world.network.slow, 500.0

    def end() -> None:
        world.network.slow = before

    world.scheduler.call_in(min(value, 10.0), end)


# Servers.


def _kill_server(world: "World", who: int, value: float) -> None:
    if world.server is not None:
        world.scheduler.kill(world.server.process)


def _crash_server(world: "World", who: int, value: float) -> None:
    machine = world.machines[0]
    if machine.is_up and world.disk is not None:
        crash(world, machine, value)
        world.disk.crash()
        world.failed_file.lose_unsynced(world.scheduler.rng.random())


def _freeze_server(world: "World", who: int, value: float) -> None:
    server = world.server
    if server is not None and not server.process.is_frozen:
        world.scheduler.freeze(server.process)

        def thaw_it() -> None:
            if not server.machine.is_frozen:
                world.scheduler.thaw(server.process)

        world.scheduler.call_in(value, thaw_it)


def _disk_full(world: "World", who: int, value: float) -> None:
    if world.disk is not None:
        world.disk.full_until = world.scheduler.now + min(value, 10.0)


def _disk_slow(world: "World", who: int, value: float) -> None:
    if world.disk is not None:
        world.disk.slow_until = world.scheduler.now + min(value, 10.0)


def _power_failure(world: "World", who: int, value: float) -> None:
    """No commit ends any more, and soon all machines are off; mostly when a run is at its end.

    What is wrong about an end has little time to show itself otherwise.
    """
    if who % 4 and not _is_near_the_end(world):
        if not world.is_healed:
            world.scheduler.call_in(_LOOK_SECONDS, lambda: _power_failure(world, who, value))
        return
    _disk_slow(world, who, value)
    seconds = 0.8 * min(value, 10.0)
    world.scheduler.call_in(seconds, lambda: _crash_all(world))


def _crash_all(world: "World") -> None:
    _crash_server(world, 0, 1.0)
    for machine in world.machines[1:]:
        crash(world, machine, 1.0)


def _is_near_the_end(world: "World") -> bool:
    """Whether the server that runs has few tasks left, and no more to come."""
    server: Any = None if world.server is None else world.server.server
    if server is None or server._reader is None or not server._reader.ended:
        return False
    return 0 < server._store._tally.unfinished() <= _FEW_TASKS


def _signal_server(world: "World", who: int, value: float) -> None:
    if world.server is not None:
        world.server.interrupt(_SIGNALS[who % len(_SIGNALS)])


def _signal_farm(world: "World", who: int, value: float) -> None:
    world.signal_farm(_SIGNALS[who % len(_SIGNALS)])


def _new_client(world: "World", who: int, value: float) -> None:
    if len(world.clients) < 8:
        world.start_client(who, 1 + who % 3)


FAULTS: dict[str, Fault] = {
    "kill client": _with_client(lambda client, value: client.kill_proper("KILL")),
    "kill supervisor": _with_client(lambda client, value: client.kill_supervisor()),
    "kill both": _with_client(lambda client, value: client.kill_both()),
    "crash machine": _crash_machine,
    "freeze client": _with_client(_freeze_client),
    "freeze and stop": _freeze_and_stop,
    "freeze supervisor": _with_client(_freeze_supervisor),
    "freeze machine": _freeze_machine,
    "suspend machine": _suspend_machine,
    "signal client": _with_client(_signal_client),
    "signal all of client": _with_client(_signal_all),
    "block in": _block(inward=True, outward=False),
    "block out": _block(inward=False, outward=True),
    "block both": _block(inward=True, outward=True),
    "cut": _cut,
    "lose answers": _lose_answers,
    "slow": _slow,
    "new client": _new_client,
    "busy machine": _busy_machine,
    "overload machine": _overload_machine,
    "no memory": _no_memory,
    "step clock": _step_clock,
    "kill server": _kill_server,
    "crash server": _crash_server,
    "freeze server": _freeze_server,
    "disk full": _disk_full,
    "disk slow": _disk_slow,
    "power failure": _power_failure,
    "signal server": _signal_server,
    "signal farm": _signal_farm,
}


def heal(world: "World") -> None:
    """Everything that stands still goes on, and nothing is blocked."""
    for one, other in sorted(world.network.blocked, key=lambda pair: (pair[0].name, pair[1].name)):
        world.network.free(one, other)
    world.network.lose_answer_to.clear()
    for machine in world.machines:
        machine.short_until = 0.0
        if not machine.is_up:
            _reboot(world, machine)
        thaw(world, machine, 0.0)
        for process in machine.processes:
            if process.is_frozen:
                world.scheduler.thaw(process)
    if world.disk is not None:
        world.disk.full_until = world.disk.slow_until = -1.0
