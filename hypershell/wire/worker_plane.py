"""The worker plane as a client sees it: join, exchange, beat, unwritten, leave."""

from hypershell.access.keys import WORKER
from hypershell.core.outcome import Outcome
from hypershell.core.unwritten import Unwritten
from hypershell.wire.proxy import CALL_SECONDS, PlaneProxy
from hypershell.wire.worker_messages import (
    Answer,
    Hello,
    Welcome,
    pack_hello,
    unpack_answer,
    unpack_welcome,
)

WORKER_SERVICE = "worker service"
"""The identity of the object that a worker plane exposes."""

VERBS = frozenset({"join", "exchange", "beat", "unwritten", "leave"})


class WorkerProxy(PlaneProxy):
    """A server's worker plane."""

    def __init__(self, host: str, port: int, secret: bytes) -> None:
        super().__init__(WORKER, WORKER_SERVICE, host, port, secret)

    def join(self, hello: Hello) -> Welcome:
        """Join, or come back after a broken connection."""
        return unpack_welcome(self._call("join", pack_hello(hello)))

    def exchange(
        self,
        client_id: str,
        session: int,
        outcomes: list[Outcome],
        want: int,
        wait: float,
        patience: float = CALL_SECONDS,
    ) -> Answer:
        """Give outcomes and take claims in one round trip.

        The outcomes are the server's own once this returns. `want` is how many claims the client
        wishes to hold in all, -1 for as before. With `wait` the answer comes when there is
        something to say, after `wait` seconds at the latest; if it has not come `patience` seconds
        after that, the connection is taken to be broken.
        """
        answer = self._call(
            "exchange", client_id, session, outcomes, want, wait, seconds=wait + patience
        )
        return unpack_answer(answer)

    def leave(self, client_id: str, reason: str, dead: bool) -> None:
        """Give up all that the client holds; its tasks may run elsewhere at once.

        A client that is `dead` may have begun any of them; any other has begun none.
        """
        self._call("leave", client_id, reason, dead)

    def beat(
        self, client_id: str, session: int, load: float, memory: float, patience: float
    ) -> None:
        """Tell how busy the machine is: its load average, and the percentage of memory in use."""
        self._call("beat", client_id, session, load, memory, seconds=patience)

    def unwritten(self, client_id: str, unwritten: Unwritten, patience: float) -> None:
        """Tell what could not be written of the output of tasks, in place of what was told before.

        Before the outcomes of those tasks are given; after `leave` if that says the last of it.
        """
        self._call("unwritten", client_id, list(unwritten), seconds=patience)
