"""What a user is told of a call that the server refused: the kind decides, never the text."""

import pytest

from hypershell.app.task_api import RemoteTasks, refusal
from hypershell.core.errors import (
    ClientUnknown,
    RequestRefused,
    SelectionUnknown,
    ServerLeft,
    ServerUnable,
    TasksNotKept,
)
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.server.planes.error_kinds import kind_of
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.refusal import CallRefused, ErrorKind

ERRORS = {
    ErrorKind.BAD_REQUEST: (RequestRefused, 5),
    ErrorKind.NO_SUCH_VERB: (RequestRefused, 5),
    ErrorKind.NO_DATABASE: (TasksNotKept, 3),
    ErrorKind.NO_CLIENT: (ClientUnknown, 2),
    ErrorKind.ENDING: (ServerLeft, 4),
    ErrorKind.DATABASE_UNUSABLE: (ServerUnable, 3),
    ErrorKind.NOT_FOUND: (SelectionUnknown, 2),
    ErrorKind.FAILED: (RequestRefused, 5),
}


class Ending:
    """A server in its last moment: its run is over, and its client plane still answers."""

    def __init__(self) -> None:
        self._store = TaskStore(Policy())
        assert self._store.close_if_finished()

    def submit(self, *_: object) -> None:
        """Refused."""
        self._refuse(lambda: self._store.add([]))

    def retry(self, selection: Selection) -> None:
        """Refused."""
        self._refuse(lambda: self._store.retry(selection))

    def _refuse(self, change) -> None:
        try:
            change()
        except ValueError as error:
            raise CallRefused(kind_of(error), str(error)) from error


@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_has_its_error_and_its_exit_status(kind):
    """Whatever the text says."""
    error = refusal(CallRefused(kind, "the server is ending; it keeps no database"), "list")

    assert ERRORS[kind] == (type(error), error.exit_code)


@pytest.mark.parametrize("verb", ["run", "retry"])
def test_a_run_that_ends_at_that_moment_is_a_server_that_left(verb):
    """`run` and `retry` end with 4: there is nothing wrong with what was asked."""
    tasks = RemoteTasks(Ending(), verb)

    with pytest.raises(ServerLeft, match="ending") as left:
        tasks.retry(Selection(ids=(1,))) if verb == "retry" else tasks.submit([b"true"], None)

    assert 4 == left.value.exit_code
