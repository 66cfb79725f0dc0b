"""The worker plane as a client sees it: join, exchange, hand in, beat, unwritten, leave."""

from collections.abc import Sequence
from typing import NamedTuple

from hypershell.access.keys import WORKER
from hypershell.core.begun import Begun
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

VERBS = frozenset({"join", "exchange", "hand_in", "beat", "unwritten", "leave"})


LEAVE_SECONDS = 20.0
"""How long a client that leaves waits for the server to hear it."""


class Earned(NamedTuple):
    """Outcomes that a client earned under this id, with the secret that it got with it."""

    client_id: str
    secret: str
    outcomes: Sequence[Outcome]


class WorkerProxy(PlaneProxy):
    """A server's worker plane."""

    def __init__(self, host: str, port: int, secret: bytes) -> None:
        super().__init__(WORKER, WORKER_SERVICE, host, port, secret)

    def join(self, hello: Hello, seconds: float = CALL_SECONDS) -> Welcome:
        """Join, or come back after a broken connection; the answer may take `seconds`."""
        return unpack_welcome(self._call("join", pack_hello(hello), seconds=seconds))

    def exchange(
        self,
        client_id: str,
        session: int,
        outcomes: list[Outcome],
        want: int,
        wait: float,
        patience: float = CALL_SECONDS,
        begun: Sequence[Begun] = (),
    ) -> Answer:
        """Give outcomes and take claims in one round trip.

        The outcomes are the server's own once this returns. `want` is how many claims the client
        wishes to hold in all, -1 for as before. With `wait` the answer comes when there is
        something to say, after `wait` seconds at the latest; if it has not come `patience` seconds
        after that, the connection is taken to be broken.

        `begun` are tasks that began, still run and were not told yet. To tell of them costs the
        server a write, so a client does not tell of short ones.
        """
        answer = self._call(
            "exchange",
            client_id,
            session,
            outcomes,
            want,
            wait,
            list(begun),
            seconds=wait + patience,
        )
        return unpack_answer(answer)

    def hand_in(
        self, welcome: Welcome, earned: Earned, seconds: float = CALL_SECONDS
    ) -> int | None:
        """Give outcomes of an earlier time, when the server knew this client by another id.

        How many of them it took: those of attempts that it had given up and not handed out again.
        None if the server does not know this client any more, as it is now.
        """
        outcomes = list(earned.outcomes)
        args = welcome.client_id, welcome.session, earned.client_id, earned.secret, outcomes
        match self._call("hand_in", *args, seconds=seconds):
            case None | int() as taken:
                return taken
        raise ValueError("not a number of outcomes")

    def leave(
        self,
        client_id: str,
        reason: str,
        dead: bool,
        begun: Sequence[tuple[int, int]] = (),
        interrupted: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Give up all that the client holds; its tasks may run elsewhere at once.

        `begun` are those (task id, lease) that had begun and have no accepted outcome: they are
        lost where the client is `dead`. `interrupted` are those whose outcome it still had, and
        which only ended because it was told to end. All others that it holds were never begun.
        """
        pairs = [list(pair) for pair in begun], [list(pair) for pair in interrupted]
        self._call("leave", client_id, reason, dead, *pairs, seconds=LEAVE_SECONDS)

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
