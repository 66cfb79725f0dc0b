"""Tasks run in the directory in which their run or submission was made, by the command line."""

import os
import shutil
import signal

import pytest

PWD = 'echo "$PWD $(/bin/pwd)" >> '


@pytest.fixture
def there(farm):
    """A directory beside the one where everything is started."""
    path = farm.folder / "there"
    path.mkdir()
    return path


@pytest.fixture
def out(farm):
    """A file that tasks append to, wherever they run."""
    return farm.folder / "out"


def where(path) -> str:
    """What a task prints that runs there."""
    return f"{path} {os.path.realpath(path)}"


def test_a_line_runs_where_its_run_was_made_whoever_runs_it(farm, there, out):
    """And not where its client was started."""
    path = farm.write_lines([f"{PWD}{out}", "printenv PWD >> out"])
    server = farm.start_server(path, cwd=there)

    farm.start_client(port=server.port)

    assert 0 == server.wait()
    assert [where(there)] == farm.read("out")
    assert [f"{there}"] == (there / "out").read_text().splitlines()


def test_a_run_that_is_resumed_elsewhere_runs_its_lines_where_it_was_made(farm, there, out):
    """Those that were read, and those that were not."""
    path = farm.write_lines([f"{PWD}{out}"] * 2)
    server = farm.start_server(path, cwd=there)
    server.signal(signal.SIGTERM)
    server.wait()

    assert 0 == farm.start("cluster", path, "--resume").wait()

    assert [where(there)] * 2 == farm.read("out")


def test_a_restart_from_elsewhere_runs_lines_where_their_run_was_made(farm, there, out):
    """Each in its own directory, which is named for nobody."""
    path = farm.write_lines([f"test -e {farm.folder}/go || exit 1; {PWD}{out}"] * 2)
    assert 1 == farm.start("cluster", path, cwd=there).wait()
    (farm.folder / "go").touch()

    assert 0 == farm.start("cluster", "--restart", "--run", "all").wait()

    assert [where(there)] * 2 == farm.read("out")


def test_a_submission_runs_where_it_was_made(farm, there, out):
    """To a server and to a database without one; and so does `run`."""
    server = farm.start("server", "start", "-p", "0")
    port = server.port
    farm.start("submit", "--", f"{PWD}{out}", cwd=there).wait()
    farm.start_client(port=port)
    ran = farm.start("run", "--", "/bin/pwd", cwd=there)
    assert 0 == ran.wait()
    farm.start("server", "stop").wait()
    assert 0 == farm.start("submit", "--", f"{PWD}{out}", cwd=there).wait()

    assert 0 == farm.start("cluster", "--restart", "--run", "all").wait()

    assert f"{there}\n".encode() == ran.out
    assert [where(there)] * 2 == farm.read("out")


@pytest.mark.parametrize("name", ["there", "./there/.", "client"])
def test_another_directory_can_be_named(farm, there, out, name):
    """Also by a relative path, which is one from here; `client` is the client's own."""
    path = farm.write_lines([f"{PWD}{out}"])
    server = farm.start_server(path, "--cwd", name)

    farm.start_client(port=server.port, cwd="/")

    assert 0 == server.wait()
    assert [where("/" if name == "client" else there)] == farm.read("out")


def test_the_name_of_a_directory_may_be_any_bytes_and_a_link(farm, out):
    """PWD is the name that was used, as a shell has it."""
    real, link = os.fsencode(farm.folder) + b"/real", os.fsencode(farm.folder) + b"/li nk\xff"
    os.mkdir(real)
    os.symlink(real, link)
    path = farm.write_lines(['printf "%s\\n" "$PWD" > pwd', "printenv PWD > env"])

    process = farm.start("cluster", path, cwd=link, env={"PWD": os.fsdecode(link)})

    assert 0 == process.wait()
    with open(real + b"/pwd", "rb") as pwd, open(real + b"/env", "rb") as env:
        assert [link + b"\n"] * 2 == [pwd.read(), env.read()]


def test_what_a_client_opens_is_not_looked_for_where_its_tasks_run(farm, there):
    """Its access file and directory, its output files: named from where it was started."""
    path = farm.write_lines(["echo a", "echo b >&2", "echo c"])
    server = farm.start_server(path, "--server-dir", "D", "--cwd", there)
    assert server.port

    client = farm.start("client", "--server-dir", "D", "-o", "out", "-e", "err")

    assert [0, 0] == [server.wait(), client.wait()]
    assert (["a", "c"], ["b"]) == (sorted(farm.read("out")), farm.read("err"))


def test_a_directory_that_is_gone_is_named_and_the_rest_goes_on(farm, there, out):
    """Its tasks wait, and `--cwd client` runs them."""
    path = farm.write_lines([f"{PWD}{out}"])
    farm.start_server(path, cwd=there).kill()
    farm.start("submit", "-f", path, cwd=there).wait()
    shutil.rmtree(there)
    farm.start("submit", "-f", path).wait()
    cluster = farm.start("cluster", "--restart", "--run", "all", "-N", "2")

    cluster.expect("that can enter .*/there: no connected client can; `--cwd client`")
    farm.wait_for_lines("out", 1)
    cluster.press_ctrl_c()
    cluster.wait()
    first = farm.read("out")
    moved = farm.start("cluster", "--restart", "--run", "all", "--cwd", "client").wait()

    assert ([where(farm.folder)], 0) == (first, moved)
    assert {where(farm.folder)} == set(farm.read("out"))
    assert 1 == cluster.err.count("that can enter")


def test_a_cluster_that_cannot_use_a_directory_does_not_start(farm):
    """All its clients are on this machine."""
    path = farm.write_lines(["touch ran"])

    process = farm.start("cluster", path, "--cwd", "nowhere")

    assert 3 == process.wait()
    assert "nowhere as the working directory of tasks: no such file" in process.err


def test_a_directory_that_was_removed_and_made_again_is_entered_again(farm, there):
    """A task that comes a second later runs in the new one, and not in the one that is gone."""
    lines = ["touch first", f"cd /; rm -r {there}; mkdir {there}; sleep 1.1", "touch second"]

    process = farm.start("cluster", farm.write_lines(lines), "--cwd", there)

    assert 0 == process.wait()
    assert ["second"] == os.listdir(there)
