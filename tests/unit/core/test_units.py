"""Values as people write them."""

from hypershell.core.units import counted


def test_one_is_not_many():
    """As in `1 task`."""
    assert ["0 tasks", "1 task", "2 tasks"] == [counted(number, "task") for number in range(3)]
