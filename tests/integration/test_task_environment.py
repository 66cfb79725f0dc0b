"""What a task finds around it: what its client was started with, and no secret."""

import os
from pathlib import Path

import pytest

KEY = "0123456789abcdef0123456789abcdef"
PASSPHRASE = "a phrase that nobody guesses"
DATABASE = "postgresql://me:hunter2@127.0.0.1:1/farm"

EVERYWHERE = """\
pid=$$; while [ "$pid" != "$LAST" ]; do tr '\\0' '\\n' < /proc/$pid/environ >> seen; \
pid=$(ps -o ppid= -p "$pid" | tr -d ' '); done"""


def environment_of(path: Path) -> dict[str, str]:
    """The variables that a task wrote there."""
    pairs = (each.partition("=") for each in path.read_text().split("\0"))
    return {name: value for name, separator, value in pairs if separator}


def test_a_task_finds_no_secret_up_to_the_server(farm):
    """Neither in its environment nor in that of any process above it that is ours."""
    path = farm.write_lines([EVERYWHERE])
    secrets = {
        "HYPERSHELL_AUTH": KEY,
        "HYPERSHELL_PASSPHRASE": PASSPHRASE,
        "HYPERSHELL_DATABASE": DATABASE,
        "LAST": str(os.getpid()),
    }

    process = farm.start("cluster", path, "--no-db", env=secrets)

    assert 0 == process.wait()
    seen = farm.read("seen")
    assert 3 <= len([line for line in seen if line.startswith("HYPERSHELL_AUTH=")])
    assert "TASK_ID=1" in seen
    for secret in (KEY, PASSPHRASE, "hunter2"):
        assert not [line for line in seen if secret in line]


def test_a_cluster_keeps_the_password_of_its_database_from_tasks(farm):
    """PGPASSWORD, where it used it; a run without that database leaves it alone."""
    path = farm.write_lines(["cat /proc/self/environ > env"])
    given = {"PGPASSWORD": "hunter2", "HYPERSHELL_DATABASE": "postgresql://me@127.0.0.1:1/farm"}

    process = farm.start("cluster", path, "--no-db", env=given)

    assert 0 == process.wait()
    found = environment_of(farm.folder / "env")
    assert given == {name: found.get(name) for name in given}


def test_a_task_finds_what_its_client_was_started_with(farm):
    """Variables, limits, umask and niceness are those that the cluster was given."""
    lines = ["cat /proc/self/environ > env; umask > umask; nice > nice; ulimit -a > limits"]
    path = farm.write_lines(lines)
    given = {"PATH": os.environ["PATH"], "HOME": farm.folder, "SOME": "thing", "LANG": "C"}
    shell = farm.spawn_shell(
        "umask 037; ulimit -Sn 200; nice > nice2; ulimit -a > limits2; "
        f"exec env -i {' '.join(f'{n}={v}' for n, v in given.items())} "
        f"PYTHONPATH={os.getcwd()} $HYPERSHELL cluster {path} -N 60 -q"
    )

    assert 0 == shell.wait()
    found = environment_of(farm.folder / "env")
    added = {name for name in found if name.startswith("TASK_")}
    added.add("HYPERSHELL_RUN")
    assert {*given, "PYTHONPATH", "PWD"} == {*found} - added - {"OLDPWD", "SHLVL", "_"}
    assert ["0037"] == farm.read("umask")
    assert farm.read("nice2") == farm.read("nice")
    assert farm.read("limits2") == farm.read("limits")


@pytest.mark.parametrize("how", ["option", "environment", "cluster"])
def test_a_task_submits_to_its_own_server(farm, how):
    """Also where its directory came by an option, or by a relative path, and it runs elsewhere."""
    path = farm.write_lines(['echo "$HYPERSHELL_SERVER_DIR" > dir'])
    there = farm.folder / "there"
    there.mkdir()
    words = ["--server-dir", "D"]
    if how == "cluster":
        processes = [farm.start("cluster", path, *words, "--cwd", there)]
    else:
        server = farm.start_server(path, *words, "--cwd", there)
        if how == "option":
            client = farm.start("client", *words)
        else:
            client = farm.start_client(env={"HYPERSHELL_SERVER_DIR": "D"})
        processes = [server, client]

    assert {0} == {process.wait() for process in processes}
    assert f"{farm.folder / 'D'}\n" == (there / "dir").read_text()


SHOW = 'echo "$TASK_NUMBER:$A:$B:$C" >> shown'


def test_variables_of_a_run_reach_its_tasks_on_every_client(farm):
    """By `--env` and `--export`; the last value of a name is its value, of `--env` before all."""
    lines = ["", f"{SHOW} # 2", "env > all"]
    given = ["--env", "A=1", "--env", "A=2=3", "--export", "B,C", "--env", "C=own"]
    here = {"B": "b c", "C": "exported"}
    server = farm.start_server(lines, *given, env=here)

    client = farm.start_client()

    assert [0, 0] == [server.wait(), client.wait()]
    assert ["2:2=3:b c:own"] == farm.read("shown")
    assert "TASK_NUMBER=3" in farm.read("all")


def test_a_submitted_task_has_its_own_variables_before_those_of_the_run(farm):
    """And no number of a line."""
    server = farm.start("server", "--forever", "-p", 0, "--env", "A=run", "--env", "B=run")
    farm.port = server.port
    client = farm.start_client()
    submit = ["submit", "--env", "A=\N{SNOWMAN} $HOME", "--export", "C", "--", SHOW]

    assert 0 == farm.run(*submit, env={"C": "mine"}).wait()
    farm.wait_for_lines("shown", 1)

    assert 0 == farm.run("server", "stop").wait()
    assert [0, 0] == [server.wait(), client.wait()]
    assert ["0:\N{SNOWMAN} $HOME:run:mine"] == farm.read("shown")


def test_all_exports_what_tasks_would_have_here_and_a_name_what_they_would_not(farm):
    """A key must be named to reach tasks."""
    given = {"HYPERSHELL_AUTH": KEY, "SOME": "thing", "HYPERSHELL_PASSPHRASE": PASSPHRASE}
    exported = ["--export", "all,HYPERSHELL_PASSPHRASE"]
    server = farm.start_server(["cat /proc/self/environ > env"], *exported, env=given)

    client = farm.start_client(env={"HYPERSHELL_AUTH": KEY, "SOME": "other"})

    assert [0, 0] == [server.wait(), client.wait()]
    found = environment_of(farm.folder / "env")
    assert ("thing", PASSPHRASE) == (found["SOME"], found["HYPERSHELL_PASSPHRASE"])
    assert "HYPERSHELL_AUTH" not in found


@pytest.mark.parametrize("command", ["show-path", "/bin/sh -c show-path"])
def test_a_changed_search_path_decides_what_a_task_runs(farm, command):
    """Also of a command that would need no shell."""
    program = farm.folder / "bin" / "show-path"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho found >> shown\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"

    process = farm.start("cluster", farm.write_lines([command]), "--env", f"PATH={path}")

    assert 0 == process.wait()
    assert ["found"] == farm.read("shown")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--env", "A"], "--env must be NAME=VALUE"),
        (["--env", "TASK_ID=1"], "--env must be NAME=VALUE"),
        (["--export", "NOT_SET_ANYWHERE"], "--export: the variable 'NOT_SET_ANYWHERE' is not set"),
        (["--export", "HOME,,PATH"], "--export: the variable '' is not set"),
        (["--export", "TASK_ID"], "--export: the variable 'TASK_ID' is set for each task"),
    ],
)
@pytest.mark.parametrize("verb", [["cluster", "-"], ["submit", "--", "true"]], ids=lambda v: v[0])
def test_a_variable_that_cannot_be_given_is_refused(farm, verb, words, complaint):
    """At once, with 2."""
    process = farm.run(verb[0], *words, *verb[1:], env={"TASK_ID": "7"})

    assert 2 == process.wait()
    assert complaint in process.err
