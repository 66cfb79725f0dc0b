"""A plane of a server as a peer sees it: a proxy whose threads have a connection each."""

from collections.abc import Callable
from multiprocessing.managers import BaseProxy, Token
from typing import Any

from hypershell.core.errors import ServerUnreachable
from hypershell.wire.connection import Connection
from hypershell.wire.plane import reason_of, serializer_of

CALL_SECONDS = 20.0
"""An answer that takes longer than this is not coming, if nothing else was said."""


class PlaneProxy(BaseProxy):
    """One object on one plane. Each thread that calls has a connection of its own.

    A call that breaks (OSError, EOFError, WireError) leaves its thread without a connection; the
    next call makes a new one, and raises what `manager.dial` raises if it cannot.
    """

    _tls: Any  # set by BaseProxy: what each thread has of its own
    _connect: Callable[[], None]
    _token: Any

    def __init__(self, plane: str, ident: str, host: str, port: int, secret: bytes) -> None:
        token = Token(ident, (host, port), ident)
        super().__init__(token, serializer_of(plane), authkey=secret, incref=False)

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

    def _call(self, verb: str, *args: Any, seconds: float = CALL_SECONDS) -> Any:
        connection = self.connection()
        connection.set_timeout(seconds)
        try:
            return self._callmethod(verb, args)
        except BaseException:
            self.hang_up()
            raise
