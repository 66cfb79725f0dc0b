"""What a supervisor finds of the tasks of a client that died, whenever that was."""

import os
import random
import signal

import pytest

from hypershell.client.begun_table import BegunTable


def test_a_task_is_there_until_it_is_forgotten():
    """As begun first, then as interrupted if it ended so."""
    table = BegunTable(3)

    table.mark(1, 5)
    table.mark(2, 6)
    table.interrupted((2, 6))
    table.mark(3, 7)
    table.forget((3, 7))

    assert ([(1, 5)], [(2, 6)]) == table.read()
    assert (1, 5) in table
    assert (3, 7) not in table


def test_what_is_not_there_changes_nothing():
    """Outcomes of tasks that never began are forgotten too."""
    table = BegunTable(3)
    table.mark(1, 5)

    table.forget((1, 4))
    table.interrupted((9, 9))

    assert ([(1, 5)], []) == table.read()


def test_a_table_that_is_full_has_room_again_when_a_task_is_forgotten():
    """It never grows."""
    table = BegunTable(2)
    table.mark(1, 1)
    table.mark(2, 1)
    assert not table.room

    table.forget((1, 1))

    assert 1 == table.room
    table.mark(3, 1)
    assert {(2, 1), (3, 1)} == set(table.read()[0])


def test_ids_and_leases_may_be_as_large_as_the_database_has_them():
    """63 bits each."""
    table = BegunTable(1)
    table.mark(2**63 - 1, 2**63 - 1)

    assert ([(2**63 - 1, 2**63 - 1)], []) == table.read()


def test_the_process_of_a_task_tells_which_it_is():
    """One that lives outside this namespace of processes is seen as 0, and is no task's."""
    table = BegunTable(3)
    table.mark(1, 5)
    table.mark(2, 5)
    table.started((2, 5), 4711)

    assert [2, None, None] == [table.task_of([pid, 1]) for pid in (4711, 4712, 0)]


def test_a_table_that_is_cleared_is_empty():
    """The server is another: nothing is ours."""
    table = BegunTable(4)
    for number in range(4):
        table.mark(number, 1)

    table.clear()

    assert ([], []) == table.read()
    assert 4 == table.room


@pytest.mark.parametrize("trial", range(8))
def test_a_writer_that_is_killed_at_any_moment_leaves_whole_entries(trial):
    """Each pair is one that was marked: lease 7 times the id; at most those that were alive."""
    table = BegunTable(64)
    ready, started = os.pipe()
    pid = os.fork()
    if pid == 0:
        churn(table, started)
    os.read(ready, 1)

    # Another number of instructions each time.
    sum(range(random.Random(trial).randrange(200_000)))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    begun, interrupted = table.read()
    found = begun + interrupted
    assert all(lease == 7 * task_id for task_id, lease in found)
    assert len(found) == len(set(found)) <= 33
    for descriptor in (ready, started):
        os.close(descriptor)


def churn(table: BegunTable, started: int) -> None:
    """Begin and end tasks until killed, 32 at a time."""
    alive: list[tuple[int, int]] = []
    number = 0
    while True:
        number += 1
        table.mark(number, 7 * number)
        alive.append((number, 7 * number))
        if number % 3 == 0:
            table.interrupted(alive[0])
        if len(alive) > 32:
            table.forget(alive.pop(0))
        if number == 100:
            os.write(started, b"s")
