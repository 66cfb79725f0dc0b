"""Lines from a pipe, for any bytes in any pieces: what `bytes.split` says."""

import os
import socket

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypershell.core.errors import InputDamaged
from hypershell.server.input.lines import LineReader

PIECES = st.lists(
    st.binary(min_size=1, max_size=20).map(lambda b: b.replace(b"a", b"\n")), max_size=12
)


def read_all(pieces: list[bytes]) -> tuple[list[tuple[int, bytes]], LineReader]:
    """All lines of an input that comes in these pieces, each read before the next is written."""
    # A socket that keeps messages apart, so that each read gets one piece.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader = LineReader(os.dup(ours.fileno()), "-")
    lines = []
    with ours, theirs:
        for piece in pieces:
            theirs.send(piece)
            lines += reader.read(0)
            if reader.ended:
                break
        theirs.shutdown(socket.SHUT_WR)
        while not reader.ended:
            lines += reader.read(0)
    reader.close()
    return lines, reader


@settings(deadline=None)
@given(PIECES)
@example([b"\xef\xbb", b"\xbfx\r", b"\n"])
@example([b"\xef\xbb\xbf"])
@example([b"x\r"])
def test_lines_are_what_split_says_however_they_come(pieces):
    """Without what Windows adds; up to a NUL byte, which no command can hold: that line is named,
    and ends the input.
    """
    whole = b"".join(pieces)
    raw = whole.split(b"\n")
    if not raw[-1]:
        raw.pop()
    expected = [line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r") for line in raw]
    good = next((n for n, line in enumerate(expected) if b"\0" in line), len(expected))

    lines, reader = read_all(pieces)

    assert list(enumerate(expected[:good], 1)) == lines
    if good == len(expected):
        assert reader.error is None
        assert len(expected) == reader.lines_read
    else:
        assert isinstance(reader.error, InputDamaged)
        assert good + 1 == reader.error.facts["number"]
