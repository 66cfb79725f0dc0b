"""The worker plane as a client sees it: join, exchange, leave."""

from collections.abc import Callable
from multiprocessing.managers import BaseProxy, Token
from typing import Any

from hypershell.access.keys import WORKER
from hypershell.core.task import Outcome
from hypershell.wire.connection import Connection
from hypershell.wire.manager import serializer_of
from hypershell.wire.messages import (
    Answer,
    Hello,
    Welcome,
    pack_hello,
    unpack_answer,
    unpack_welcome,
)

FARM = "farm"
"""The identity of the object that a worker plane exposes."""

VERBS = frozenset({"join", "exchange", "leave"})

CALL_SECONDS = 20.0
"""An answer that takes longer than this, over what was asked for, is not coming."""


class WorkerProxy(BaseProxy):
    """A server's worker plane. Each thread that calls has a connection of its own.

    A call that breaks (OSError, EOFError, WireError) leaves its thread without a connection; the
    next call makes a new one, and raises what `manager.dial` raises if it cannot.
    """

    _tls: Any  # set by BaseProxy: what each thread has of its own
    _connect: Callable[[], None]

    def __init__(self, host: str, port: int, secret: bytes) -> None:
        token = Token("Farm", (host, port), FARM)
        super().__init__(token, serializer_of(WORKER), authkey=secret, incref=False)

    def join(self, hello: Hello) -> Welcome:
        """Join, or come back after a broken connection."""
        return unpack_welcome(self._call("join", pack_hello(hello)))

    def exchange(
        self, client_id: str, session: int, outcomes: list[Outcome], want: int, wait: float
    ) -> Answer:
        """Give outcomes and take claims in one round trip.

        The outcomes are the server's own once this returns. `want` is how many claims the client
        wishes to hold in all, -1 for as before. With `wait` the answer comes when there is
        something to say, after so many seconds at the latest.
        """
        answer = self._call("exchange", client_id, session, outcomes, want, wait, patience=wait)
        return unpack_answer(answer)

    def leave(self, client_id: str, reason: str) -> None:
        """Give up all that the client holds; its tasks may run elsewhere at once."""
        self._call("leave", client_id, reason)

    def hang_up(self) -> None:
        """Close this thread's connection, if it has one."""
        connection: Connection | None = getattr(self._tls, "connection", None)
        if connection is not None:
            del self._tls.connection
            connection.close()

    def connection(self) -> Connection:
        """This thread's connection, made now if there is none."""
        if not hasattr(self._tls, "connection"):
            self._connect()
        connection: Connection = self._tls.connection
        return connection

    def _call(self, verb: str, *args: Any, patience: float = 0.0) -> Any:
        connection = self.connection()
        connection.set_timeout(patience + CALL_SECONDS)
        try:
            return self._callmethod(verb, args)
        except BaseException:
            self.hang_up()
            raise
