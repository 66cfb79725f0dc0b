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
