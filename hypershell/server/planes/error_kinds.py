"""Which kind an error of a verb has when it travels: the one place that decides it."""

from hypershell.core.errors import ClientUnknown, HyperShellError, SelectionUnknown
from hypershell.store.sql.errors import DatabaseUnusable
from hypershell.store.tasks.errors import NoDatabase, StoreClosed
from hypershell.wire.refusal import ErrorKind

_KINDS: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (NoDatabase, ErrorKind.NO_DATABASE),
    (StoreClosed, ErrorKind.ENDING),
    (SelectionUnknown, ErrorKind.NOT_FOUND),
    (ClientUnknown, ErrorKind.NO_CLIENT),
    (DatabaseUnusable, ErrorKind.DATABASE_UNUSABLE),
    (HyperShellError, ErrorKind.BAD_REQUEST),
    (ValueError, ErrorKind.BAD_REQUEST),
    (TypeError, ErrorKind.BAD_REQUEST),
)
"""The first class that fits decides: the special ones stand before those that they derive from."""


def kind_of(error: Exception) -> ErrorKind:
    """The kind of an error; FAILED for what no verb raises on purpose."""
    return next((kind for known, kind in _KINDS if isinstance(error, known)), ErrorKind.FAILED)
