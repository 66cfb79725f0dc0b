"""Line numbers as ranges, for any numbers."""

from hypothesis import given
from hypothesis import strategies as st

from hypershell.app.serve import ranges

NUMBERS = st.sets(st.integers(1, 200)).map(sorted).map(tuple)


def expand(text: str) -> list[int]:
    """The numbers that a text of ranges names."""
    found: list[int] = []
    for part in filter(None, text.split(", ")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@given(NUMBERS)
def test_ranges_name_all_numbers_and_no_others(numbers):
    """In order, each once."""
    assert list(numbers) == expand(ranges(numbers, most=1000))


@given(NUMBERS, st.integers(1, 5))
def test_many_ranges_are_cut_short_and_counted(numbers, most):
    """The first ones are named, and how many more there are."""
    whole = ranges(numbers, most=1000).split(", ")

    short, _, more = ranges(numbers, most).partition(" and ")

    assert whole[:most] == short.split(", ")
    assert more == (f"{len(whole) - most} more ranges" if len(whole) > most else "")
