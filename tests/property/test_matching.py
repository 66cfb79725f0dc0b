"""Who gets what: nothing lost, nothing twice, order kept, and never beyond what a client takes."""

from hypothesis import given
from hypothesis import strategies as st

from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec
from hypershell.server.state.matching import Capacity, Match, match

SPECS = (DEFAULT_SPEC, TaskSpec(timeout=1.0), TaskSpec(capture=True))


@st.composite
def made_bundles(draw: st.DrawFn) -> list[list[Task]]:
    """Bundles of one task or more, each with an id of its own and a line of some length."""
    sizes = draw(st.lists(st.integers(1, 4), max_size=8))
    lengths = draw(st.lists(st.integers(0, 5), min_size=sum(sizes), max_size=sum(sizes)))
    specs = draw(st.lists(st.sampled_from(SPECS), min_size=len(lengths), max_size=len(lengths)))
    made = enumerate(zip(lengths, specs, strict=True), 1)
    tasks = [Task(number, b"x" * length, number, spec=spec) for number, (length, spec) in made]
    bundles = []
    for size in sizes:
        bundles.append(tasks[:size])
        tasks = tasks[size:]
    return bundles


BUNDLES = made_bundles()
CAPACITIES = st.integers(-2, 12).map(Capacity)
BYTES = st.integers(1, 20)


def stays(bundles: list[list[Task]], found: Match) -> list[list[Task]]:
    """All bundles that stay."""
    return found.left + bundles[found.seen :]


def ids(bundles: list[list[Task]]) -> list[int]:
    """The tasks in them, in order."""
    return [task.id for bundle in bundles for task in bundle]


@given(BUNDLES, CAPACITIES, BYTES)
def test_nothing_is_lost_and_nothing_goes_twice(bundles, capacity, most):
    """Each task goes out or stays, and what was given in is as it was."""
    before = [list(bundle) for bundle in bundles]

    found = match(bundles, capacity, most)

    assert ids(before) == sorted([*ids([found.tasks]), *ids(stays(bundles, found))])
    assert before == bundles
    assert found.size == sum(len(task.line) for task in found.tasks)


@given(BUNDLES, CAPACITIES, BYTES)
def test_order_is_kept(bundles, capacity, most):
    """Of what goes and of what stays; no bundle is merged with another, and none is empty."""
    found = match(bundles, capacity, most)

    assert ids([found.tasks]) == sorted(ids([found.tasks]))
    assert ids(stays(bundles, found)) == sorted(ids(stays(bundles, found)))
    whole = [set(ids([bundle])) for bundle in bundles]
    assert all(any(set(ids([rest])) <= each for each in whole) for rest in stays(bundles, found))
    assert all(stays(bundles, found))


@given(BUNDLES, CAPACITIES, BYTES)
def test_nothing_overtakes(bundles, capacity, most):
    """What goes stands before all that stays."""
    found = match(bundles, capacity, most)

    assert ids(bundles) == ids([found.tasks]) + ids(stays(bundles, found))


@given(BUNDLES, CAPACITIES, BYTES)
def test_no_more_than_the_limit_of_bytes_but_for_the_last(bundles, capacity, most):
    """An answer has a limit, and a line that is longer than that must go out all the same."""
    found = match(bundles, capacity, most)

    assert sum(len(task.line) for task in found.tasks[:-1]) < most or not found.tasks[:-1]


@given(BUNDLES, CAPACITIES, BYTES)
def test_no_bundle_is_begun_beyond_the_capacity(bundles, capacity, most):
    """Without its last bundle a client has less than it can take; without capacity, nothing."""
    found = match(bundles, capacity, most)

    begun = [bundle for bundle in bundles if set(ids([bundle])) & set(ids([found.tasks]))]
    before_last = [task for task in found.tasks if begun and task not in begun[-1]]
    assert len(before_last) < capacity.slots or not found.tasks


@given(BUNDLES)
def test_all_goes_that_can(bundles):
    """With capacity for all of it, and no limit that counts."""
    found = match(bundles, Capacity(1000), 1000)

    assert set(ids(bundles)) == set(ids([found.tasks]))


@given(st.integers(-5, 5), st.integers(0, 5))
def test_a_capacity_is_a_value(slots, number):
    """What is left is another one."""
    capacity = Capacity(slots)

    left = capacity.minus(DEFAULT_SPEC, number)

    assert (slots, slots) == (capacity.fits(DEFAULT_SPEC), capacity.slots)
    assert slots - number == left.fits(DEFAULT_SPEC)
