"""What several slots print at once, however it is mixed: no line is torn, and none is lost."""

import os
import select
import tempfile
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.client.tasks import output as output_module
from hypershell.client.tasks.output import Output

SLOTS = 3
PIECES = st.one_of(
    st.binary(max_size=12).map(lambda data: data.replace(b"a", b"\n")),
    st.sampled_from([b"\n", b"x\n", b"\n\n"]),
    st.tuples(st.sampled_from([b"", b"\n"]), st.integers(1, 300)).map(
        lambda made: b"y" * made[1] + made[0]
    ),
)
WRITES = st.lists(
    st.tuples(
        st.integers(1, SLOTS),  # who
        st.integers(0, 1),  # to which of its two outputs
        PIECES,
        st.booleans(),  # whether the client looks now
        st.booleans(),  # whether the task ends now
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=80)
@given(WRITES, st.booleans())
def test_no_line_is_torn_and_none_is_lost(writes, together):
    """Each slot marks its lines; a line is what one task printed, and each slot keeps its order."""
    before = output_module.MAX_IN_MEMORY
    output_module.MAX_IN_MEMORY = 200  # so that long lines go through a file
    try:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            ends = [out.fileno(), (out if together else err).fileno()]
            expected = print_all(writes, ends, together)
            printed = [read(out), b"" if together else read(err)]
    finally:
        output_module.MAX_IN_MEMORY = before

    for end, data in enumerate(printed):
        assert data.endswith(b"\n") or not data
        lines = data.split(b"\n")[:-1]
        assert Counter(line for (_, to), own in expected.items() if to == end for line in own) == (
            Counter(lines)
        )
        for (slot, to), own in expected.items():
            if to == end:
                mark = b"%d:" % slot
                assert [line for line in own if line.startswith(mark)] == [
                    line for line in lines if line.startswith(mark)
                ]


def print_all(writes, ends, together) -> dict[tuple[int, int], list[bytes]]:
    """Have all this printed; the lines that each slot printed to each output, in its order."""
    output = Output(*ends, SLOTS, lambda: False)
    texts: dict[tuple[int, int], bytes] = {}
    for slot, end, piece, looks, is_over in writes:
        key = (slot, 0 if together else end)
        text = texts.get(key, b"")
        # Each line is marked at its start by who printed it.
        mark = b"%d:" % slot
        marked = piece.replace(b"\n", b"\n" + mark)
        if text == b"" or text.endswith(b"\n"):
            marked = mark + marked
        if marked.endswith(b"\n" + mark):
            marked = marked[: -len(mark)]
        texts[key] = text + marked
        os.write(output.ends(slot)[end], marked)
        if looks or is_over:
            look(output)
        if is_over:
            output.finish(slot)
            for to in (0, 1):
                if (text := texts.get((slot, to), b"")) and not text.endswith(b"\n"):
                    texts[slot, to] = text + b"\n"
    look(output)
    for slot in range(1, SLOTS + 1):
        output.finish(slot)
    output.close()
    return {key: text.removesuffix(b"\n").split(b"\n") for key, text in texts.items() if text}


def look(output: Output) -> None:
    """What the executor does when pipes have something."""
    for descriptor in output.streams:
        if select.select([descriptor], [], [], 0)[0]:
            output.forward(descriptor)


def read(file) -> bytes:
    """All of a file."""
    file.seek(0)
    return file.read()
