"""A submission that breaks off."""

import pytest

from hypershell.app.submit import BatchSender, _batches
from hypershell.core.errors import SubmitLost
from hypershell.core.submission import SubmitOptions
from hypershell.server.input.lines import LineReader, open_input
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


@pytest.mark.parametrize("wrong", ["timeouts:1 res.licence:x", "group:x", "priority:1.5"])
def test_a_line_with_a_wrong_setting_ends_what_is_submitted(tmp_path, wrong):
    """The lines before it are submitted, and it is named."""
    path = tmp_path / "lines"
    path.write_text(f"one\n# a comment\ntwo # HYPERSHELL: {wrong}\nthree\n")
    reader = LineReader(open_input(str(path)), str(path))

    batches = list(_batches(reader))

    assert [[b"one"]] == batches
    assert "line 3: " in str(reader.error)
