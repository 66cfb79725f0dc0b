"""A server that has come and gone while a client was looking for it: it had no tasks left for it.

A short run may be over before a client that was started with it has found its server, or has heard
of the end. The server directory tells, where there is one.
"""

import os
from collections.abc import Callable

from hypershell.access.keys import DEFAULT_WORKER_PORT
from hypershell.app.locate import ServerLocation
from hypershell.core.errors import HyperShellError
from hypershell.serverdir.directory import server_directory
from hypershell.serverdir.homes import newest_of_home
from hypershell.serverdir.run_record import ServerRecord

_THIS_MACHINE = (None, "localhost", "127.0.0.1", "::1")


class EndedRuns:
    """Made when a client does not find its server at once. `oldest` is the wall time before which
    a run must not have ended, to be one that the client was meant for. `home` names that of the
    server which the client had found, if it had found one in the directory.
    """

    def __init__(
        self,
        location: ServerLocation,
        oldest: float,
        home: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._location = location
        self._home = home
        self._oldest = oldest
        before = self._last()
        self._before = None if before is None else before.server_uid

    def was_there(self, is_last: bool) -> bool:
        """Whether a server that this client might have joined has ended in order.

        It ended after the client began to look; or, at the `last` look, not longer before than the
        client looked for one: another might have come instead until then.
        """
        last = self._last()
        if last is None or last.ended is None:
            return False
        return last.server_uid != self._before or (is_last and last.ended >= self._oldest)

    def _last(self) -> ServerRecord | None:
        """The last run of the directory, if it is one that has ended and that we might have met."""
        location = self._location
        if location.access_file is not None:
            return None
        try:
            directory, home = server_directory(location.server_dir, os.environ), self._home()
            run = directory.last_run() if home is None else newest_of_home(directory.path, home)
        except (HyperShellError, OSError):
            return None
        record = None if run is None else run.record
        if record is None or record.ended is None:
            return None
        if location.key is not None:  # it does not look into the directory for its server
            is_here = location.host in (*_THIS_MACHINE, record.worker_host)
            if not is_here or record.worker_port != (location.port or DEFAULT_WORKER_PORT):
                return None
        return record
