"""Several clients: nobody idles while another holds tasks that wait."""

import itertools
import random
from collections import defaultdict

import pytest

from tests.helpers.farm import rarely

MAX_IDLE = 0.5
JOURNAL = "s=$(date +%s.%N); {}; echo $TASK_CLIENT_ID $s $(date +%s.%N) >> journal"

UNEVEN = {
    "one long task first": [2.0, *[0.02] * 60],
    "short tasks, then long ones": [*[0.0] * 200, *[0.4] * 8],
    "long ones here and there": [0.6 if n % 30 == 10 else 0.01 for n in range(120)],
}
DEFAULT = "long ones here and there"


def idle_seconds(journal: list[str]) -> dict[str, float]:
    """For each client the longest time between two tasks, or after its last, in which tasks waited.

    A task waited for as long as some task was still to be started by anyone.
    """
    spans = defaultdict(list)
    for line in journal:
        client, start, end = line.split()
        spans[client].append((float(start), float(end)))
    last_start = max(start for span in spans.values() for start, _ in span)
    idle = {}
    for client, span in spans.items():
        span.sort()
        gaps = [after[0] - before[1] for before, after in itertools.pairwise(span)]
        idle[client] = max([*gaps, last_start - span[-1][1]])
    return idle


def run_on_two_clients(farm, seconds: list[float], *options: object) -> dict[str, float]:
    """Run tasks of these lengths; how long each client idled."""
    lines = [JOURNAL.format(f"sleep {length:.3f}" if length else ":") for length in seconds]
    held_back = "until test -e go; do sleep 0.01; done"
    server = farm.start_server([held_back] * 2 + lines, *options)
    clients = [farm.start_client() for _ in range(2)]
    for client in clients:
        client.expect("joined the server")
    (farm.folder / "go").touch()
    assert [0, 0, 0] == [server.wait(60), *(client.wait() for client in clients)]
    journal = farm.read("journal")
    assert len(seconds) == len(journal)
    return idle_seconds(journal)


@pytest.mark.parametrize(
    "case",
    [rarely(case) for case in UNEVEN if case != DEFAULT] + [DEFAULT],
)
def test_no_client_idles_while_another_hoards(farm, case):
    """With uneven tasks each client has its next one within half a second."""
    idle = run_on_two_clients(farm, UNEVEN[case])

    assert 2 == len(idle)
    assert max(idle.values()) < MAX_IDLE, idle


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(6))
def test_no_client_idles_whatever_the_lengths_of_tasks(farm, seed):
    """Lengths from a heavy tail, in any order."""
    chance = random.Random(seed)
    seconds = [min(chance.paretovariate(0.7) * 0.003, 1.5) for _ in range(200)]

    idle = run_on_two_clients(farm, seconds)

    assert max(idle.values()) < MAX_IDLE, idle


@pytest.mark.campaign
def test_large_bundles_are_not_hoarded_for_ever(farm):
    """With `-b 20` a client that holds what another waits for gives it back within a second."""
    idle = run_on_two_clients(farm, [0.3] * 30, "-b", 20)

    assert max(idle.values()) < 2 * MAX_IDLE, idle
