"""The table of endings."""

import pytest

from hypershell.core.ending import Code, CountsAs, Ending, endings_with

NUMBERS = {
    "EXITED": 0,
    "SIGNALED": 1,
    "UNSTARTABLE": 2,
    "INTERRUPTED": 3,
    "GIVEN_BACK": 4,
    "LOST": 5,
    "CANCELLED": 6,
    "ORPHANED": 7,
    "UNREPORTED": 9,
}


def test_the_number_of_an_ending_never_changes():
    """It is in databases, and travels."""
    assert NUMBERS.items() <= {ending.name: int(ending) for ending in Ending}.items()


def test_an_ending_is_found_by_its_number():
    """With all of its row."""
    found = Ending(2)

    assert Ending.UNSTARTABLE is found
    assert ("unstartable", False, 126) == (found.word, found.ran, found.exit_value)


def test_words_tell_endings_apart():
    """No two have the same."""
    assert len(Ending) == len({ending.word for ending in Ending})


def test_only_the_server_knows_of_clients_and_servers_that_died():
    """A client does not report its own death."""
    told_by_the_server = {Ending.LOST, Ending.ORPHANED, Ending.UNREPORTED, Ending.UNFIT}
    assert told_by_the_server == {e for e in Ending if not e.reported}


def test_what_may_never_have_begun_costs_no_retry_and_counts_as_none():
    """But where nobody knows, the next attempt is another one."""
    assert (False, False) == (Ending.GIVEN_BACK.tried, Ending.GIVEN_BACK.granted)
    assert (True, False) == (Ending.UNREPORTED.tried, Ending.UNREPORTED.granted)
    assert CountsAs.NOTHING is Ending.UNREPORTED.counts_as


def test_what_uses_up_a_retry_was_tried():
    """What never began costs nothing."""
    assert all(e.tried for e in Ending if e.counts_as is not CountsAs.NOTHING)


@pytest.mark.parametrize(
    ("ending", "code", "text"),
    [
        (Ending.EXITED, 3, "exit status 3"),
        (Ending.SIGNALED, 9, "signal 9 (SIGKILL)"),
        (Ending.SIGNALED, 99, "signal 99 (unknown)"),
        (Ending.UNSTARTABLE, 0, "could not be started"),
        (Ending.LOST, 0, "its client died or was cut off"),
    ],
)
def test_a_cause_is_said_in_words(ending, code, text):
    """These are stored, and tell causes of failure apart: they stay as they are."""
    assert text == ending.describe(code)


def test_endings_are_found_by_what_their_code_is():
    """For the fields `exit_status` and `signal`."""
    assert ([0], [1]) == (endings_with(Code.EXIT_STATUS), endings_with(Code.SIGNAL))
