"""As what the errors of verbs travel."""

import pytest

from hypershell.core.errors import ClientUnknown, InputDamaged
from hypershell.server.planes.error_kinds import kind_of
from hypershell.store.sql.errors import DatabaseStalled, InputChanged, TablesMissing
from hypershell.store.tasks.errors import NoDatabase, StoreClosed
from hypershell.wire.refusal import ErrorKind

CASES = [
    (ValueError("not a selection"), ErrorKind.BAD_REQUEST),
    (TypeError("missing an argument"), ErrorKind.BAD_REQUEST),
    (NoDatabase(), ErrorKind.NO_DATABASE),
    (ClientUnknown(client="x"), ErrorKind.NO_CLIENT),
    (StoreClosed("the run is over"), ErrorKind.ENDING),
    (DatabaseStalled(where="x", reason="the disk is full"), ErrorKind.DATABASE_UNUSABLE),
    (TablesMissing(where="x"), ErrorKind.DATABASE_UNUSABLE),
    (InputChanged(path="x", lines=1), ErrorKind.BAD_REQUEST),
    (InputDamaged(path="x", number=1, reason="y"), ErrorKind.BAD_REQUEST),
    (RuntimeError("a defect"), ErrorKind.FAILED),
    (OSError(28, "No space left on device"), ErrorKind.FAILED),
]


@pytest.mark.parametrize(("error", "kind"), CASES, ids=lambda each: type(each).__name__)
def test_an_error_has_the_kind_of_its_nearest_class(error, kind):
    """A class that derives from ValueError may say more than that the arguments are wrong."""
    assert kind is kind_of(error)
