"""A run whose input and output are open, before it has a server."""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hypershell.core.origin import Origin
from hypershell.server.input.reader import RecordReader
from hypershell.server.options import ServerOptions
from hypershell.server.reports.sink import LineSink

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession


class OpenedRun(NamedTuple):
    """A run that has been opened. `origin` is where it is made, and where its tasks run."""

    options: ServerOptions
    reader: RecordReader | None
    sink: LineSink
    uid: str
    origin: Origin

    def server_options(self, session: "RunSession | None" = None) -> ServerOptions:
        """What its server is to do. A run that goes on runs its lines where it was made."""
        cwd = self.origin.cwd if session is None else session.begun.cwd
        return self.options._replace(spec=replace(self.options.spec, cwd=cwd))
