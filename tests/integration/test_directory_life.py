"""A server in its directory: started, found, asked, stopped; and what each end leaves behind."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers.access import Site, complaint, uid_of, until_up
from tests.helpers.farm import PROGRAM, Farm, Process
from tests.helpers.waiting import stays, until


def test_a_directory_is_all_that_a_client_and_submit_need(site: Site) -> None:
    """On one machine `server start`, `client` and `submit` find each other without -H -p -k."""
    site.serve()
    site.client("-N", 2)

    assert [1] == site.submit("echo $TASK_ID > done")

    assert ["1"] == site.farm.wait_for_lines("done", 1)


def test_the_default_directory_is_in_the_home(farm: Farm) -> None:
    """Without any option the server directory is ~/.hyper-shell."""
    home = Site(farm, ".hyper-shell")

    server = until_up(farm.start("server", "start"))
    facts = home.info()

    assert str(farm.folder / ".hyper-shell") == facts["directory"]
    assert 0 == farm.run("server", "stop").wait()
    assert 0 == server.wait()


def test_the_environment_names_the_directory_and_the_option_wins(farm: Farm) -> None:
    """HYPERSHELL_SERVER_DIR is the default of --server-dir, for each verb."""
    named, other = Site(farm, "named"), Site(farm, "other")
    variable = {"HYPERSHELL_SERVER_DIR": "named"}
    until_up(farm.start("server", "start", env=variable))
    other.serve("-p", 0)

    by_variable = farm.run("server", "info", "--json", env=variable)
    by_option = farm.run("server", "info", "--json", "--server-dir", "other", env=variable)

    assert named.record()["server_uid"] in by_variable.out.decode()
    assert other.record()["server_uid"] in by_option.out.decode()


def test_the_directory_may_stand_before_the_verb(farm: Farm) -> None:
    """`--server-dir` means the same before and behind the verb, joined by = or not."""
    foo = Site(farm, "foo")
    server = until_up(farm.start("--server-dir=foo", "server", "start"))

    joined = farm.run("--server-dir=foo", "server", "info")
    apart = farm.run("--server-dir", foo.path, "submit", "--", "touch", "done")
    farm.start("--server-dir", "foo", "client").expect("joined")
    until((farm.folder / "done").exists, 15, "the task ran")
    ended = farm.run("server", "stop", "--server-dir=foo")

    assert [0, 0, 0] == [process.wait() for process in (joined, apart, ended)]
    assert 0 == server.wait()


def test_a_key_in_the_environment_does_not_hide_a_directory_that_was_named(site: Site) -> None:
    """A client that is given --server-dir looks there, also where HYPERSHELL_AUTH is set."""
    site.serve("-p", 0)
    site.environment["HYPERSHELL_AUTH"] = "a-key-of-some-other-farm"

    client = site.start("client", "--wait", 1)

    client.expect("joined the server")


def test_info_shows_the_server_its_tasks_and_its_clients(site: Site) -> None:
    """`info` tells who, where, since when, tasks by state, and each client's load."""
    server = site.serve()
    site.client("-N", 3)
    site.submit("sleep 60")
    site.submit("false")
    until(lambda: site.info()["tasks"]["failed"] == 1, 15, "one task has failed")

    facts = site.info()
    table = site.run("server", "info").out.decode()

    assert server.pid == facts["pid"]
    assert uid_of(server) == facts["server_uid"]
    assert (1, 1) == (facts["tasks"]["running"], facts["tasks"]["failed"])
    (client,) = facts["clients"]
    assert (3, 1, 1, 1) == tuple(client[n] for n in ("slots", "running", "done", "failed"))
    for word in ("server uid", "worker port", "client port", "started", "1 client", "load"):
        assert word in table
    site.stop()


def test_four_states_without_a_server_have_four_messages(site: Site) -> None:
    """Never started, ended, died and out of reach are told apart, all with exit status 4."""
    verbs = (["stop"], ["info"], ["wait", "--timeout", "0"])

    def ask(env: str = "") -> list[Process]:
        before = ["unshare", "--net"] if env else []
        place = ["--server-dir", str(site.path)]
        return [
            site.farm.spawn([*before, *PROGRAM, "server", *verb, *place], env=site.environment)
            for verb in verbs
        ]

    def check(pattern: str, env: str = "") -> None:
        for process in ask(env):
            complaint(process, 4, pattern)

    check("no server was ever started in .*site")
    server = site.serve()
    if os.geteuid() == 0 and _may_unshare():
        check(f"cannot be reached from here: server {uid_of(server)}", "elsewhere")
    server.kill()
    check(rf"the last one \({uid_of(server)}, pid {server.pid} on .*\) died")
    server = site.serve()
    site.stop()
    check(rf"the last one \({uid_of(server)}\) ended on .* \(it was stopped\)")


def _may_unshare() -> bool:
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return done.returncode == 0


def test_wait_returns_as_soon_as_a_server_answers(site: Site) -> None:
    """`server wait` may be started first."""
    wait = site.start("server", "wait")
    stays(lambda: wait.is_running, 0.3, "it waits")

    site.serve()

    assert 0 == wait.wait(5)


def test_wait_gives_up_after_its_timeout(site: Site) -> None:
    """With nothing there, `--timeout` bounds the wait."""
    complaint(
        site.run("server", "wait", "--timeout", 0.5, seconds=5), 4, "no server was ever started"
    )


ENDS = {
    "Ctrl-C": (signal.SIGINT, 130),
    "SIGTERM": (signal.SIGTERM, 143),
    "SIGHUP": (signal.SIGHUP, 129),
}


@pytest.mark.parametrize(("number", "status"), ENDS.values(), ids=ENDS)
def test_a_signal_that_ends_the_server_leaves_a_clean_directory(
    site: Site, number: int, status: int
) -> None:
    """The link is removed, the run's directory kept, the lock free."""
    server = site.serve()

    server.signal(number)

    assert status == server.wait()
    assert site.is_clean()
    assert {"access.json", "server.json"} == {path.name for path in (site.path / "001").iterdir()}


def test_stop_and_a_normal_end_leave_a_clean_directory(site: Site) -> None:
    """So do `stop` and the end of the input; the runs are numbered on."""
    server = site.serve()
    site.stop()
    is_gone = server.popen.poll() is not None
    after_stop = site.is_clean()
    tasks = site.farm.write_lines(["true"])
    second = until_up(site.start("server", tasks))
    site.client()

    assert is_gone
    assert after_stop
    assert [0, 0] == [server.wait(), second.wait()]
    assert site.is_clean()
    assert ["001", "002"] == site.runs()


def test_stopping_twice_at_once_ends_the_server_once(site: Site) -> None:
    """Of several `stop` at a time each ends with 0, or finds no server: exit 4, no other words."""
    site.serve()
    stops = [site.start("server", "stop") for _ in range(5)]

    codes = [stop.wait() for stop in stops]

    assert 0 in codes
    assert set(codes) <= {0, 4}, [stop.err for stop in stops]
    complaint(site.run("server", "stop"), 4, "ended on")


def test_stop_ends_what_runs_at_once_and_says_it_was_told_to(site: Site) -> None:
    """`stop` does not wait for tasks; the server then ends with 1, as some were interrupted."""
    server = site.serve("--grace", 0.5)
    client = site.client("-N", 2)
    site.submit("sleep 60")
    site.submit("trap '' TERM; sleep 61")
    until(lambda: len(site.farm.tasks()) >= 3, 15, "both tasks run")

    site.stop()

    assert [] == site.farm.tasks()
    assert 1 == server.wait()
    assert 0 == client.wait()


def test_stop_with_drain_lets_what_runs_finish(site: Site) -> None:
    """What runs ends by itself and counts; what waits is not begun."""
    server = site.serve()
    site.client()
    site.submit("until test -e go; do sleep 0.02; done; echo first >> done")
    site.submit("echo second >> done")
    until(site.farm.tasks, 15, "the first task runs")

    drain = site.start("server", "stop", "--drain")
    server.expect("waiting for running tasks")
    (site.farm.folder / "go").touch()

    assert 0 == drain.wait()
    assert ["first"] == site.farm.read("done")
    assert 0 == server.wait()


def test_a_second_start_says_who_has_the_directory(site: Site) -> None:
    """The live server is named, with its pid and host and the command that stops it."""
    server = site.serve()

    second = site.run("server", "start", "-p", 0)

    complaint(
        second,
        3,
        rf"a server is already running in \S+site: server {uid_of(server)}, pid {server.pid} on",
        rf"hyper-shell server stop --server-dir {re.escape(str(site.path))}",
    )
    assert site.info()["pid"] == server.pid


def test_several_servers_of_one_user_each_have_a_directory(farm: Farm) -> None:
    """Two directories are two farms: other keys, other ports, other tasks."""
    one, two = Site(farm, "one"), Site(farm, "two")
    one.serve()
    two.serve()
    two.client()

    two.submit("echo two > done")

    assert ["two"] == farm.wait_for_lines("done", 1)
    first, second = one.access(), two.access()
    assert not {endpoint.port for endpoint in first.endpoints.values()} & {
        endpoint.port for endpoint in second.endpoints.values()
    }
    assert 4 == len({endpoint.key for it in (first, second) for endpoint in it.endpoints.values()})
    assert 0 == sum(one.info()["tasks"].values())


def test_an_old_server_that_ends_late_leaves_the_new_link_alone(site: Site) -> None:
    """A frozen server whose lock was taken away ends later: the new one's link and claim stay.

    Without a database, that is: the old server would have that one still.
    """
    old = site.serve("--no-db")
    old.signal(signal.SIGSTOP)
    for name in ("lock", "claim"):
        (site.path / name).unlink()
    new = site.serve("-p", 0, "--no-db")

    old.signal(signal.SIGCONT)
    old.signal(signal.SIGTERM)

    assert 143 == old.wait()
    assert "002" == os.readlink(site.path / "current")
    assert site.info()["pid"] == new.pid
    complaint(site.run("server", "start", "-p", 0), 3, uid_of(new))


def test_nohup_keeps_a_server_alive_through_a_hangup(site: Site) -> None:
    """A SIGHUP that was ignored when the server started stays ignored."""
    command = ["nohup", *PROGRAM, "server", "start", "--server-dir", str(site.path)]
    server = until_up(site.farm.spawn(command))

    server.signal(signal.SIGHUP)

    stays(lambda: server.is_running, 0.5, "it lives on")
    assert site.info()["pid"] == server.pid
    site.stop()
    assert 0 == server.wait()


def test_a_reserved_word_is_a_file_only_with_its_folder(site: Site) -> None:
    """`server stop` stops; a file of that name is `./stop`, and `server start stop` says so."""
    (site.farm.folder / "stop").write_text("echo ran > done\n")

    as_verb = site.run("server", "stop")
    behind_start = site.run("server", "start", "stop")
    site.start("server", "./stop")
    site.client()

    complaint(as_verb, 4, "ever started")
    complaint(behind_start, 2, r"`server stop` is a separate command", r"\./stop")
    assert ["ran"] == site.farm.wait_for_lines("done", 1)


FOREIGN = [
    ["info", "--drain"],
    ["stop", "--json"],
    ["info", "--timeout", "3"],
    ["wait", "-b", "3"],
    ["start", "--client-file", "x"],
    ["start", "--worker-host", "x"],
    ["stop", "-p", "4000"],
    ["info", "-r", "2"],
    ["wait", "--forever"],
]


def test_an_option_of_another_word_is_an_error(site: Site) -> None:
    """An option that would do nothing for this word is refused: exit 2, and nothing is made."""
    processes = [site.start("server", *words) for words in FOREIGN]

    for process in processes:
        complaint(process, 2, "there is no option", "is an option of `hyper-shell server")
    assert not site.path.exists()


def test_a_directory_named_by_a_relative_path_may_be_left(farm: Farm, tmp_path: Path) -> None:
    """The path is settled at the start: an end from elsewhere cleans up the same directory."""
    site = Site(farm, "here/farm")
    (farm.folder / "here").mkdir()
    server = until_up(
        farm.start("server", "start", "--server-dir", "farm", cwd=farm.folder / "here")
    )

    site.stop()

    assert 0 == server.wait()
    assert site.is_clean()
