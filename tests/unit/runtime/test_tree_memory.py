"""How much memory a process and all below it use."""

import os
import subprocess
import sys

import pytest

from hypershell.runtime.tree_memory import exact_tree_kib, oom_kills, tree_kib

MIB = 1024

GROW = "x = bytearray(b'1' * 50 * 2**20); print('grown', flush=True); input()"
CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {GROW!r}], stdin=sys.stdin)
child.wait()
"""
THREAD = f"""
import threading
threading.Thread(target=lambda: exec({CHILD!r})).start()
"""


@pytest.mark.parametrize("program", [GROW, CHILD, THREAD], ids=["itself", "a child", "of a thread"])
@pytest.mark.parametrize("size_of", [tree_kib, exact_tree_kib])
def test_what_a_tree_uses_is_found(program, size_of):
    """Also what was started by another thread than the first."""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"grown\n" == process.stdout.readline()
        size = size_of(process.pid)
        process.communicate(b"\n")

    assert 50 * MIB < size < 150 * MIB


def test_one_that_has_ended_uses_nothing():
    """Nobody is asked to tell."""
    process = subprocess.Popen(["true"])
    process.wait()

    assert 0 == tree_kib(process.pid) == exact_tree_kib(process.pid)


def test_shared_pages_are_counted_once_by_the_exact_look():
    """A fork has the pages of its parent until it writes to them."""
    program = (
        "import os; x = bytearray(b'1' * 50 * 2**20); "
        "r, w = os.pipe(); [os.fork() or (os.write(w, b'.'), os.read(0, 1), os._exit(0)) "
        "for _ in range(3)]; os.read(r, 3); print('grown', flush=True); os.read(0, 1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        exact = exact_tree_kib(process.pid)
        process.communicate(b"....")

    assert 50 * MIB < exact < 90 * MIB


def test_the_kernel_tells_whom_it_killed_or_nothing():
    """A number that only grows."""
    found = oom_kills()

    assert found is None or 0 <= found <= (oom_kills() or 0)
    assert os.getpid() > 0
