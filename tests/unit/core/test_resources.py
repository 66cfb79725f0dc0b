"""What tasks need and what a client has: the same arithmetic on both sides."""

import pytest

from hypershell.core.resources import NO_NEEDS, Needs, Offer, TaskNeeds, Usage, needs_of
from hypershell.core.task import new_task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec, spec_of

GIB = 2**30
OFFER = Offer(cores=8, memory=4 * GIB, gpus=2, others=(("lic", 3),))


@pytest.mark.parametrize(
    ("keys", "needs"),
    [
        ("cores:4", Needs(4)),
        ("memory:2GiB", Needs(1, 2 * GIB)),
        ("memory:8G", Needs(1, 8 * GIB)),
        ("memory:8GB", Needs(1, 8 * 10**9)),
        ("gpus:1 cores:2", Needs(2, 0, 1)),
        ("res.lic:2 res.tape:1", Needs(1, 0, 0, (("lic", 2), ("tape", 1)))),
        ("timeout:5 expect:3", None),
    ],
)
def test_a_line_says_what_its_task_needs(keys, needs):
    """Anything that it asks for takes a core as well; limits of time are no needs."""
    task = new_task(f"true # HYPERSHELL: {keys}".encode(), 1, 1)

    assert needs == needs_of(task.spec)


@pytest.mark.parametrize(
    "keys",
    ["cores:0", "cores:x", "memory:0", "memory:8X", "gpus:-1", "res.:1", "res.a:0", "res.a:x"],
)
def test_a_line_that_asks_for_nonsense_is_refused(keys):
    """By the key that is wrong."""
    with pytest.raises(ValueError, match=f"`{keys.partition(':')[0]}` must be"):
        new_task(f"true # HYPERSHELL: {keys}".encode(), 1, 1)


def test_a_task_has_the_needs_of_its_run_where_it_has_none_of_its_own():
    """Each amount for itself; a resource of another name comes on top."""
    run = TaskNeeds(spec_of({"cores": 2, "memory_request": GIB, "resources": [["lic", 1]]}))
    own = spec_of({"cores": 4, "resources": [["tape", 1]]})

    assert Needs(2, GIB, 0, (("lic", 1),)) == run.plain == run.of(DEFAULT_SPEC)
    assert Needs(4, GIB, 0, (("lic", 1), ("tape", 1))) == run.of(own)
    assert NO_NEEDS.plain is None


def usage(offer: Offer = OFFER, places: int = 4, *needs: Needs) -> Usage:
    """That of a client which runs tasks with these."""
    made = Usage(offer, places)
    for each in needs:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ("needs", "running", "plain", "fits"),
    [
        (Needs(8), (), 0, True),
        (Needs(9), (), 0, False),
        (Needs(8), (), 1, False),  # a plain task counts as one core
        (Needs(4), (Needs(4),), 0, True),
        (Needs(4), (Needs(4),), 1, False),
        (Needs(4), (), 100, True),  # no more of them run than there are places
        (Needs(1, 3 * GIB), (Needs(1, 2 * GIB),), 0, False),
        (Needs(1, 0, 2), (Needs(1, 0, 1),), 0, False),
        (Needs(1, 0, 0, (("lic", 3),)), (), 0, True),
        (Needs(1, 0, 0, (("lic", 1),)), (Needs(1, 0, 0, (("lic", 3),)),), 0, False),
        (Needs(1, 0, 0, (("tape", 1),)), (), 0, False),
    ],
)
def test_a_task_fits_where_there_is_enough_of_everything(needs, running, plain, fits):
    """Beside what runs there."""
    assert fits == usage(OFFER, 4, *running).fits(needs, plain)


def test_a_task_with_needs_takes_a_place_where_places_are_limited():
    """As with -N."""
    limited = OFFER._replace(limits_places=True)

    assert usage(limited, 2, Needs()).fits(Needs(), 0)
    assert not usage(limited, 2, Needs()).fits(Needs(), 1)
    assert not usage(limited, 2, Needs(), Needs()).fits(Needs(), 0)
    assert 1 == usage(limited, 2, Needs()).plain_places()


@pytest.mark.parametrize(
    ("running", "places"), [((), 4), ((Needs(2),), 4), ((Needs(6),), 2), ((Needs(8),), 0)]
)
def test_plain_tasks_have_the_cores_that_are_left(running, places):
    """And never more than there are places."""
    assert places == usage(OFFER, 4, *running).plain_places()


def test_what_was_added_and_removed_again_is_gone():
    """Of every kind."""
    needs = Needs(3, GIB, 1, (("lic", 2),))
    used = usage(OFFER, 4, needs)

    used.add(needs, -1)

    assert (0, 0, 0, 0) == (used.number, used.cores, used.memory, used.gpus)
    assert used.fits(Needs(8, 4 * GIB, 2, (("lic", 3),)), 0)


def test_what_is_missing_is_said_in_words():
    """First what a client never has, then what is not free."""
    assert ["has 2 of 3 gpus", "has 0 of 1 tape"] == usage().missing(
        Needs(1, 0, 3, (("tape", 1),)), 0
    )
    assert ["has 1 of 8 cores free", "has 1 GiB of 4 GiB memory free"] == usage(
        OFFER, 4, Needs(6, 3 * GIB)
    ).missing(Needs(2, 2 * GIB), 1)
    assert "2 cores, 1 GiB memory, 1 gpu, 1 lic" == str(Needs(2, GIB, 1, (("lic", 1),)))


def test_needs_are_packed_for_the_client():
    """It starts its tasks by them."""
    spec = TaskSpec(cores=2, memory_request=5, gpus=1, resources=(("a", 1),), retry_memory=2.0)

    packed = spec.pack_for_client()

    assert needs_of(spec) == needs_of(spec_of({}).__class__(**_values(packed)))


def _values(packed: str) -> dict[str, object]:
    from hypershell.core.task_spec import unpack_spec

    spec = unpack_spec(packed)
    return {name: getattr(spec, name) for name in ("cores", "memory_request", "gpus", "resources")}
