"""What a user does first: a file of tasks, two clients, the failures, and once more; and what the
pages of the manual show.
"""

import pytest

from tests.helpers import console
from tests.helpers.farm import ROOT, Pipe, rarely

SOURCES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
PAGES = [page for page in SOURCES if console.commands_of(page)]
COUNTS = [300, rarely(10_000)]


def lines_of_which_every_seventh_fails(count: int) -> tuple[list[str], list[str]]:
    """Lines, and those of them that fail."""
    lines = [f"exit {n % 5 + 1} # {n}" if n % 7 == 0 else f"true {n}" for n in range(1, count + 1)]
    return lines, [line for line in lines if line.startswith("exit")]


@pytest.mark.parametrize("count", COUNTS)
def test_two_clients_run_all_and_the_failed_lines_are_captured_once_each(farm, count):
    """Exit 1, and exactly the failed lines in the file; a second run over it agrees."""
    lines, failing = lines_of_which_every_seventh_fails(count)
    server = farm.start_server(lines, "-f", "failed.txt")
    clients = [farm.start_client("-N", 2) for _ in range(2)]

    codes = [server.wait(100), *(client.wait() for client in clients)]
    again = farm.start_server(farm.folder / "failed.txt", "-f", "failed-again.txt")
    second_codes = [farm.start_client("-N", 2).wait(60), again.wait()]

    assert ([1, 0, 0], [0, 1]) == (codes, second_codes)
    assert sorted(failing) == sorted(farm.read("failed.txt"))
    assert sorted(failing) == sorted(farm.read("failed-again.txt"))
    assert f"{count} tasks: {count - len(failing)} succeeded, {len(failing)} failed" in server.err
    assert f"{len(failing)} tasks: 0 succeeded, {len(failing)} failed" in again.err
    assert all("joined the server" in client.err for client in clients)


def test_a_run_in_which_all_succeed_exits_0_and_leaves_an_empty_file(farm):
    """Clients may start before their server; everybody exits 0."""
    early = farm.start_client("--wait", 20, port=farm.free_port())
    early.expect("waiting for the server")

    server = farm.start("server", farm.write_lines(["true"] * 20), "-p", farm.port, "-f", "failed")

    assert [0, 0] == [server.wait(), early.wait()]
    assert [] == farm.read("failed")
    assert (farm.folder / "failed").exists()


def test_failed_lines_stream_from_a_server_into_the_next(farm):
    """`server A --print | server -`: the second runs, while the first runs, what failed there."""
    lines = [
        "test -e mended || { echo tried >> first; exit 1; }",
        "until test -e mended; do sleep 0.05; done",
    ]
    first = farm.start_server(lines, "--print", stdout=(pipe := Pipe()).write_end)
    first_client = farm.start_client("-N", 2)
    second = farm.start("server", "-", "-p", 0, stdin=pipe.read_end)
    pipe.close()
    second_client = farm.start_client(port=second.port)

    farm.wait_for_lines("first", 2)
    still_running = first.is_running
    (farm.folder / "mended").touch()

    assert still_running
    assert [1, 0] == [first.wait(), first_client.wait()]
    assert [1, 0] == [second.wait(), second_client.wait()]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_do_what_it_shows(page, farm):
    """The console blocks of the manual, run from top to bottom, print what stands below them."""
    commands = console.commands_of(page)

    outputs = console.run(commands, farm, 200)

    assert [] == console.differences(commands, outputs)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["one"], ["two"]),
        (["one"], ["one", "two"]),
        (["one", "..."], ["two"]),
        (["in 0.25 s"], ["in a moment"]),
    ],
)
def test_another_output_than_the_one_shown_is_seen(shown, printed):
    """The comparison above finds a line that is missing, new, or different."""
    assert not console.is_as_shown(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["one", "two"], ["two", "one"]),
        (["one", "...", "four"], ["one", "two", "three", "four"]),
        (["12:00:00 a ... in 0.25 s"], ["13:14:15 a b in 1.5 s"]),
    ],
)
def test_an_output_that_varies_is_as_shown(shown, printed):
    """Neither the order of lines, nor a time, nor what `...` stands for makes a difference."""
    assert console.is_as_shown(shown, printed)
