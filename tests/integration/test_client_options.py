"""How many tasks, from when, until when, under which shell; and what is logged."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from tests.helpers.components import lacks


def slots_told(server) -> int:
    """How many slots the first client of a server has."""
    return int(server.expect(r"joined from \S+ \(pid \d+, (\d+) slots?\)")[1])


def cores_here() -> int:
    """Cores that processes here may use, as far as affinity and the cgroup of all of them say."""
    cores = len(os.sched_getaffinity(0))
    quota = Path("/sys/fs/cgroup/cpu.max")
    limit, period = quota.read_text().split() if quota.exists() else ("max", "1")
    return cores if limit == "max" else max(1, min(cores, int(limit) // int(period)))


def test_no_number_of_slots_means_one_for_each_usable_core(farm, need):
    """`-N 0` counts the cores that the process may use, and not those of the machine."""
    usable = cores_here()
    if usable < 2:
        lacks("a second core")
    one = str(min(os.sched_getaffinity(0)))
    all_server = farm.start_server(["true"])
    one_server = farm.start_server(["true"], env=farm.elsewhere())

    farm.start_client("-N", 0, port=all_server.port)
    farm.spawn_shell(
        f"exec {need('taskset')} -c {one} $HYPERSHELL client -N 0 -p {one_server.port}"
    )

    assert 1 == slots_told(one_server)
    assert usable == slots_told(all_server)


@pytest.mark.parametrize("option", ["-N", "--jobs"])
def test_slots_are_how_many_tasks_run_at_a_time(farm, option):
    """Three tasks that wait for each other end only where three run at once."""
    lines = [f"touch here-{n}; until test -e here-{(n + 1) % 3}; do :; done" for n in range(3)]

    server = farm.start_server(lines)
    client = farm.start_client(option, 3)

    assert [0, 0] == [server.wait(), client.wait()]


def test_a_client_may_be_told_to_start_later(farm):
    """`--delay-start 0.8`: it joins no earlier; `-0.2`: within that time."""
    farm.start_server(["sleep 1000"])
    begin = time.monotonic()

    late = farm.start_client("--delay-start", 0.8)
    soon = farm.start_client("--delay-start", -0.2)

    soon.expect("joined the server")
    assert "joined" not in late.err
    late.expect("joined the server")
    assert 0.8 < time.monotonic() - begin < 4


def test_an_idle_client_leaves_when_its_patience_ends(farm):
    """`-T 0.5`: exit 0 after half a second without work; a task that runs is work."""
    server = farm.start_server(["until test -e go; do sleep 0.05; done"])
    farm.start_client().expect("joined")

    idle = farm.start_client("-T", 0.5)

    assert 0 == idle.wait()
    assert "leaving: it was idle" in idle.err
    assert server.is_running
    (farm.folder / "go").touch()
    assert 0 == server.wait()


def test_a_client_reaches_a_server_by_ipv6(farm):
    """`-H ::1` on both sides."""
    if not os.path.exists("/proc/net/if_inet6"):
        lacks("IPv6")
    server = farm.start_server(["true"], "-H", "::1")

    client = farm.start_client("-H", "::1")

    assert [0, 0] == [server.wait(), client.wait()]


def test_the_log_is_for_people_or_for_programs(farm):
    """`--log-file`, `--log-format json`, `-v`, `-q`; the last line of a run is its summary."""
    server = farm.start_server(["true", "exit 3", "until test -e go; do sleep 0.05; done"], "-v")

    client = farm.start_client("--log-file", "log", "--log-format", "json")
    quiet = farm.start_client("-q")
    server.expect(r"joined(.*\n)+.*joined")
    (farm.folder / "go").touch()

    assert [1, 0, 0] == [server.wait(), client.wait(), quiet.wait()]
    assert ("", "") == (client.err, quiet.err)
    records = [json.loads(line) for line in farm.read("log")]
    assert {"client"} == {record["verb"] for record in records}
    assert all({"time", "level", "verb", "pid", "message"} <= set(record) for record in records)
    assert re.search(r"task 2 \(line 2\) failed on attempt 1: exit status 3", server.err)
    assert re.search(
        r"3 tasks: 2 succeeded, 1 failed, 0 retried, in [\d.]+ s \(\d+ tasks/s\)\n",
        server.err,
    )


def test_no_key_stands_in_a_command_line(farm):
    """A cluster's clients get the key that was made for them in their environment."""
    del farm.environment["HYPERSHELL_AUTH"]

    cluster = farm.start_cluster(["tr '\\0' ' ' < /proc/$PPID/cmdline"])

    assert 0 == cluster.wait()
    assert b"client" in cluster.out
    assert b"hs1_" not in cluster.out
