"""A server that came and went while a client was looking for it."""

import time
from dataclasses import replace

import pytest

from hypershell.access.endpoints import generate
from hypershell.access.keys import DEFAULT_WORKER_PORT
from hypershell.app.ended_runs import EndedRuns
from hypershell.app.locate import ServerLocation
from hypershell.serverdir.directory import ServerDirectory


@pytest.fixture
def run_once(tmp_path, ring):
    """Let a server run in the directory, from its start to its end, if it is to end."""

    def run(port: int = 1234, ends: bool = True, apart: bool = False) -> None:
        access = generate(("localhost", port), ("localhost", 4321))
        directory, uid = ServerDirectory(tmp_path / "farm"), access.server_uid
        with directory.hold_new_home(uid) if apart else directory.hold("server", uid) as held:
            record = held.start_run(access, ring.new_seal())
            if ends:
                record.end("all tasks had finished")

    return run


@pytest.fixture
def location(tmp_path):
    """The directory, for a client that reads its access file."""
    return ServerLocation(server_dir=str(tmp_path / "farm"))


def test_a_run_that_ended_meanwhile_was_there(location, run_once):
    """There is nothing more to wait for."""
    client = EndedRuns(location, time.time() - 60.0)
    assert not client.was_there(False)

    run_once()

    assert client.was_there(False)


def test_a_run_that_ended_before_is_not_waited_out(location, run_once):
    """The next one may be about to start; when none has come, it counts if it is not long ago."""
    run_once()
    client = EndedRuns(location, time.time() - 60.0)
    late = EndedRuns(location, time.time() + 100.0 - 60.0)

    assert [False, True] == [client.was_there(False), client.was_there(True)]
    assert not late.was_there(True)


def test_a_run_that_has_not_ended_is_not_over(location, run_once):
    """Its server died, or runs."""
    client = EndedRuns(location, time.time() - 60.0)
    run_once(ends=False)

    assert [False, False] == [client.was_there(False), client.was_there(True)]


def test_a_client_that_had_found_its_server_asks_for_the_run_in_that_home(location, run_once):
    """Whatever has ended in another one."""
    run_once(ends=False)
    run_once(apart=True)
    homes = ["", "002"]
    clients = [EndedRuns(location, time.time() - 60.0, lambda home=h: home) for h in homes]

    assert [False, True] == [client.was_there(True) for client in clients]


@pytest.mark.parametrize(
    ("host", "port", "there"),
    [(None, None, True), ("localhost", DEFAULT_WORKER_PORT, True), ("node7", None, False),
     (None, 1, False)],
)  # fmt: skip
def test_a_client_with_a_key_looks_for_the_server_that_it_would_have_met(
    location, run_once, host, port, there
):
    """The one on that port of this machine, and no other."""
    client = EndedRuns(replace(location, key="k" * 20, host=host, port=port), time.time() - 60.0)

    run_once(DEFAULT_WORKER_PORT)

    assert there == client.was_there(False)


def test_nobody_can_tell_of_a_server_by_its_access_file_alone(location, tmp_path, run_once):
    """It lies anywhere."""
    client = EndedRuns(replace(location, server_dir=None, access_file="x.json"), time.time() - 60.0)
    run_once()

    assert not client.was_there(True)
