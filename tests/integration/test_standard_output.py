"""Standard output that takes nothing: full, closed, or of no reader."""

import os

import pytest

from tests.helpers.access import Site

WORDS = [("list",), ("info", "1"), ("list", "--help"), ("db", "check"), ("db", "export")]


@pytest.fixture
def used(site: Site) -> Site:
    """A directory with a database of one task, and no server."""
    site.run("cluster", site.farm.write_lines(["true"])).wait()
    return site


def test_a_full_standard_output_is_a_clear_error(used: Site) -> None:
    """Each verb says so in our words and ends with 3, however late the write fails."""
    with open("/dev/full", "wb") as full:
        ended = [used.run(*words, stdout=full) for words in WORDS]
        version = used.farm.run("--version", stdout=full)

    for process in (*ended, version):
        assert 3 == process.wait()
        assert "cannot write to standard output: no space left on device" in process.err


def test_nobody_who_reads_is_no_error(used: Site) -> None:
    """As with `| head -0`."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = [used.run(*words, stdout=writer) for words in WORDS]
    os.close(writer)

    assert [0] * len(WORDS) == [process.wait() for process in ended]


def test_a_full_standard_output_is_said_once(used: Site) -> None:
    """What is still to be flushed at the end fails again, and is no news."""
    with open("/dev/full", "wb") as full:
        ended = used.run("list", stdout=full)

    assert 1 == ended.err.count("cannot write to standard output")


def test_standard_error_that_takes_nothing_is_said_of_a_command(site: Site) -> None:
    """`run` passes on what its task wrote there: that is lost where it is full, not if closed."""
    site.serve()
    site.client()
    with open("/dev/full", "wb") as full:
        failed = site.run("run", "--", "echo lost >&2", stderr=full)

    closed = site.run("run", "--", "echo dropped >&2; exit 4", preexec_fn=lambda: os.close(2))

    assert [3, 4] == [failed.wait(), closed.wait()]
