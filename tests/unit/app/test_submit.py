"""A submission that breaks off."""

import pytest

from hypershell.app.submit import BatchSender
from hypershell.core.errors import SubmitLost
from hypershell.core.submission import SubmitOptions
from hypershell.wire.refusal import CallRefused, ErrorKind


class Stalled:
    """A server that takes one batch, and then has no room for another."""

    def __init__(self) -> None:
        self.batches = 0

    def submit(self, lines, submit_options):
        self.batches += 1
        if self.batches > 1:
            raise CallRefused(ErrorKind.DATABASE_UNUSABLE, "the disk is full")
        return [1, 2]


def test_how_much_was_accepted_is_said():
    """Whoever submits all of it again would have the first ones twice."""
    sender = BatchSender(Stalled(), SubmitOptions())
    accepted = list(sender.send([b"a", b"b"]))

    with pytest.raises(SubmitLost, match=r"after 2 tasks: .*the disk is full"):
        list(sender.send([b"c"]))

    assert [[1, 2]] == accepted
