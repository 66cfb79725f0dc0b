"""Each hint is a command that works as it is printed, in the situation in which it is printed."""

import re
import shlex
import signal

import pytest

from tests.helpers.farm import Process
from tests.helpers.waiting import until

HANGS = "[ -e go ] || sleep 60"


def commands_in(process: Process) -> list[list[str]]:
    """The commands that it named, in words."""
    return [shlex.split(found) for found in re.findall(r"`hyper-shell ([^`]+)`", process.err)]


def hint_of(process: Process, *begins: str) -> list[str]:
    """The command that it named which begins with these words."""
    found = [words for words in commands_in(process) if words[: len(begins)] == list(begins)]
    assert found, process.err
    return found[0]


def stop_early(farm, *words: str) -> Process:
    """Start this on tasks that hang, and stop it when they run; the next that hang do not."""
    process = farm.start(*words)
    until(lambda: farm.read("begun"), 30.0, "a task runs")
    process.signal(signal.SIGTERM)
    assert 143 == process.wait()
    (farm.folder / "go").touch()
    return process


@pytest.mark.parametrize("place", [(), ("--server-dir", "d d")])
@pytest.mark.parametrize("verb", ["cluster", "server"])
def test_a_run_that_was_stopped_says_how_it_goes_on(farm, verb, place):
    """As the user began it: with `cluster` or with `server`, in the same directory."""
    farm.write_lines([f"echo begun >> begun; {HANGS}", "true"])
    if verb == "cluster":
        stopped = stop_early(farm, "cluster", "tasks-0", *place)
    else:
        server = farm.start("server", "tasks-0", "-p", 0, *place)
        farm.start_client(port=server.port)
        until(lambda: farm.read("begun"), 30.0, "a task runs")
        server.signal(signal.SIGTERM)
        server.wait()
        (farm.folder / "go").touch()
        stopped = server

    hint = hint_of(stopped, verb, "tasks-0", "--resume")
    again = farm.start(*hint, *([] if verb == "cluster" else ["-p", 0]))
    if verb == "server":
        farm.start_client(port=again.port)

    assert 0 == again.wait()
    assert "2 tasks: 2 succeeded" in again.err


def test_lines_from_standard_input_are_run_by_a_restart(farm):
    """They cannot be read again."""
    line = f"echo begun >> begun; {HANGS}"
    process = farm.spawn_shell(f"echo {shlex.quote(line)} | exec $HYPERSHELL cluster")
    until(lambda: farm.read("begun"), 30.0, "the task runs")
    cluster = process.descendants()
    next(p for p in cluster if "cluster" in p.cmdline()).send_signal(signal.SIGTERM)
    process.wait()
    (farm.folder / "go").touch()

    assert 0 == farm.run(*hint_of(process, "cluster", "--restart")).wait()


def test_a_run_that_keeps_nothing_names_no_command(farm):
    """There is nothing that it could go on with."""
    farm.write_lines([f"echo begun >> begun; {HANGS}"])

    stopped = stop_early(farm, "cluster", "tasks-0", "--no-db")

    assert "unfinished: line 1\n" in stopped.err
    assert [] == commands_in(stopped)


@pytest.mark.parametrize("words", [("retry", "1"), ("submit", "--", "true")])
def test_what_waits_in_a_database_is_run_by_the_command_that_is_named(farm, words):
    """In the directory that was named."""
    farm.write_lines(["[ -e go ]"])
    place = ("--server-dir", "d")
    assert 1 == farm.run("cluster", "tasks-0", *place).wait()
    (farm.folder / "go").touch()

    waits = farm.run(words[0], *place, *words[1:])
    done = farm.run(*hint_of(waits, "cluster", "--restart"))

    assert 0 == done.wait(), done.err


def test_unfinished_tasks_of_earlier_runs_are_run_by_the_command_that_is_named(farm):
    """And with -q nothing is said of them."""
    farm.write_lines([f"echo begun >> begun; {HANGS}"])
    stop_early(farm, "cluster", "tasks-0")
    farm.write_lines(["true"])

    quiet = farm.run("cluster", "tasks-1", "-q")
    told = farm.run("cluster", "tasks-1")

    assert "" == quiet.err
    assert 0 == farm.run(*hint_of(told, "cluster", "--restart")).wait()


def test_debug_keeps_the_exit_status(farm):
    """It adds where an error comes from, and takes nothing away."""
    process = farm.run("--debug", "cluster", "nothing-here", "--no-db")
    process.may_print_traceback = True

    assert 3 == process.wait()
    assert "Traceback" in process.err
    assert process.err.splitlines()[-2] == "hyper-shell: error: there is no file nothing-here"


def test_a_cause_that_no_task_has_is_an_error(farm):
    """The command that is named shows those that there are."""
    farm.write_lines(["exit 3"])
    farm.run("cluster", "tasks-0")

    for verb in ("list", "retry", "wait"):
        process = farm.run(verb, "--cause", 99)
        assert 2 == process.wait()
        assert "no failed task has cause 99" in process.err
    assert 0 == farm.run(*hint_of(process, "failures")).wait()
    assert 0 == farm.run("list", "--cause", 1).wait()


def test_a_key_from_the_environment_is_named_as_the_reason(farm):
    """Why the server directory was not looked at."""
    port = farm.free_port()

    process = farm.run("client", "-p", port, "--wait", 0)

    assert "as HYPERSHELL_AUTH is set, the server directory was not looked at" in process.err
