"""The worker plane of a server on a real socket, without a store: the test is the store."""

import socket
import threading
from collections.abc import Callable, Iterable

from hypershell.access.keys import WORKER, plane_secret
from hypershell.core.outcome import Outcome
from hypershell.core.task import Task
from hypershell.core.task_spec import TaskSpec
from hypershell.server.events import ClientJoined, EventBus
from hypershell.server.planes.worker_service import WorkerService
from hypershell.server.state.client import Client, Pairs
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.wire.plane import Plane
from hypershell.wire.worker_messages import Phase
from hypershell.wire.worker_plane import VERBS, WORKER_SERVICE
from tests.helpers.waiting import until

PROMPT = 15.0


class WorkerPlane:
    """What clients of one start of a server meet. Outcomes are recorded while `records` is set."""

    def __init__(
        self,
        key: str,
        port: int = 0,
        lease: float = 30.0,
        grace: float = 1.0,
        adopt: Callable[[str, Pairs], Pairs | None] = lambda client_id, held: None,
    ) -> None:
        bus, lock = EventBus(), threading.RLock()
        self.joined: list[ClientJoined] = []
        bus.subscribe(self.joined.append, ClientJoined)

        def adopted(client_id: str, held: Pairs) -> list[Task] | None:
            pairs = adopt(client_id, held)
            return None if pairs is None else [Task(i, b"true", 1, lease) for i, lease in pairs]

        self.registry = ClientRegistry(lock, lease, grace, bus, adopted)
        self.scheduled = ScheduledQueue(lock, 1, bus)
        self.finished = FinishedQueue()
        self.outcomes: list[Outcome] = []
        self.handed_in: list[Outcome] = []
        self.batches = 0
        self.records = threading.Event()
        self.records.set()
        self._died = False
        service = WorkerService(self.registry, self.scheduled, self.finished, self)
        sock = socket.create_server(("127.0.0.1", port))
        self.port = sock.getsockname()[1]
        secret = plane_secret(key, WORKER)
        objects = {WORKER_SERVICE: (service, VERBS)}
        self._plane_server = Plane(sock, WORKER, secret, objects).get_server()
        self._plane_server.start()
        threading.Thread(target=self._record, daemon=True).start()

    def take(self, client: str, earlier: str, secret: str, outcomes: list[Outcome]) -> int:
        """See LateOutcomes: all are taken from whoever has the secret."""
        if not self.registry.is_secret_of(earlier, secret):
            return 0
        self.handed_in += outcomes
        return len(outcomes)

    def offer(self, *commands: str, first_id: int = 1, captured: bool = False) -> None:
        """Have these tasks run, numbered on from here."""
        tasks = [
            Task(number, command.encode(), number, lease=1, spec=TaskSpec(capture=captured))
            for number, command in enumerate(commands, start=first_id)
        ]
        self.scheduled.offer([[task] for task in tasks])

    def wait_for(self, *task_ids: int, seconds: float = PROMPT) -> list[Outcome]:
        """The outcomes of these tasks, once they are recorded."""
        wanted = set(task_ids)
        until(
            lambda: wanted <= {o.task_id for o in self.outcomes}, seconds, f"{task_ids} have ended"
        )
        return sorted(o for o in self.outcomes if o.task_id in wanted)

    def client(self) -> Client:
        """The one client, waiting until it has joined."""
        (client,) = until(self.registry.clients, PROMPT, "a client has joined")
        return client

    def end(self) -> None:
        """Tell all clients that all is done."""
        self.scheduled.set_phase(Phase.OVER)

    def die(self) -> None:
        """Hang up at once, as a server that is killed; its port is free."""
        self._died = True
        self._plane_server.stop(0.0)
        self.finished.close()
        self.records.set()
        self.scheduled.wake_all()

    def _record(self) -> None:
        while batches := self.finished.take():
            self.records.wait()
            if self._died:
                return  # a server that is killed accepts nothing more
            for batch in batches:
                self._accept(batch.client, batch.outcomes)
                batch.recorded = True
                batch.done.set()

    def _accept(self, client: Client, outcomes: Iterable[Outcome]) -> None:
        given = list(outcomes)
        self.batches += 1
        self.outcomes += given
        self.registry.release(client, given)
