"""What people do to a farm while it runs: submit, cancel, retry, wait, stop."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hypershell.core.errors import HyperShellError, NoServer
from hypershell.core.query.selection import Selection
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.codec import WireError
from hypershell.wire.refusal import CallRefused
from tests.sim import runtime
from tests.sim.scheduler import Process
from tests.sim.servers import SECRET

if TYPE_CHECKING:
    from tests.sim.world import World

_POLL_SECONDS = 0.05

_NOT_DONE = (OSError, EOFError, WireError, CallRefused, HyperShellError, ValueError)


def _as_user(
    world: "World",
    name: str,
    do: Callable[[ClientPlaneProxy], None],
    otherwise: Callable[[], object] = lambda: None,
) -> None:
    """Do something in a process of its own, on the last machine; `otherwise` if that fails."""
    machine = world.machines[-1]
    directory = world.directory
    if not machine.is_up or not directory.port:
        otherwise()
        return
    process = Process(machine, name, next(world.running.pids))
    process.at_death.append(lambda: world.network.process_ended(process))

    def run() -> None:
        proxy = ClientPlaneProxy(directory.host, directory.port + 1, SECRET)
        try:
            do(proxy)
        except _NOT_DONE as error:
            world.note(name, f"was refused: {error}")
            otherwise()
        world.scheduler.call_in(0.0, lambda: world.scheduler.kill(process))

    world.scheduler.start(process, name, run)


def _submit(world: "World", who: int, value: float) -> None:
    number = world.new_submission()
    lines = [b"submitted %d-%d" % (number, at) for at in range(1 + who % 3)]

    def do(proxy: ClientPlaneProxy) -> None:
        world.submissions_in_doubt += len(lines)
        for task_id, line in zip(proxy.submit(lines), lines, strict=False):
            world.books.submitted[task_id] = line
        world.submissions_in_doubt -= len(lines)

    _as_user(world, "submit", do)


def _some(world: "World", who: int) -> tuple[int, ...]:
    """Ids of tasks, some of which may not exist."""
    first = 1 + (who * 7) % max(1, world.plan.lines)
    return tuple(range(first, first + 1 + who % 4))


def _cancel(world: "World", who: int, value: float) -> None:
    ids = _some(world, who)
    world.books.cancelled.update(ids)
    _as_user(world, "cancel", lambda proxy: _note(proxy.cancel(Selection(ids=ids))))


def _retry(world: "World", who: int, value: float) -> None:
    ids = _some(world, who)

    def do(proxy: ClientPlaneProxy) -> None:
        take_back = world.books.user_retries(ids)
        try:
            changed = proxy.retry(Selection(ids=ids)).changed
        except (NoServer, CallRefused):
            changed = 0  # nobody heard it, or did it
        if not changed:
            take_back()

    _as_user(world, "retry", do)


def _wait(world: "World", who: int, value: float) -> None:
    ids = _some(world, who) if who % 2 else ()
    _as_user(world, "wait", lambda proxy: _waits(world, proxy, ids, min(60.0, value)))


def _poll(world: "World", who: int, value: float) -> None:
    """Ask again and again whether one task is final, or all of the run, whoever answers."""
    ids = _some(world, who)[:1] if who % 2 else ()
    end = world.scheduler.now + value

    def do(proxy: ClientPlaneProxy) -> None:
        while world.scheduler.now < end and not _waits(world, proxy, ids, 0.0):
            runtime.clock.sleep(_POLL_SECONDS)

    def again() -> None:
        if world.scheduler.now < end and not world.is_done:
            _as_user(world, "poll", do, lambda: world.scheduler.call_in(_POLL_SECONDS, again))

    again()


def _waits(world: "World", proxy: ClientPlaneProxy, ids: tuple[int, ...], seconds: float) -> bool:
    """Wait once; whether it is said that all of these are final."""
    known = [task_id for task_id in ids or world.books.started if world.books.started[task_id]]
    answer = proxy.wait(Selection(ids=ids), seconds)
    is_final = bool(answer["over"] and not answer["unfinished"])
    if is_final:
        world.books.told_final(known)
    return is_final


def _stop(world: "World", who: int, value: float) -> None:
    _as_user(world, "stop", lambda proxy: proxy.stop(drain=False))


def _drain(world: "World", who: int, value: float) -> None:
    _as_user(world, "drain", lambda proxy: proxy.stop(drain=True))


def _note(answer: object) -> None:
    """The answer does not matter."""


USERS: dict[str, Callable[["World", int, float], None]] = {
    "submit": _submit,
    "cancel": _cancel,
    "retry": _retry,
    "wait": _wait,
    "poll": _poll,
    "stop": _stop,
    "drain": _drain,
}
