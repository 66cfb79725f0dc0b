"""Whether the holder of a server directory still lives, as far as can be known from here."""

import os
import signal
from dataclasses import replace

import pytest

from hypershell.serverdir.holder import (
    Fate,
    Holder,
    fate,
    holder_from,
    is_alive_here,
    this_process,
)

HERE = Holder(
    verb="server",
    server_uid="k3x9ab",
    pid=1,
    begun=1,
    host="node1",
    boot="boot-a",
    machine="machine-a",
    space=7,
    token="t",
)


@pytest.mark.parametrize(
    ("holder", "lock_reaches", "expected"),
    [
        # We have the lock of this very kernel, so the one before us does not.
        (replace(HERE, pid=2**22 + 1), False, Fate.GONE),
        # Another container on it.
        (replace(HERE, host="c1", machine="", space=8), False, Fate.GONE),
        # This machine was restarted.
        (replace(HERE, boot="boot-b"), False, Fate.GONE),
        # Another machine, and another of the same name.
        (replace(HERE, host="node2", machine="m", boot="boot-b"), False, Fate.UNKNOWN),
        (replace(HERE, machine="machine-b", boot="boot-b"), False, Fate.UNKNOWN),
        (replace(HERE, host="node2", machine="m", boot="boot-b"), True, Fate.GONE),
        # A boot that nobody knows is not the same boot.
        (replace(HERE, host="node2", boot=""), False, Fate.UNKNOWN),
    ],
)
def test_a_holder_is_given_up_only_where_it_is_certainly_gone(holder, lock_reaches, expected):
    """Seen by a process that has the lock."""
    assert expected is fate(holder, HERE, lock_reaches)


def test_a_boot_unknown_on_both_sides_tells_nothing():
    """Systems without a boot id go by the machine."""
    here = replace(HERE, boot="", host="node1")

    assert Fate.UNKNOWN is fate(replace(here, host="node2"), here, False)
    assert Fate.GONE is fate(replace(here, pid=2**22 + 1), here, False)


def test_this_process_is_alive():
    """And has the lock of a file that was removed, if another took the lock."""
    me = this_process("server", "k3x9ab")

    assert is_alive_here(me, this_process("submit"))
    assert Fate.ALIVE is fate(me, this_process("submit"), True)


def test_another_process_of_the_same_number_is_not_the_holder():
    """Numbers are used again; starts are not."""
    me = this_process("server")

    assert not is_alive_here(replace(me, begun=me.begun - 1), me)


def test_a_zombie_is_not_alive(fork):
    """It answers to signals, and holds nothing."""
    reader, writer = os.pipe()

    def child() -> None:
        os.write(writer, this_process("server").to_bytes())
        signal.pause()

    pid = fork(child)
    zombie = holder_from(os.read(reader, 65536))
    assert zombie is not None
    assert is_alive_here(zombie, this_process("server"))

    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    assert not is_alive_here(zombie, this_process("server"))
    os.close(reader)
    os.close(writer)


def test_a_process_of_another_container_is_not_looked_up():
    """Its number means someone else here."""
    me = this_process("server")

    assert not is_alive_here(replace(me, space=me.space + 1), me)


def test_a_record_comes_back_as_it_was():
    """All of it."""
    me = this_process("server", "k3x9ab")

    assert me == holder_from(me.to_bytes())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 60_000,
        HERE.to_bytes()[:-10],
        HERE.to_bytes().replace(b'"pid": 1', b'"pid": -1'),
        HERE.to_bytes().replace(b'"pid": 1', b'"pid": true'),
        HERE.to_bytes().replace(b'"pid": 1', b'"pid": ' + b"9" * 30),
        HERE.to_bytes().replace(b"node1", b"\\u001b[2J"),
        HERE.to_bytes().replace(b'"node1"', b"5"),
    ],
)
def test_a_record_that_is_none_says_nothing(text):
    """It is shown to users, and its number is asked of the kernel."""
    assert holder_from(text) is None


def test_a_record_holds_no_machine_id():
    """It is not to be shown around; only a digest is kept."""
    try:
        with open("/etc/machine-id") as file:
            name = file.readline().strip()
    except OSError:
        name = ""
    if not name:
        pytest.skip("this machine has no machine id")

    assert name.encode() not in this_process("server").to_bytes()


def test_a_holder_is_named_in_one_line():
    """A server by its uid, a verb by its command."""
    assert "server k3x9ab, pid 1 on node1" == str(HERE)
    assert "`hyper-shell submit`, pid 1 on node1" == str(
        replace(HERE, verb="submit", server_uid="")
    )
