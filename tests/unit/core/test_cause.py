"""Which failures count as alike."""

import pytest

from hypershell.core.cause import digest, normalised, signature
from hypershell.core.ending import Ending

ALIKE = {
    "numbers": (b"bad value 17 in row 3.5e-7", b"bad value 4 in row 12"),
    "paths": (b"cannot open /data/a/17.txt: no", b"cannot open ~/b: no"),
    "relative paths": (b"cannot open runs/17/x", b"cannot open runs/4/y/z"),
    "addresses": (b"object at 0x7fde12 died", b"object at 0x55aa died"),
    "hosts": (b"connect to 10.0.0.7:8080 failed", b"connect to 192.168.1.12:9 failed"),
    "times": (b"2026-11-24 03:04:05,123 ERROR x", b"2025-01-02T23:59:59Z ERROR x"),
    "uuids": (
        b"run 6f1c2c1e-0000-4000-8000-0123456789ab",
        b"run 00000000-aaaa-4bbb-8ccc-ba9876543210",
    ),
    "hashes": (b"commit 0a1b2c3d4e", b"commit 9f8e7d6c5b4a"),
    "colours": (b"\x1b[31mbad\x1b[0m", b"bad"),
    "what was printed before": (b"a\nb\nc\nd\nlast", b"x\nb\nc\nd\nlast"),
    "blanks": (b"bad   value\n\n", b"bad value"),
}


@pytest.mark.parametrize(("one", "other"), ALIKE.values(), ids=ALIKE)
def test_what_differs_from_run_to_run_does_not_part_causes(one: bytes, other: bytes) -> None:
    """The same words in the last lines are the same cause."""
    last = [signature(Ending.EXITED, 1, err).splitlines()[-1] for err in (one, other)]

    assert last[0] == last[1]


DIFFERENT = {
    "the words": ((Ending.EXITED, 1, b"no space"), (Ending.EXITED, 1, b"no memory")),
    "the status": ((Ending.EXITED, 1, b"x"), (Ending.EXITED, 2, b"x")),
    "the signal": ((Ending.SIGNALED, 9, b""), (Ending.SIGNALED, 11, b"")),
    "status and signal": ((Ending.EXITED, 9, b""), (Ending.SIGNALED, 9, b"")),
    "a lost client": ((Ending.LOST, 0, b""), (Ending.UNSTARTABLE, 0, b"")),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_causes_that_say_something_else_are_told_apart(
    one: tuple[Ending, int, bytes], other: tuple[Ending, int, bytes]
) -> None:
    """In how the task ended, or in words."""
    assert digest(signature(*one)) != digest(signature(*other))


def test_any_bytes_have_a_signature_that_can_be_stored() -> None:
    """No NUL, nothing undecodable, and short however much was printed."""
    text = signature(Ending.EXITED, 1, b"\xff\0\xfe" + b"x" * 10_000 + b"\n" + bytes(range(256)))

    assert "\0" not in text
    assert text.encode()
    assert len(text) < 1200


def test_only_the_last_lines_count() -> None:
    """The first of them says what the task did, the last why it ended."""
    assert ["three", "four", "five"] == normalised(b"one\ntwo\nthree\n\nfour\nfive\n")
