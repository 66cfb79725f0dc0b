"""Runs a client under its supervisor: two processes, of which the supervisor stays small.

What the client needs is imported in the process in which it runs.
"""

import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from hypershell.client.options import ClientOptions
from hypershell.client.supervisor import Supervisor
from hypershell.core.errors import HyperShellError
from hypershell.runtime.signals import hand_over_signals, wait_for_signals

if TYPE_CHECKING:
    from hypershell.client.server_link import Find

log = logging.getLogger(__name__)


def supervise(
    options: ClientOptions, find: "Find", explained: Callable[[Callable[[], int]], int]
) -> int:
    """Run a client in a child process, and clean up after it; the exit status, in both processes.

    In the child, `explained` calls the client and turns an error into an exit status.
    """

    def be_client(supervisor_pipe: int) -> int:
        return explained(lambda: _run_client(options, find, supervisor_pipe))

    def leave(client_id: str, reason: str) -> None:
        _take_leave(find, client_id, reason)

    return Supervisor(be_client, leave).run()


def _run_client(options: ClientOptions, find: "Find", supervisor_pipe: int) -> int:
    """Run a client to its end; `supervisor_pipe` is what its supervisor reads."""
    from hypershell.client.client import Client
    from hypershell.client.supervisor_pipe import SupervisorPipe

    client = Client(options, find, SupervisorPipe(supervisor_pipe))
    hand_over_signals(client.interrupt)
    if client.needs_sigchld:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what is ignored is not waited for
        wait_for_signals({signal.SIGCHLD}, lambda _: client.child_ended())
    else:
        # As the executor blocks it, the kernel would wake this thread for it, if only to drop it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    return client.run()


def _take_leave(find: "Find", client_id: str, reason: str) -> None:
    """Tell the server that a client is dead, so that its tasks need not wait for its lease."""
    from hypershell.client.server_link import BROKEN
    from hypershell.wire.worker_plane import WorkerProxy

    log.warning("the client is dead: %s; all that it ran was ended", reason)
    try:
        WorkerProxy(*find()).leave(client_id, reason, dead=True)
    except (HyperShellError, *BROKEN) as error:
        log.debug("could not tell the server: %s", error)
