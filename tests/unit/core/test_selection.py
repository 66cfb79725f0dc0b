"""Selections and terms as they travel: what comes from a peer is checked piece by piece."""

from typing import Any

import pytest

from hypershell.core.query.selection import Selection
from hypershell.core.state import TaskState
from hypershell.core.submission import SubmitOptions, checked_lines, read_tag
from hypershell.core.task_spec import TaskSpec
from hypershell.core.units import read_ids

FULL = Selection(
    ids=(1, 2),
    states=(TaskState.FAILED,),
    tags=(("site", "A"), ("day", "")),
    where="exit_status >= 3",
    run="abc",
    cause=7,
)

TERMS = SubmitOptions(tags={"site": "A"}, group=2, priority=-3, spec=TaskSpec(1, capture=True))


@pytest.mark.parametrize("selection", [FULL, Selection()])
def test_a_selection_is_the_same_after_its_journey(selection: Selection) -> None:
    """All of it."""
    assert selection == Selection.unpack(selection.pack())


@pytest.mark.parametrize("submit_options", [TERMS, SubmitOptions()])
def test_terms_are_the_same_after_their_journey(submit_options: SubmitOptions) -> None:
    """All of them."""
    assert submit_options == SubmitOptions.unpack(submit_options.pack())


BAD_SELECTIONS: list[dict[str, Any]] = [
    {"ids": None},
    {"ids": [0]},
    {"ids": [True]},
    {"ids": ["1"]},
    {"ids": [2**63]},
    {"ids": [1] * 100_001},
    {"states": ["gone"]},
    {"states": "failed"},
    {"tags": [["k"]]},
    {"tags": [["k k", "v"]]},
    {"tags": [["k", "v v"]]},
    {"tags": {"k": "v"}},
    {"where": 3},
    {"where": "id = "},
    {"run": None},
    {"run": "x" * 101},
    {"cause": "3"},
    {"cause": -1},
    {"other": 1},
]


@pytest.mark.parametrize("change", BAD_SELECTIONS, ids=str)
def test_what_is_no_selection_is_refused(change: dict[str, Any]) -> None:
    """Whichever piece is wrong."""
    with pytest.raises(ValueError, match=r"\w"):
        Selection.unpack(FULL.pack() | change)


BAD_TERMS: list[dict[str, Any]] = [
    {"tags": {"k": "v"}},
    {"tags": [["k", 1]]},
    {"group": -1},
    {"group": "1"},
    {"group": True},
    {"priority": 10**9},
    {"spec": '{"max_retries":-1}'},
    {"spec": '{"capture":1}'},
    {"spec": '{"colour":"red"}'},
    {"spec": "3"},
    {"spec": "{"},
    {"spec": None},
    {"tags": [["timeout", "3"]]},
    {"tags": [["res.licence", "3"]]},
    {"other": 1},
]


@pytest.mark.parametrize("change", BAD_TERMS, ids=str)
def test_what_are_no_terms_is_refused(change: dict[str, Any]) -> None:
    """Whichever piece is wrong."""
    with pytest.raises(ValueError, match=r"\w"):
        SubmitOptions.unpack(TERMS.pack() | change)


def test_terms_go_before_what_a_line_says_of_itself() -> None:
    """And what they leave open is left to the line."""
    line = b"true # HYPERSHELL: group:3 priority:4"

    (given,) = SubmitOptions(group=1, spec=TaskSpec(max_retries=2)).tasks([line], lambda: 7)
    (left,) = SubmitOptions().tasks([line], lambda: 7)

    assert (1, 4, 2) == (given.group, given.priority, given.spec.max_retries)
    assert (3, 4, None) == (left.group, left.priority, left.spec.max_retries)


def test_a_tag_of_the_terms_may_say_the_group() -> None:
    """As one in a line does; one that is no number is refused."""
    (task,) = SubmitOptions(tags={"group": "5"}).tasks([b"true"], lambda: 7)

    assert 5 == task.group
    with pytest.raises(ValueError, match="group must be a whole number"):
        SubmitOptions(tags={"group": "x"}).tasks([b"true"], lambda: 7)


def test_a_tag_is_read_with_and_without_a_value() -> None:
    """The value may hold colons no more than in a line."""
    assert [("k", "v"), ("k", "")] == [read_tag("k:v"), read_tag("k")]
    with pytest.raises(ValueError, match="tag value"):
        read_tag("k:v:w")


def test_lines_are_checked_as_a_whole() -> None:
    """One that cannot be run, and none is."""
    with pytest.raises(ValueError, match="cannot be run"):
        checked_lines([b"true", b"a\0b"])


def test_ids_are_numbers_and_ranges() -> None:
    """Each once, in order."""
    assert (1, 3, 4, 5, 9) == read_ids(["9", "3-5,1", "4"], 100)


@pytest.mark.parametrize("word", ["x", "0", "5-3", "-1", "1-", "", "1-101", "1.5"])
def test_what_is_no_id_is_refused(word: str) -> None:
    """Also a range that is larger than what is allowed."""
    with pytest.raises(ValueError, match=r"id"):
        read_ids([word], 100)
