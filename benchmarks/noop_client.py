"""A client whose tasks run nothing: what remains is the server, the wire and the accounting.

    HYPERSHELL_AUTH=KEY python noop_client.py PORT WANT

Takes up to WANT tasks at a time and gives them back as succeeded with the next call. Prints one
line of JSON: tasks, seconds from the first to the last, CPU seconds.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from hypershell.access.keys import WORKER, plane_secret
from hypershell.core.ending import Ending
from hypershell.core.errors import ServerUnreachable
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.wire.worker_messages import Hello, Phase, Welcome
from hypershell.wire.worker_plane import WorkerProxy

WAIT_SECONDS = 10.0
PATIENCE_SECONDS = 20.0


def dial(port: int) -> WorkerProxy:
    """A connection to a server on this machine that may not be there yet."""
    proxy = WorkerProxy("localhost", port, plane_secret(os.environ["HYPERSHELL_AUTH"], WORKER))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            proxy.connection()
            return proxy
        except ServerUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def join(proxy: WorkerProxy, slots: int = 2) -> Welcome:
    return proxy.join(Hello(socket.gethostname(), os.getpid(), slots))


def succeeded(claims: list[Claim]) -> list[Outcome]:
    now = time.time()
    return [Outcome(c.task_id, c.lease, Ending.EXITED, started_at=now) for c in claims]


def main() -> int:
    port, want = int(sys.argv[1]), int(sys.argv[2])
    proxy = dial(port)
    me = join(proxy)
    tasks, first, last = 0, 0.0, 0.0
    outcomes: list[Outcome] = []
    while True:
        answer = proxy.exchange(me.client_id, me.session, outcomes, want, WAIT_SECONDS)
        if outcomes:
            last = time.perf_counter()
        if answer.claims and not first:
            first = time.perf_counter()
        tasks += len(answer.claims)
        outcomes = succeeded(answer.claims)
        if not answer.known:
            print("the server does not know this client any more", file=sys.stderr)
            return 1
        if answer.phase is Phase.OVER and not outcomes:
            break  # who is told that all is over need not leave
    print(json.dumps({"tasks": tasks, "seconds": last - first, "cpu": time.process_time()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
