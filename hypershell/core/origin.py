"""Where a run or a submission was made, and where its tasks are to run."""

from typing import NamedTuple


class Origin(NamedTuple):
    """The directory in which somebody made a run or a submission, b"" if nobody knows, and the
    setting `cwd` of its tasks; None if there is neither.
    """

    made_in: bytes = b""
    cwd: str | None = None


UNKNOWN = Origin()
