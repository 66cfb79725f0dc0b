"""Server, supervisor and client are killed at one instant: when the next server need not wait."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.components import lacks
from tests.helpers.farm import PROGRAM, Farm

LEASE = 20

SCRIPT = """\
cd "$1"; shift
"$@" cluster tasks -N 2 --lease {lease} --grace 1 2> first &
until [ "$(grep -c began ran 2>/dev/null)" = 2 ]; do sleep 0.05; done
{kill}
touch go
start=$(date +%s)
"$@" cluster tasks --resume -N 2 --lease {lease} --grace 1 2> second
echo "$? $(($(date +%s) - start))" > result
"""

# All are stopped first: none of them sees another die.
KILL = """\
for s in STOP KILL; do for p in {which}; do [ $p = 1 ] || kill -$s $p; done 2>/dev/null; done"""
ALL = KILL.format(which="$(ls /proc | grep '^[0-9]')")
OURS = KILL.format(which="$(grep -la hypershell /proc/[0-9]*/cmdline | cut -d/ -f3)")

TASK = (
    "flock -n -E 99 lock{n} sh -c 'echo began >> ran; until [ -e go ]; do sleep 0.05; done; {then}'"
    "; [ $? != 99 ] || echo {n} >> twice"
)


@pytest.fixture
def alone(need: Callable[[str], str]) -> list[str]:
    """Runs a command where no other processes are seen, which have nothing to do with it."""
    command = [need("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        lacks("no namespace of process numbers can be made here")
    return command


def killed_and_resumed(farm: Farm, alone: list[str], kill: str, then: str) -> tuple[int, int]:
    """The exit status of the second run, and how many seconds it took."""
    shutil.rmtree(farm.folder / ".hyper-shell", ignore_errors=True)
    lines = [TASK.format(n=n, then=then) for n in range(2)]
    (farm.folder / "tasks").write_text("".join(f"{line}\n" for line in lines))
    script = SCRIPT.format(lease=LEASE, kill=kill)
    ran = farm.spawn([*alone, "sh", "-c", script, "sh", str(farm.folder), *PROGRAM])
    ran.wait(90)
    status, seconds = (farm.folder / "result").read_text().split()
    assert not (farm.folder / "twice").exists(), ran.err
    return int(status), int(seconds)


def test_a_run_goes_on_at_once_when_all_of_it_is_dead(farm, alone):
    """Each process of the run is gone, as anybody can see: nobody waits for a lease."""
    status, seconds = killed_and_resumed(farm, alone, ALL, "true")

    assert 0 == status
    assert seconds < LEASE / 2
    assert "1 client of the previous server had ended" in Path(farm.folder / "second").read_text()


def test_a_run_waits_for_tasks_that_live_on(farm, alone):
    """Those who watched them are dead, and they are not: the lease is waited for."""
    status, seconds = killed_and_resumed(farm, alone, OURS, "sleep 12")

    assert 0 == status
    assert seconds >= LEASE - 2
