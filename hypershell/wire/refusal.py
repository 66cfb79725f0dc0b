"""What a server answers to a call that it does not carry out: a kind and a text.

The kind travels and decides what the caller raises; the text is for people, and nobody searches it.
"""

from enum import Enum


class ErrorKind(Enum):
    """Why a call was refused. The values travel: they never change, and what a later release adds
    is taken for FAILED.
    """

    BAD_REQUEST = "bad request"  # the arguments are not what the verb takes
    NO_SUCH_VERB = "no such verb"
    NOT_FOUND = "not found"  # it names a run that does not exist; the text says which
    NO_CLIENT = "no client"  # it names a client that is not connected
    NO_DATABASE = "no database"  # the server keeps none that could answer
    ENDING = "ending"  # the run is over, or about to be
    DATABASE_UNUSABLE = "database unusable"  # the task database cannot be read or written
    FAILED = "failed"  # a defect; the log of the server has its traceback


class CallRefused(Exception):
    """A call was refused. `kind` says why, and `str` says it in words."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        self.kind = kind
        super().__init__(text)


def kind_of_argument(error: Exception) -> ErrorKind:
    """The kind of an error of an object that checks its arguments, and does nothing else."""
    return ErrorKind.BAD_REQUEST if isinstance(error, ValueError | TypeError) else ErrorKind.FAILED
