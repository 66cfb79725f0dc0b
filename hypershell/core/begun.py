"""What a client tells of a task that it has begun and that still runs."""

from typing import NamedTuple


class Begun(NamedTuple):
    """A task that runs: under which lease, since when, in which slot and process of its client.

    `started_at` is wall time in seconds since the epoch, to show.
    """

    task_id: int
    lease: int
    started_at: float
    slot: int
    pid: int


class GoneClient(NamedTuple):
    """A client of which nothing is left, neither a process of its own nor any of its tasks.

    `begun` are the tasks (id and lease) that it had begun and whose outcome nobody has accepted;
    `interrupted` those of which it knew that they were.
    """

    client_id: str
    begun: list[tuple[int, int]]
    interrupted: list[tuple[int, int]]
