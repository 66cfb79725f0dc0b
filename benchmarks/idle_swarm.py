"""Many clients in one process that wait for work, each on a connection of its own.

    HYPERSHELL_AUTH=KEY python idle_swarm.py PORT CLIENTS

Prints `joined SECONDS` when all have joined, then `took TIME` for every task that one of them
gets (TIME on the monotonic clock that all processes share); it ends when the server says so.
"""

from __future__ import annotations

import queue
import sys
import threading
import time

from noop_client import dial, join, succeeded

from hypershell.core.errors import HyperShellError
from hypershell.core.outcome import Outcome
from hypershell.wire.codec import WireError
from hypershell.wire.worker_messages import Phase

WAIT_SECONDS = 8.0
AT_ONCE = 8  # a server bears only so many connections that have not proved their key yet


class Swarm:
    """The clients, a thread each; every event is a line of `said`."""

    def __init__(self, port: int, clients: int) -> None:
        self.port = port
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.door = threading.Semaphore(AT_ONCE)
        threading.stack_size(512 * 1024)
        self.threads = [threading.Thread(target=self.client) for _ in range(clients)]
        self.to_join = threading.Barrier(clients + 1)

    def client(self) -> None:
        """Join, then take and give back until the run is over."""
        try:
            with self.door:
                proxy = dial(self.port)
                me = join(proxy)
            self.to_join.wait()
            outcomes: list[Outcome] = []
            while True:
                answer = proxy.exchange(me.client_id, me.session, outcomes, 1, WAIT_SECONDS)
                if answer.claims:
                    self.said.put(f"took {time.perf_counter():.6f}")
                outcomes = succeeded(answer.claims)
                if answer.phase is Phase.OVER and not outcomes:
                    break
        except (
            OSError,
            EOFError,
            WireError,
            HyperShellError,
            threading.BrokenBarrierError,
        ) as error:
            self.to_join.abort()
            self.said.put(f"failed {error!r}")

    def run(self) -> None:
        began = time.perf_counter()
        for thread in self.threads:
            thread.start()
        self.to_join.wait()
        self.said.put(f"joined {time.perf_counter() - began:.3f}")
        for thread in self.threads:
            thread.join()
        self.said.put("")


def main() -> int:
    swarm = Swarm(int(sys.argv[1]), int(sys.argv[2]))
    printer = threading.Thread(target=lambda: _print(swarm), daemon=True)
    printer.start()
    swarm.run()
    printer.join()
    return 0


def _print(swarm: Swarm) -> None:
    while line := swarm.said.get():
        print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
