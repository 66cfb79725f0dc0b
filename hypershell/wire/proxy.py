"""A plane of a server as a peer sees it: a proxy whose threads have a connection each."""

from multiprocessing.managers import BaseProxy, Token, dispatch  # type: ignore[attr-defined]
from typing import Any

from hypershell.core.errors import ServerUnreachable
from hypershell.runtime import threads
from hypershell.wire.address import reason_of
from hypershell.wire.connection import Connection
from hypershell.wire.plane import dial, serializer_of

CALL_SECONDS = 60.0
"""An answer that takes longer than this is not coming, if nothing else was said. A server that is
stopped or overloaded for less is not gone.
"""


class PlaneProxy(BaseProxy):
    """One object on one plane. Each thread that calls has a connection of its own.

    A call that breaks (OSError, EOFError, WireError) leaves its thread without a connection; the
    next call makes a new one, and raises what `manager.dial` raises if it cannot.
    """

    _tls: Any  # set by BaseProxy: what each thread has of its own
    _token: Any

    def __init__(self, plane: str, ident: str, host: str, port: int, secret: bytes) -> None:
        token = Token(ident, (host, port), ident)
        super().__init__(token, serializer_of(plane), authkey=secret, incref=False)
        self._plane = plane
        self._secret = secret
        self.patience: float | None = None
        """Seconds that the program listening there has for its first word; None: as `dial`."""

    def hang_up(self) -> None:
        """Close this thread's connection, if it has one."""
        connection: Connection | None = getattr(self._tls, "connection", None)
        if connection is not None:
            del self._tls.connection
            connection.close()

    def connection(self) -> Connection:
        """This thread's connection, made now if there is none; NoServer, Refused."""
        if not hasattr(self._tls, "connection"):
            try:
                self._connect()
            except (OSError, EOFError) as error:
                # It admitted us, and then hung up: a server that is ending.
                host, port = self._token.address
                raise ServerUnreachable(host=host, port=port, reason=reason_of(error)) from error
        connection: Connection = self._tls.connection
        return connection

    def _connect(self) -> None:
        """As `BaseProxy` does it, with our patience."""
        connection = dial(self._token.address, self._secret, self._plane, self.patience)
        try:
            dispatch(connection, None, "accept_connection", (f"peer {threads.own_id()}",))
        except BaseException:
            connection.close()
            raise
        self._tls.connection = connection

    def _call(self, verb: str, *args: Any, seconds: float = CALL_SECONDS) -> Any:
        connection = self.connection()
        connection.set_timeout(seconds)
        try:
            return self._callmethod(verb, args)
        except BaseException:
            self.hang_up()
            raise
