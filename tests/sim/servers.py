"""A simulated server: the product's `Server`, in a process that may be killed at any moment.

What `app.serve` does around it is done here in few lines: a directory says where the server is and
whether it ended in order, a database is opened and a run begun in it, signals are handed over.
"""

import hashlib
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from hypershell.access.keys import CLIENT, WORKER
from hypershell.core.begun import GoneClient
from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.core.task_spec import TaskSpec
from hypershell.server.options import Ended, ServerOptions
from hypershell.server.planes.client_service import ClientService
from hypershell.server.planes.worker_service import WorkerService
from hypershell.server.server import Server
from hypershell.wire.client_plane import CLIENT_SERVICE
from hypershell.wire.client_plane import VERBS as CLIENT_VERBS
from hypershell.wire.worker_plane import VERBS as WORKER_VERBS
from hypershell.wire.worker_plane import WORKER_SERVICE
from tests.sim.files import SimReader, SimSink
from tests.sim.network import Network, SimPlaneServer
from tests.sim.scheduler import Machine, Process

if TYPE_CHECKING:
    from tests.sim.world import World

SECRET = b"secret of the farm"


class Place(NamedTuple):
    """Where a server of a world listens, as its product code is given it for its sockets."""

    network: Network
    process: Process
    host: str
    port: int


def sim_plane_servers(
    place: Place, worker_service: WorkerService, client_service: ClientService
) -> dict[str, SimPlaneServer]:
    """See `hypershell.server.planes.plane_servers`."""
    network, process, host, port = place
    worker = {WORKER_SERVICE: (worker_service, WORKER_VERBS)}
    client = {CLIENT_SERVICE: (client_service, CLIENT_VERBS)}
    return {
        WORKER: SimPlaneServer(network, process, (host, port), WORKER, worker),
        CLIENT: SimPlaneServer(network, process, (host, port + 1), CLIENT, client),
    }


class Directory:
    """The server directory: where the last server is, and whether it ended in order."""

    def __init__(self) -> None:
        self.host = ""
        self.port = 0
        self.number = 0
        self.has_ended = False


class SimTraces:
    """What dead clients left on the machine of the server; see `client.traces`."""

    is_busy = False

    def __init__(self, world: "World", machine: Machine) -> None:
        self._world = world
        self._machine = machine

    def look(self, client_ids: Any) -> list[GoneClient]:
        """Those of these clients that are gone; what is left of those that are dead is ended."""
        self.is_busy = False
        gone = []
        wanted = set(client_ids)
        for client in self._world.clients:
            if client.client_id not in wanted or client.machine is not self._machine:
                continue
            if client.is_supervised or client.is_alive or client.table is None:
                continue
            if left := self._world.running.of(client):
                self.is_busy = True
                for process in left:
                    process.get(signal.SIGKILL)
                continue
            begun, interrupted = client.table.read()
            gone.append(GoneClient(client.client_id, begun, interrupted))
        return gone

    def remove(self, client_id: str) -> None:
        """All is known of it."""
        for client in self._world.clients:
            if client.client_id == client_id:
                client.table = None


class SimServer:
    """One life of a server."""

    def __init__(self, world: "World", machine: Machine, mode: RunMode, port: int) -> None:
        self.world = world
        self.machine = machine
        self.mode = mode
        self.port = port
        self.number = len(world.servers) + 1
        self.process = Process(machine, f"server{self.number}", next(world.running.pids))
        self.process.at_death.append(self._died)
        self.server: Server | None = None
        self.ended: Ended | None = None
        self.error: Exception | None = None
        self.is_over = False
        self.was_seen_to_end = False
        self.stop_asked = False
        self.session: Any = None
        world.scheduler.start(self.process, f"server{self.number} main", self._main)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return not (self.is_over or self.process.is_dead)

    def _main(self) -> None:
        try:
            self.ended = self._serve()
        except Exception as error:  # noqa: BLE001 - what ends the program is looked at later
            self.error = error
        self.is_over = True
        self.world.server_over(self)

    def _serve(self) -> Ended:
        world, plan = self.world, self.world.plan
        is_file = self.mode in (RunMode.FILE, RunMode.RESUME)
        reader = SimReader(world.input) if is_file else None
        self.session = session = world.open_session(self, reader)
        spec = TaskSpec(cwd="/sim", retry_delay=plan.retry_delay)
        options = ServerOptions(
            bundlesize=plan.bundlesize,
            bundlewait=plan.bundlewait,
            policy=Policy(plan.retries, plan.max_lost, plan.eager, spec),
            spec=spec,
            lease=plan.lease,
            grace=plan.grace,
            resumes=self.mode is RunMode.RESUME,
        )
        sink = SimSink(world.failed_file)
        place = Place(world.network, self.process, self.machine.name, self.port)
        traces = SimTraces(world, self.machine)
        self.server = server = Server(
            options,
            reader,  # type: ignore[arg-type]
            sink,
            place,  # type: ignore[arg-type]
            {"uid": str(self.number), "database": "sim"},
            session,
            traces,
        )
        world.books.watch(self)
        return server.run(self._started, self._ended)

    def _started(self) -> None:
        directory = self.world.directory
        directory.host, directory.port = self.machine.name, self.port
        directory.number, directory.has_ended = self.number, False
        self.world.note(self.process.name, f"listening, {self.mode.name}")

    def _ended(self) -> None:
        if not self.process.is_dead:
            self.world.directory.has_ended = True

    def _died(self) -> None:
        self.world.network.process_ended(self.process)
        self.world.server_died(self)

    def interrupt(self, number: int) -> None:
        """A signal comes."""
        if self.is_alive and self.server is not None:
            self.stop_asked = True
            server = self.server
            self.world.scheduler.start(self.process, "signals", lambda: server.interrupt(number))


def client_key(seed: int) -> bytes:
    """The key of the secrets of clients."""
    return hashlib.sha256(b"%d" % seed).digest()
