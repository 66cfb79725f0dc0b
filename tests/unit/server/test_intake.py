"""From lines to tasks in the store, in bundles, no faster than they are run."""

import hashlib
import os
import time

import pytest

from hypershell.core.bundle import Bundler
from hypershell.core.errors import InputDamaged
from hypershell.core.retry import Policy
from hypershell.server.events import EventBus, InputEnded, TasksAdded
from hypershell.server.input.intake import Intake
from hypershell.server.input.lines import LineReader
from hypershell.store.tasks.task_store import TaskStore


class Input:
    """An intake on a pipe, and what it tells."""

    def __init__(self, bundlesize: int = 1, bundlewait: float = 60.0) -> None:
        self.digest = hashlib.sha256()
        self.read_end, self.write_end = os.pipe()
        self.store = TaskStore(Policy())
        self.reader = LineReader(self.read_end, "-")
        self.capacity = True
        self.asked: list[float] = []
        self.added: list[TasksAdded] = []
        self.ended: list[InputEnded] = []
        bus = EventBus()
        bus.subscribe(self.added.append, TasksAdded)
        bus.subscribe(self.ended.append, InputEnded)
        self.intake = Intake(
            self.reader,
            Bundler(bundlesize, bundlewait),
            self.store,
            bus,
            self._has_capacity,
            self.digest,
        )

    def _has_capacity(self, timeout: float) -> bool:
        self.asked.append(timeout)
        if not self.capacity:
            time.sleep(timeout)
        return self.capacity

    def write(self, data: bytes) -> None:
        """What comes next."""
        os.write(self.write_end, data)

    def lines(self) -> list[tuple[int, bytes]]:
        """What the store has, by number."""
        return [(task.number, task.line) for task in self.store.lease(10_000)]


@pytest.fixture
def make_input():
    """Make an input."""
    inputs: list[Input] = []

    def make(*arguments: float) -> Input:
        inputs.append(Input(*arguments))
        return inputs[-1]

    yield make
    for made in inputs:
        made.reader.close()
        if made.write_end >= 0:
            os.close(made.write_end)


def test_lines_become_tasks_with_their_numbers(make_input):
    """Blank lines and comments count as lines, and are no tasks."""
    made = make_input()
    made.write(b"a\n\n# no\nb\n")

    assert made.intake.one_pass()

    assert [(1, b"a"), (4, b"b")] == made.lines()
    assert [TasksAdded(2)] == made.added


def test_a_bundle_that_is_not_full_is_waited_for(make_input):
    """Nothing is stored, and nobody is told."""
    made = make_input(3)
    made.write(b"a\nb\n")

    made.intake.one_pass()

    assert [] == made.lines()
    assert [] == made.added


def test_a_bundle_is_stored_when_it_is_full(make_input):
    """The rest is waited for."""
    made = make_input(3)
    made.write(b"a\nb\nc\nd\n")

    made.intake.one_pass()

    assert [b"a", b"b", b"c"] == [line for _, line in made.lines()]


def test_a_bundle_that_is_old_enough_goes_as_it_is(make_input):
    """Also while the input is silent."""
    made = make_input(3, 0.05)
    made.write(b"a\n")
    begin = time.monotonic()

    while not made.added:
        made.intake.one_pass()

    assert [(1, b"a")] == made.lines()
    assert 0.04 < time.monotonic() - begin < 2.0


def test_a_bundle_that_is_old_enough_goes_though_there_is_no_room(make_input):
    """It was read already."""
    made = make_input(3, 0.05)
    made.write(b"a\n")
    made.intake.one_pass()
    made.capacity = False

    made.intake.one_pass()

    assert [(1, b"a")] == made.lines()


def test_nothing_is_read_while_there_is_no_room(make_input):
    """An endless input does not fill the memory."""
    made = make_input(1, 0.01)
    made.capacity = False
    made.asked.clear()
    made.write(b"a\n")
    made.intake._has_capacity = lambda timeout: False

    assert made.intake.one_pass()

    assert [] == made.lines()
    assert 0 == made.reader.lines_read


def test_the_end_of_the_input_stores_the_rest(make_input):
    """As the last pass."""
    made = make_input(3)
    made.write(b"a\nb")
    os.close(made.write_end)
    made.write_end = -1

    while made.intake.one_pass():
        pass

    assert [(1, b"a"), (2, b"b")] == made.lines()
    assert [InputEnded(None)] == made.ended


def test_a_damaged_line_ends_the_input_and_is_told(make_input):
    """What was read before it is run."""
    made = make_input(3)
    made.write(b"a\nb\0\nc\n")

    assert not made.intake.one_pass()

    assert [(1, b"a")] == made.lines()
    assert isinstance(made.ended[0].error, InputDamaged)


def test_lines_that_are_no_tasks_are_not_kept(make_input) -> None:
    """However many there are: what stands for them is the digest of the input so far."""
    given = make_input()
    given.write(b"# a remark\n\n")
    given.intake.one_pass()

    early = given.digest.hexdigest()
    given.write(b"a\n# the end\n")
    given.intake.one_pass()

    assert hashlib.sha256(b"# a remark\n\n").hexdigest() == early
    assert hashlib.sha256(b"# a remark\n\na\n").hexdigest() == given.digest.hexdigest()
    assert [(3, b"a")] == given.lines()
