"""What resources cost and bring: matching at the server, packing of a client, the memory watch.

    python benchmarks/resources.py

- *matching*: 1,000 clients of 64 cores, 100,000 waiting tasks of 20 kinds (1 to 32 cores, 1 to 8
  GiB); a client whose task has ended asks again. CPU of the server's code for each task handed out.
- *utilisation*: a client of 32 cores in simulated time, 600 tasks of 1, 4 and 16 cores that take
  0.05 to 2 s. The core seconds of all tasks, divided by those until the last has ended.
- *memory watch*: 64 tasks, each a shell and a sleep. CPU of one look a second, in percent of a
  core.
"""

from __future__ import annotations

import heapq
import random
import subprocess
import threading
import time

from hypershell.core.resources import Offer
from hypershell.core.task import Task
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock
from hypershell.runtime.tree_memory import tree_kib
from hypershell.server.events import EventBus
from hypershell.server.state.client import Client
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.wire.worker_messages import Hello

GIB = 2**30


class Farm:
    """The state of a server, with clients that are not there."""

    def __init__(self, number: int, offer: Offer) -> None:
        lock, bus, self._by_id = threading.RLock(), EventBus(), dict[str, Client]()
        registry = ClientRegistry(lock, 1e6, 5.0, bus, clients=self._by_id)
        self.queue = ScheduledQueue(lock, 1, bus, self._by_id)
        ids = [registry.join(Hello(f"n{n}", 1, 1, offer=offer)).client_id for n in range(number)]
        self.clients = [self._by_id[client_id] for client_id in ids]
        for client in self.clients:
            client.want = 1

    def take(self, client: Client) -> list[Task]:
        """One call of a client."""
        return self.queue.take(client, client.session, -1, 0.0)


def matching(handed_out: int = 30_000) -> float:
    """Microseconds of CPU for each task handed out."""
    chance = random.Random(1)
    farm = Farm(1000, Offer(64, 512 * GIB))
    kinds = [
        TaskSpec(
            cores=chance.choice([1, 2, 4, 8, 16, 32]),
            memory_request=chance.randint(1, 8) * GIB + kind,
        )
        for kind in range(20)
    ]
    tasks = [
        Task(n, b"x", n, 1, sequence=2 * n, spec=chance.choice(kinds)) for n in range(1, 100_001)
    ]
    farm.queue.offer([[task] for task in tasks])
    running = {client.id: farm.take(client) for client in farm.clients}
    calls = [chance.randrange(1000) for _ in range(4 * handed_out)]
    number = used = 0
    for n in calls:
        client = farm.clients[n]
        there = running[client.id]
        if there:
            ended = there.pop(n % len(there))
            client.release(ended.id, ended.lease)
        begin = time.process_time_ns()
        got = farm.take(client)
        used += time.process_time_ns() - begin
        there += got
        number += len(got)
        if number >= handed_out:
            break
    return used / number / 1000


def utilisation(seed: int) -> float:
    """The share of a client's cores that was in use."""
    chance = random.Random(seed)
    now = [1000.0]
    real, clock.monotonic = clock.monotonic, lambda: now[0]
    try:
        farm = Farm(1, Offer(32))
        (client,) = farm.clients
        times = {n: chance.uniform(0.05, 2.0) for n in range(1, 601)}
        cores = {n: chance.choice([1, 1, 1, 4, 4, 16]) for n in times}
        bundles = [
            [Task(n, b"x", n, 1, sequence=2 * n, spec=TaskSpec(cores=cores[n]))] for n in times
        ]
        farm.queue.offer(bundles)
        ends: list[tuple[float, int, Task]] = []
        begin = now[0]
        while True:
            for task in farm.take(client):
                heapq.heappush(ends, (now[0] + times[task.id], task.id, task))
            if not ends:
                break
            now[0], _, ended = heapq.heappop(ends)
            client.release(ended.id, ended.lease)
    finally:
        clock.monotonic = real
    assert not farm.queue.size()
    work = sum(times[n] * cores[n] for n in times)
    return work / (32 * (now[0] - begin))


def memory_watch(number: int = 64, looks: int = 20) -> float:
    """Percent of a core, with one look a second at each of the tasks."""
    tasks = [subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) for _ in range(number)]
    try:
        time.sleep(0.5)
        begin = time.process_time()
        for _ in range(looks):
            for task in tasks:
                assert tree_kib(task.pid) > 0
        return (time.process_time() - begin) / looks * 100
    finally:
        for task in tasks:
            subprocess.run(["pkill", "-P", str(task.pid)], check=False)
            task.kill()
            task.wait()


def main() -> None:
    """Print the figures."""
    print(f"matching      {sorted(matching() for _ in range(5))[2]:.1f} us a task (median of 5)")
    found = sorted(utilisation(seed) for seed in range(20))
    print(f"utilisation   {found[10]:.3f} (median of 20 lists), least {found[0]:.3f}")
    print(f"memory watch  {sorted(memory_watch() for _ in range(5))[2]:.2f} % of a core")


if __name__ == "__main__":
    main()
