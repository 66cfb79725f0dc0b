"""Lines that kill their client: they are condemned, and nobody else is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.helpers.farm import Farm, Process, rarely

POISON = "kill -9 $PPID"


@contextmanager
def clients_that_come_back(farm: Farm, number: int, slots: int) -> Iterator[None]:
    """So many clients, each of which is started again when it has died."""
    over, starting = threading.Event(), threading.Lock()

    def keep() -> None:
        while not over.is_set():
            with starting:
                client = farm.start_client("-N", slots, "--wait", 5)
            client.wait(60)

    threads = [threading.Thread(target=keep) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def spread(poisons: int, lines: int) -> list[str]:
    """Many short lines, and poison ones evenly among them."""
    made = [f"true {number}" for number in range(lines)]
    for number in range(poisons):
        made.insert((number + 1) * lines // (poisons + 1), POISON)
    return made


def condemned(server: Process) -> list[str]:
    """The lines that failed."""
    return server.out.decode().splitlines()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("poisons", "lines", "max_lost"),
    [(1, 100, 3), rarely(3, 400, 3), rarely(3, 400, 2), rarely(1, 400, 2)],
)
def test_a_line_that_kills_its_client_condemns_itself_alone(farm, poisons, lines, max_lost):
    """Not those beside it, nor those that its client had not begun; nothing is unfinished."""
    server = farm.start_server(
        spread(poisons, lines), "--print", "--max-lost", max_lost, "--lease", 10
    )

    with clients_that_come_back(farm, 3, 8):
        status = server.wait(150)

    assert 1 == status
    assert [POISON] * poisons == condemned(server)


@pytest.mark.campaign
@pytest.mark.timeout(180)
def test_where_one_loss_condemns_no_line_fails_that_had_not_begun(farm):
    """The user's figure: those beside it are condemned with it, and no others."""
    lines = [line.replace("true ", "echo >> begun.") for line in spread(1, 400)]
    server = farm.start_server(lines, "--print", "--max-lost", 1, "--lease", 10)

    with clients_that_come_back(farm, 3, 8):
        status = server.wait(150)

    assert 1 == status
    assert POISON in condemned(server)
    # One for each slot may have begun, and have been killed before it could leave its trace.
    innocent = [line for line in condemned(server) if line != POISON]
    assert len([line for line in innocent if not farm.read(line.partition(">> ")[2])]) <= 8
