"""What a short task costs beside itself."""

import sys

import pytest

from tests.helpers.farm import PROMPT
from tests.helpers.waiting import until

TASKS = 400


@pytest.mark.skipif(sys.platform != "linux", reason="tells of wakes by /proc")
def test_the_end_of_a_task_wakes_the_executor_alone(farm):
    """The main thread of a client sleeps: a wake of it costs as much as a small task."""
    held = "until test -e go; do sleep 0.01; done"
    server = farm.start_server([*["true"] * TASKS, "touch done", held])
    client = farm.start_client()

    until((farm.folder / "done").exists, PROMPT, "all but the last task")

    assert wakes_of_main(client) < TASKS / 10
    (farm.folder / "go").touch()
    assert [0, 0] == [server.wait(), client.wait()]


def wakes_of_main(client) -> int:
    """How often the main thread of a client went to sleep of its own accord."""
    pid = client.client_proper().pid
    with open(f"/proc/{pid}/task/{pid}/status") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith("voluntary"))
