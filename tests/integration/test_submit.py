"""`hyper-shell submit`: a command, or lines of a file, given to a server that runs."""

import contextlib
import json
import os
import threading

import pytest

from hypershell.access.keys import CLIENT, plane_secret
from hypershell.core.query.selection import Selection
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.refusal import CallRefused
from tests.helpers.access import Site, complaint, until_up
from tests.helpers.farm import PROMPT, Farm, Pipe, rarely
from tests.helpers.waiting import until


@pytest.fixture
def served(site: Site) -> Site:
    """A server that stays in its directory, and no client yet."""
    site.serve()
    return site


def test_one_argument_is_the_line_and_several_are_quoted(served: Site) -> None:
    """One ARG is run as it stands; several are words, whatever is in them."""
    served.submit("echo $TASK_ID a  b >> done")
    served.submit("sh", "-c", r'printf "%s\n" "$@" >> done', "sh", "$TASK_ID", "a  b", "it's", "")
    served.client()

    lines = served.farm.wait_for_lines("done", 5)

    assert ["1 a b", "$TASK_ID", "a  b", "it's", ""] == lines


def test_ids_are_printed_one_a_line_or_as_json(served: Site) -> None:
    """Standard output has the ids alone, in the order of the lines."""
    path = served.farm.write_lines(["true", "# not a task", "", "true"])

    plain = served.run("submit", "-f", path)
    as_json = served.run("submit", "-f", path, "--json")

    assert b"1\n2\n" == plain.out
    assert [3, 4] == json.loads(as_json.out)
    assert "" == plain.err


def test_a_file_is_submitted_as_server_file_reads_it(served: Site) -> None:
    """Comments and blank lines are skipped, bytes are kept, the last line needs no end."""
    path = served.farm.folder / "lines"
    path.write_bytes(b"# no\n\n   \necho \xff >> done\n  # no\necho last >> done")

    submit = served.run("submit", "-f", path)
    served.client()

    assert b"1\n2\n" == submit.out
    served.farm.wait_for_lines("done", 2)
    assert b"\xff\nlast\n" == (served.farm.folder / "done").read_bytes()


def test_a_slow_producer_is_submitted_line_by_line(served: Site) -> None:
    """What `-f -` was given runs while its writer is still at work."""
    pipe = Pipe()
    submit = served.start("submit", "-f", "-", stdin=pipe.read_end)
    served.client()

    os.write(pipe.write_end, b"echo early >> done\n")
    early = served.farm.wait_for_lines("done", 1)
    still = submit.is_running
    os.write(pipe.write_end, b"echo late >> done\n")
    pipe.close()

    assert ["early"] == early
    assert still
    assert 0 == submit.wait()
    assert b"1\n2\n" == submit.out
    assert ["early", "late"] == served.farm.wait_for_lines("done", 2)


def test_debug_behind_the_dashes_belongs_to_the_command(served: Site) -> None:
    """No word of a command is ours, whatever it looks like."""
    words = ("echo", "--debug", "--json", "-f", "--server-dir", "--", "x")
    served.submit(*words, ">")
    served.client("-o", "out")

    lines = served.farm.wait_for_lines("out", 1)

    assert ["--debug --json -f --server-dir -- x >"] == lines


EMPTY = {
    "no argument": ["--"],
    "no word at all": [],
    "an empty line": ["--", ""],
    "blanks": ["--", "  "],
    "a comment": ["--", "# nothing"],
    "both ways": ["-f", "x", "--", "true"],
}


def test_what_is_no_one_task_is_refused(served: Site) -> None:
    """Exit 2, and nothing reaches the server."""
    processes = [served.start("submit", *words) for words in EMPTY.values()]

    for process in processes:
        complaint(process, 2)
    assert 0 == sum(served.info()["tasks"].values())


def test_an_empty_file_is_no_task_and_no_error(served: Site) -> None:
    """Nothing to do is done: exit 0, and standard output is empty, or an empty list."""
    empty = served.farm.write_lines([])

    plain = served.run("submit", "-f", empty)
    as_json = served.run("submit", "-f", empty, "--json")

    assert (0, b"[]\n") == (as_json.wait(), as_json.out)
    assert (0, b"") == (plain.wait(), plain.out.strip())


def test_a_missing_file_is_named(served: Site) -> None:
    """Exit 3, as with `server FILE`."""
    complaint(served.run("submit", "-f", "nowhere"), 3, "there is no file nowhere")


def test_a_null_byte_is_refused_by_its_line(served: Site) -> None:
    """The lines before it are submitted, as `server FILE` would run them, and their ids told."""
    path = served.farm.folder / "lines"
    path.write_bytes(b"true\necho \0\ntrue\n")

    process = served.run("submit", "-f", path)

    complaint(process, 3, "line 2")
    assert 1 == sum(served.info()["tasks"].values())
    assert b"1\n" == process.out


@pytest.mark.parametrize("number", [1000, rarely(6000)])
def test_many_lines_arrive_whole_and_in_order(served: Site, number: int) -> None:
    """Each is there once, in order, also where they are more than fit into one batch."""
    path = served.farm.write_lines(f"echo {n} >> done" for n in range(number))

    submit = served.run("submit", "-f", path)
    served.client("-N", 1)

    assert list(range(1, number + 1)) == [int(word) for word in submit.out.split()]
    expected = [str(n) for n in range(number)]
    assert expected == served.farm.wait_for_lines("done", number, 60)


@pytest.mark.campaign
def test_lines_that_are_large_together_arrive(served: Site) -> None:
    """30 lines of 1 MB are more than one message may hold."""
    path = served.farm.write_lines(f"true {'x' * 1_000_000}" for _ in range(30))

    submit = served.run("submit", "-f", path)

    assert 0 == submit.wait(), submit.err
    assert 30 == sum(served.info()["tasks"].values())


def test_submit_without_a_server_never_makes_a_directory(farm: Farm) -> None:
    """With no server there is no submission: exit 4."""
    site = Site(farm, "nowhere")

    process = site.run("submit", "--", "true")

    complaint(process, 4, "no server was ever started")
    assert not site.path.exists()


def test_a_server_with_a_file_runs_what_is_submitted_meanwhile(site: Site) -> None:
    """`server FILE` ends when its lines and what was submitted are final."""
    tasks = site.farm.write_lines(["until test -e go; do sleep 0.02; done; echo line >> done"])
    server = until_up(site.start("server", tasks))
    site.client("-N", 2)

    site.submit("touch go")

    assert 0 == server.wait()
    assert ["line"] == site.farm.read("done")


def test_what_is_submitted_as_the_server_ends_runs_or_is_refused(site: Site) -> None:
    """No submission that was told an id is forgotten when the input ends just then."""
    tasks = site.farm.write_lines([f"echo {n} >> lines" for n in range(50)])
    server = until_up(site.start("server", tasks))
    door = site.access().client
    assert door is not None
    accepted: list[int] = []

    def submit_until_refused() -> None:
        proxy = ClientPlaneProxy(door.host, door.port, plane_secret(door.key, CLIENT))
        try:
            # The next one just when all others are final: that is when the server ends.
            while True:
                accepted.extend(proxy.submit([b"echo $TASK_ID >> submitted"]))
                with contextlib.suppress(CallRefused):
                    proxy.wait(Selection(ids=(accepted[-1],)), 10.0)
        except (OSError, EOFError, CallRefused):
            pass

    thread = threading.Thread(target=submit_until_refused)
    thread.start()
    until(lambda: accepted, PROMPT, "the first is at the server")
    site.client("-N", 2)
    thread.join(PROMPT)

    assert not thread.is_alive(), f"{len(accepted)} accepted"
    assert 0 == server.wait(30), server.err
    assert sorted(accepted) == sorted(int(line) for line in site.farm.read("submitted"))


def test_submit_to_a_server_that_ends_is_told_how_far_it_came(served: Site) -> None:
    """Exit 6, and how many are at the server; never a traceback."""
    pipe = Pipe()
    submit = served.start("submit", "-f", "-", stdin=pipe.read_end)
    os.write(pipe.write_end, b"true\ntrue\n")
    until(lambda: sum(served.info()["tasks"].values()) == 2, 15, "both are at the server")

    served.stop()
    os.write(pipe.write_end, b"true\n")

    complaint(submit, 6, "interrupted after 2 tasks")
    pipe.close()


@pytest.mark.campaign
def test_ids_go_to_a_closed_pipe_without_a_word(served: Site) -> None:
    """A reader that goes away is no error of ours."""
    pipe = Pipe()
    os.close(pipe.read_end)

    process = served.run("submit", "--", "true", stdout=pipe.write_end)

    os.close(pipe.write_end)
    assert 0 == process.wait()
    assert "" == process.err


def test_what_is_submitted_to_a_server_that_drains_is_refused(site: Site) -> None:
    """Who gets an id may rely on it: a server that starts nothing more gives none."""
    server = site.serve()
    site.client()
    site.submit("until test -e go; do sleep 0.02; done")
    until(site.farm.tasks, 15, "it runs")
    drain = site.start("server", "stop", "--drain")
    server.expect("waiting for running tasks")

    late = site.run("submit", "--", "echo late > late")
    (site.farm.folder / "go").touch()

    assert 0 == drain.wait()
    assert 0 == server.wait()
    assert (4, b"") == (late.wait(), late.out)
    assert [] == site.farm.read("late")
