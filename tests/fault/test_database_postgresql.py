"""PostgreSQL dies and comes back, or its connections are cut: nothing is lost, nothing doubled."""

import json
import time
from random import Random, SystemRandom

import pytest

from hypershell.store.sql.engine import initialize_database
from tests.helpers.observer import Observer
from tests.helpers.postgres import Postgres
from tests.helpers.waiting import until


@pytest.fixture
def cluster():
    """A PostgreSQL of its own, which may be killed."""
    cluster = Postgres(fsync=True)
    yield cluster
    cluster.close()


@pytest.fixture
def url(cluster) -> str:
    """A database of it with our tables."""
    url = cluster.new_url()
    initialize_database(url)
    return url


def tasks_in(farm, url: str) -> list[dict]:
    """All tasks, after `db check` found nothing wrong."""
    checked = farm.run("db", "check", "--database", url)
    assert 0 == checked.popen.returncode, checked.out
    exported = farm.run("db", "export", "--database", url)
    return [json.loads(line) for line in exported.out.splitlines()]


@pytest.mark.campaign
def test_postgresql_is_killed_and_brought_back_in_mid_run(farm, cluster, url):
    """The server says so, waits, and goes on by itself: each task runs once and is recorded."""
    lines = [f"echo {n} >> ran; exit {n % 2}" for n in range(600)]
    server = farm.start_server(lines, "--database", url, "-f", "failed")
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 50)

    cluster.kill()
    server.expect("no tasks are handed out until it can be written again", seconds=30)
    cluster.start()

    assert [1, 0] == [server.wait(90), client.wait()], server.err
    assert "the task database can be written again" in server.err
    assert sorted(map(str, range(600))) == sorted(farm.read("ran"))
    assert sorted(lines[1::2]) == sorted(farm.read("failed"))
    tasks = tasks_in(farm, url)
    assert lines == [task["line"] for task in tasks]
    assert {1} == {len(task["attempts"]) for task in tasks}


def cut_again_and_again(farm, postgres, url, times: int, tasks: int, longest: float) -> None:
    """Connections are cut at random moments, most of them in the middle of a transaction."""
    seed = SystemRandom().randrange(10**6)
    print("seed", seed)
    random = Random(seed)
    server = farm.start_server([f"exit {n % 2}" for n in range(tasks)], "--database", url)
    key = farm.environment["HYPERSHELL_AUTH"]

    def status_of(command: bytes) -> int:
        return int(command.split()[1])

    observer = Observer(server.port, key, status_of)
    observer.start()
    cuts = 0
    while cuts < times and server.is_running:
        time.sleep(random.uniform(0, longest))
        cuts += postgres.cut() > 0

    assert 1 == server.wait(90), server.err
    kept = {t["id"]: t["attempts"] for t in tasks_in(farm, url)}
    assert tasks == len(kept)
    assert {1} == {len(attempts) for attempts in kept.values()}
    wrong = [pair for pair in observer.acknowledged if kept[pair[0]][0]["exit_status"] != pair[1]]
    assert [] == wrong
    assert cuts


@pytest.mark.campaign
def test_connections_that_are_cut_are_made_again(farm, postgres, postgres_url):
    """Also in the middle of a transaction, of which nobody saw how it ended."""
    initialize_database(postgres_url)

    cut_again_and_again(farm, postgres, postgres_url, 5, 2000, 0.2)


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_connections_that_are_cut_for_long_are_made_again(farm, postgres, postgres_url):
    """The same, often, with room for the largest transactions between two cuts."""
    initialize_database(postgres_url)

    cut_again_and_again(farm, postgres, postgres_url, 40, 10_000, 1.0)


@pytest.mark.campaign
def test_a_second_server_on_a_database_is_refused(farm, postgres_url):
    """Wherever it runs; the first goes on."""
    initialize_database(postgres_url)
    server = farm.start_server(
        ["until test -e go; do sleep 0.05; done"], "--database", postgres_url
    )
    client = farm.start_client()
    client.expect("joined")

    other = farm.start(
        *("server", "--restart", "-p", 0, "--database", postgres_url), env=farm.elsewhere()
    )

    assert 3 == other.wait(), other.err
    assert "another server is using the task database" in other.err
    (farm.folder / "go").touch()
    assert [0, 0] == [server.wait(), client.wait()]


@pytest.mark.campaign
def test_a_server_takes_over_from_one_whose_connection_lingers(farm, cluster, url):
    """A server is killed while PostgreSQL is down: its restart waits for that, or says so."""
    lines = [f"echo {n} >> ran" for n in range(300)]
    server = farm.start_server(lines, "--database", url, "--lease", 3, "--grace", 0.5)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 20)

    cluster.kill()
    server.kill()
    refused = farm.start("server", "--restart", "-p", 0, "--database", url)
    assert 3 == refused.wait(30), refused.err
    cluster.start()
    again = farm.start("cluster", "--restart", "--database", url, "--lease", 3, "--grace", 0.5)

    assert 0 == again.wait(60), again.err
    client.wait(30)
    until(lambda: set(map(str, range(300))) == set(farm.read("ran")), 5, "all tasks ran")
    assert {"succeeded"} == {task["state"] for task in tasks_in(farm, url)}
