"""Connections between simulated machines: they are slow, break, and lie, as real ones do.

It stands below the proxies and above TLS: `dial` is what a proxy dials by, and `SimPlaneServer`
serves what it accepts by the product's own `serve_client`. What is sent is encoded and decoded by
the product's codec. Each direction of a connection keeps its order. Between two machines a
direction may be blocked: what was sent then arrives when it is free again, if the connection still
exists, as TCP would send it again. A machine that crashes says nothing to its peers; a process that
ends hangs up.
"""

import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from hypershell.core.errors import ServerSilent, ServerUnreachable
from hypershell.server.planes.error_kinds import kind_of
from hypershell.wire.codec import WireError, decode, encode
from hypershell.wire.connection import DeadlinePassed
from hypershell.wire.plane import CONNECT_SECONDS
from hypershell.wire.plane_server import PlaneServer
from hypershell.wire.strangers import Strangers
from tests.sim import runtime
from tests.sim.scheduler import Killed, Machine, Process, Scheduler, Strand

KEEPALIVE_SECONDS = 60.0
"""After which a connection to a machine that is gone breaks (`set_options` in `plane_server`)."""

_FIRST_WORD_SECONDS = 20.0
_END = object()


class SimConnection:
    """One end of a connection; see `hypershell.wire.connection.Connection`."""

    def __init__(self, network: "Network", process: Process, number: int) -> None:
        self.network = network
        self.process = process
        self.number = number
        self.other: SimConnection
        self.peer = ""
        self.arrives_at = 0.0  # of what was sent last to the other end
        self.broken: BaseException | None = None
        self._arrived: deque[Any] = deque()
        self._reader: Strand | None = None
        self._deadline: float | None = None
        self.is_closed = False
        self.reset_by_next = False

    def __hash__(self) -> int:
        return self.number

    # What the product calls.

    def set_timeout(self, seconds: float | None) -> None:
        """See Connection."""
        self._deadline = None if seconds is None else runtime.now() + seconds

    def trust(self, *_: Any) -> None:
        """Nobody is a stranger here."""

    def send(self, value: Any) -> None:
        """Send a value; it arrives later, or never."""
        if self.process.is_dead:
            raise Killed
        if self.is_closed:
            raise OSError(9, "Bad file descriptor")
        if self.broken is not None:
            raise self.broken
        data = encode(value)
        self.network.transmit(self, data)

    def recv(self) -> Any:
        """Wait for the next value; EOFError, OSError, DeadlinePassed."""
        scheduler = self.network.scheduler
        while not self._arrived:
            if self.is_closed:
                raise EOFError("the connection was closed")
            if self.broken is not None:
                raise self.broken
            remaining = None
            if self._deadline is not None:
                remaining = self._deadline - runtime.now()
                if remaining <= 0:
                    raise DeadlinePassed("the peer did not answer in time")
            self._reader = scheduler.current
            scheduler.park(remaining)
            self._reader = None
        data = self._arrived.popleft()
        if data is _END:
            self._arrived.append(_END)
            raise EOFError("the peer closed the connection")
        return decode(data)

    def close(self) -> None:
        """Hang up."""
        if not self.is_closed:
            self.is_closed = True
            self.network.hang_up(self)

    def abort(self) -> None:
        """End the wait of another strand, and hang up."""
        self.close()
        self._wake()

    # What the network does.

    def deliver(self, data: Any) -> None:
        """Something arrives."""
        if not self.is_closed and self.broken is None:
            self._arrived.append(data)
            self._wake()

    def break_by(self, error: BaseException) -> None:
        """The system has given the connection up."""
        if not self.is_closed and self.broken is None:
            self.broken = error
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None:
            self.network.scheduler.wake(self._reader)


class Listener:
    """What a plane server listens by."""

    def __init__(self, network: "Network", address: tuple[str, int]) -> None:
        self._network = network
        self.address = address

    def close(self) -> None:
        """Listen no more."""
        self._network.listening.pop(self.address, None)


class SimPlaneServer(PlaneServer):
    """A plane whose peers are all admitted."""

    def __init__(
        self,
        network: "Network",
        process: Process,
        address: tuple[str, int],
        plane: str,
        objects: dict[str, tuple[object, frozenset[str]]],
    ) -> None:
        from hypershell.runtime import threads

        self.network = network
        self.process = process
        self.listener = Listener(network, address)  # type: ignore[assignment]
        self.stop_event = threads.event()
        self._objects = objects
        self._kind_of = kind_of
        self._plane = plane
        self._lock = threads.lock("plane server")
        self._strangers = Strangers()
        self._peers = {}  # type: ignore[assignment]
        self._calls = 0
        self._quiet = threads.condition_on(self._lock)

    def start(self) -> None:
        """Accept peers from now on."""
        self.network.listening[self.listener.address] = self

    def accept(self, connection: SimConnection) -> None:
        """Serve a peer in a strand of its own."""
        if self.process.is_dead:
            connection.other.break_by(ConnectionResetError(104, "Connection reset by peer"))
            return
        self.network.scheduler.start(self.process, "peer", lambda: self._serve(connection))

    def _serve(self, connection: SimConnection) -> None:
        self._peers[connection] = None  # type: ignore[index]
        try:
            connection.send("welcome")
            match connection.recv():
                case [None, "accept_connection", [str()], dict()]:
                    connection.send(("#RETURN", None))
                case _:
                    raise WireError("the peer did not complete the handshake")
            if not self.stop_event.is_set():
                self.serve_client(connection)  # type: ignore[arg-type]
        except (WireError, EOFError, OSError):
            pass
        finally:
            self._peers.pop(connection, None)  # type: ignore[call-arg, arg-type]
            if not self.process.is_dead:
                connection.close()


class Network:
    """All connections of a world. Delays come from the scheduler's chance."""

    def __init__(self, scheduler: Scheduler, slow: float, hosts: dict[str, Machine]) -> None:
        self.scheduler = scheduler
        self.hosts = hosts
        self.slow = slow
        """How many of a thousand messages take long."""
        self.listening: dict[tuple[str, int], SimPlaneServer] = {}
        self.connections: dict[SimConnection, None] = {}
        self.blocked: set[tuple[Machine, Machine]] = set()
        self._held: dict[tuple[Machine, Machine], list[tuple[SimConnection, Any]]] = {}
        self._numbers = itertools.count(1)
        self.lose_answer_to: dict[Machine, int] = {}
        """To each of these machines, so many answers are lost with their connections."""
        self.told: Callable[[str], None] = lambda text: None

    def delay(self) -> float:
        """Seconds that a message takes."""
        rng = self.scheduler.rng
        chance = rng.random()
        if chance * 1000 < self.slow:
            return rng.uniform(0.05, 1.5)
        return 0.0002 + 0.002 * chance

    # What is said.

    def transmit(self, sender: SimConnection, data: Any) -> None:
        """Send something to the other end."""
        receiver = sender.other
        here, there = sender.process.machine, receiver.process.machine
        if self._is_lost(sender, there, data):
            return
        if (here, there) in self.blocked:
            self._held.setdefault((here, there), []).append((sender, data))
            return
        scheduler = self.scheduler
        at = max(sender.arrives_at, scheduler.now + self.delay())
        sender.arrives_at = at
        scheduler.call_at(at, lambda: self._arrive(sender, data))

    def _is_lost(self, sender: SimConnection, there: Machine, data: Any) -> bool:
        """Whether this answer is lost: its call has had its effect, and the connection breaks."""
        if data is _END or not sender.reset_by_next:
            return False
        left = self.lose_answer_to.get(there, 0)
        if not left:
            return False
        self.lose_answer_to[there] = left - 1
        self.told(f"an answer to {there.name} is lost, and its connection reset")
        self.reset(sender)
        return True

    def _arrive(self, sender: SimConnection, data: Any) -> None:
        receiver = sender.other
        here, there = sender.process.machine, receiver.process.machine
        if (here, there) in self.blocked:
            self._held.setdefault((here, there), []).append((sender, data))
        elif not there.is_up or not here.is_up:
            return
        elif receiver.process.is_dead or receiver.is_closed:
            if data is not _END:
                sender.break_by(ConnectionResetError(104, "Connection reset by peer"))
        else:
            receiver.deliver(data)

    def hang_up(self, end: SimConnection) -> None:
        """One end is closed: the other will read that."""
        self.connections.pop(end, None)
        self.transmit(end, _END)

    def reset(self, end: SimConnection) -> None:
        """Both ends see the connection break."""
        for each in (end, end.other):
            each.break_by(ConnectionResetError(104, "Connection reset by peer"))

    # What happens to machines and processes.

    def process_ended(self, process: Process) -> None:
        """The system closes what a process had open."""
        for address, server in list(self.listening.items()):
            if server.process is process:
                del self.listening[address]
        for end in [end for end in self.connections if end.process is process]:
            end.is_closed = True
            if process.machine.is_up:
                self.hang_up(end)
            else:
                self.connections.pop(end, None)
                self._give_up_later(end.other)

    def _give_up_later(self, end: SimConnection) -> None:
        error = TimeoutError(110, "Connection timed out")
        self.scheduler.call_in(KEEPALIVE_SECONDS, lambda: end.break_by(error))

    def block(self, one: Machine, other: Machine) -> None:
        """Nothing gets from the one to the other."""
        self.blocked.add((one, other))

    def free(self, one: Machine, other: Machine) -> None:
        """What was sent meanwhile arrives."""
        self.blocked.discard((one, other))
        for sender, data in self._held.pop((one, other), []):
            at = max(sender.arrives_at, self.scheduler.now + self.delay())
            sender.arrives_at = at
            self.scheduler.call_at(at, lambda s=sender, d=data: self._arrive(s, d))

    def cut(self, machine: Machine) -> None:
        """All connections of a machine are reset, as by a firewall that forgot them."""
        for end in list(self.connections):
            if end.process.machine is machine:
                self.reset(end)

    # Dialling.

    def dial(
        self,
        address: tuple[str, int],
        authkey: bytes,
        plane: str = "",
        patience: float | None = None,
    ) -> SimConnection:
        """See `hypershell.wire.plane.dial`."""
        scheduler = self.scheduler
        strand = scheduler.current
        assert strand is not None
        process, (host, port) = strand.process, address
        here = process.machine
        server = self.listening.get(address)
        there = None if server is None else server.process.machine
        scheduler.park(2 * self.delay())
        unreachable = (here, there) in self.blocked or (there, here) in self.blocked
        if server is None or self.listening.get(address) is not server:
            if unreachable or not self._is_up(host):
                scheduler.park(CONNECT_SECONDS)
                raise ServerUnreachable(host=host, port=port, reason="timed out")
            raise ServerUnreachable(host=host, port=port, reason="connection refused")
        if unreachable:
            scheduler.park(CONNECT_SECONDS)
            raise ServerUnreachable(host=host, port=port, reason="timed out")
        end = self._connect(process, server)
        end.set_timeout(max(CONNECT_SECONDS, min(patience or 0.0, _FIRST_WORD_SECONDS)))
        try:
            end.recv()
        except DeadlinePassed:
            end.close()
            raise ServerSilent(host=host, port=port) from None
        except (EOFError, OSError) as error:
            end.close()
            raise ServerUnreachable(host=host, port=port, reason=str(error)) from error
        return end

    def _is_up(self, host: str) -> bool:
        machine = self.hosts.get(host)
        return machine is not None and machine.is_up

    def _connect(self, process: Process, server: SimPlaneServer) -> SimConnection:
        near = SimConnection(self, process, next(self._numbers))
        far = SimConnection(self, server.process, next(self._numbers))
        near.other, far.other = far, near
        far.reset_by_next = True  # it is the server that answers
        self.connections[near] = self.connections[far] = None
        self.scheduler.call_in(self.delay(), lambda: server.accept(far))
        return near


def seeded(seed: int, what: str) -> random.Random:
    """A generator of its own for one part of a world."""
    return random.Random(f"{seed} {what}")
