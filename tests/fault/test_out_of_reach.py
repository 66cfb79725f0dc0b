"""A server that a client on another machine cannot reach for a while: every packet is lost.

What its tasks earned before the lease ended is kept, and counts when the server is back.
"""

import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.helpers.farm import PROGRAM, Farm, Process
from tests.helpers.fault_table import Row
from tests.helpers.once import exclusive
from tests.helpers.services import service
from tests.helpers.waiting import stays

SERVER = "10.99.0.1"
TASKS = 40


@pytest.fixture
def machines() -> Iterator[str]:
    """Two machines, joined by a cable; their common name."""
    name = f"hs{secrets.token_hex(3)}"
    service("netns-up.sh", name)
    yield name
    service("netns-down.sh", name)


class Farther(Farm):
    """A farm whose processes run on one of two machines."""

    def start_on(self, machine: str, *words: object) -> Process:
        """Start `hyper-shell WORDS` there."""
        command = ["ip", "netns", "exec", machine, *PROGRAM, *map(str, words)]
        return self.spawn(command)


@pytest.fixture
def far(tmp_path) -> Iterator[Farther]:
    """A farm on two machines."""
    farm = Farther(tmp_path)
    yield farm
    farm.close()


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("lease", [10, 30])
@pytest.mark.parametrize("seconds", [10, 60, 300])
@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside another"])
def test_a_server_out_of_reach_costs_no_result(far, machines, fault_table, lease, seconds, others):
    """Alone, a client runs again only what it had to stop; beside another, nothing runs twice at
    the same time.
    """
    lines = [exclusive(f"sleep {0.5 + n % 4 * 0.5}") for n in range(TASKS)]
    lines += [exclusive("test $TASK_ATTEMPT -gt 1 || sleep 25")] * 2
    path = far.write_lines(lines)
    server = far.start_on(
        f"{machines}-a", "server", path, "-H", SERVER, "-p", 0, "--lease", lease, "--grace", 1
    )
    where = ["-H", SERVER, "-p", server.port, "-N", 4]
    client = far.start_on(f"{machines}-b", "client", *where, "--wait", seconds + 60)
    for _ in range(others):
        far.start_on(f"{machines}-a", "client", *where)
    far.wait_for_lines("ends", 4)

    service("netns-fault.sh", machines, "drop")
    stays(lambda: client.is_running, seconds, "the client lives")
    done = Counter(line.split()[0] for line in far.read("ends"))
    service("netns-fault.sh", machines, "heal")
    status = [server.wait(240)]
    if not others:  # else the run may have ended without this client, which looks on for its server
        status.append(client.wait(60))

    ends = Counter(line.split()[0] for line in far.read("ends"))
    twice = sum(number > 1 for number in ends.values())
    starts = Counter(line.split()[0] for line in far.read("starts"))
    again = [name for name in done if starts[name] > 1]
    row = Row(
        f"packets lost for {seconds} s, lease {lease} s, {others} more clients",
        trials=1,
        tasks=len(lines),
        lost=len(lines) - len(ends),
        twice=twice,
        overlapping=len(far.read("twice")),
    )
    fault_table.add(row)
    assert row.is_clean, row
    assert [0] * len(status) == status
    assert f"{len(lines)} tasks: {len(lines)} succeeded, 0 failed" in server.err
    if not others:
        assert 0 == twice
        assert [] == again


@pytest.mark.campaign
def test_a_cable_that_is_pulled_for_a_moment_costs_nothing(far, machines):
    """The client comes back within the lease."""
    path = far.write_lines([exclusive("sleep 0.3")] * 20)
    options = ["-H", SERVER, "-p", 0, "--lease", 20, "--grace", 1]
    server = far.start_on(f"{machines}-a", "server", path, *options)
    client = far.start_on(f"{machines}-b", "client", "-H", SERVER, "-p", server.port, "-N", 4)
    far.wait_for_lines("ends", 2)

    service("netns-fault.sh", machines, "cut")
    stays(lambda: client.is_running, 0.5, "the client lives")
    service("netns-fault.sh", machines, "heal")

    assert [0, 0] == [server.wait(), client.wait()]
    assert {1} == set(Counter(far.read("starts")).values())
