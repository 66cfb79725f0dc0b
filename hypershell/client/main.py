"""Builds a client from checked settings, in the process in which it is to run."""

import logging
import signal
from typing import Any

from hypershell.client.client import Client, ClientOptions
from hypershell.client.server_link import BROKEN, Find
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.core.errors import HyperShellError
from hypershell.runtime.signals import hand_over_signals, wait_for_signals
from hypershell.wire.worker_plane import WorkerProxy

log = logging.getLogger(__name__)


def run_client(settings: dict[str, Any], find: Find, supervisor_pipe: int) -> int:
    """Run a client to its end; `supervisor_pipe` is what its supervisor reads."""
    client = Client(ClientOptions(find=find, **settings), SupervisorPipe(supervisor_pipe))
    hand_over_signals(client.interrupt)
    if client.needs_sigchld:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what is ignored is not waited for
        wait_for_signals({signal.SIGCHLD}, lambda _: client.child_ended())
    else:
        # As the executor blocks it, the kernel would wake this thread for it, if only to drop it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    return client.run()


def take_leave(find: Find, client_id: str, reason: str) -> None:
    """Tell the server that a client is dead, so that its tasks need not wait for its lease."""
    log.warning("the client died (%s); its tasks were killed", reason)
    try:
        WorkerProxy(*find()).leave(client_id, reason, dead=True)
    except (HyperShellError, *BROKEN) as error:
        log.debug("could not tell the server: %s", error)
