"""A task that the kernel kills, as its cgroup has no memory left, is told from other kills."""

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.campaign

LIMIT = 200_000_000


@pytest.fixture
def group():
    """A memory cgroup of this limit, of either version; removed at the end."""
    first = Path("/sys/fs/cgroup/memory")
    top, limit = (
        (first, "memory.limit_in_bytes") if first.exists() else (first.parent, "memory.max")
    )
    folder = top / f"hyper-shell-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"needs root, and a memory cgroup that can be made in {top}: {error}")
    yield folder
    folder.rmdir()


def test_a_kill_by_the_kernel_is_out_of_memory(farm, group):
    """Which its cgroup counts; the next line kills itself, and failed by that signal."""
    grow = f"{sys.executable} -c 'x = [bytearray(10**7) for _ in range(60)]'"
    path = farm.write_lines([grow, "kill -9 $$"])

    cluster = farm.spawn_shell(
        f"echo $$ > {group}/cgroup.procs; exec $HYPERSHELL cluster {path} -q"
    )
    code = cluster.wait(30)
    shown = farm.run("list", "id", "ending", "--format", "csv").out.decode()

    assert 1 == code
    assert ["1,out of memory", "2,signaled"] == shown.splitlines()[1:]
    farm.wait_until_gone()
