"""What the codec lets through, and what it does not."""

import pickle
import subprocess
import sys

import msgpack
import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.wire.codec import WireError, decode, encode
from hypershell.wire.refusal import CallRefused, ErrorKind


class Bomb:
    """What runs code in whoever unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('the bomb went off')",))


def test_a_record_is_sent_as_a_list():
    """A named tuple needs no packing of its own."""
    outcome = Outcome(1, 2, Ending.SIGNALED, 9)

    assert list(outcome) == decode(encode(outcome))


def test_a_list_of_records_is_sent_as_lists():
    """As an answer with claims is."""
    assert [[1, 1, 1, b"\xff", "", 0]] == decode(encode([Claim(1, 1, 1, b"\xff")]))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_bomb_is_refused(protocol):
    """A pickle is not a value here: nothing in it is looked at."""
    with pytest.raises(WireError):
        decode(pickle.dumps(Bomb(), protocol))


def test_an_unknown_tag_is_refused():
    """The tags are a closed list as well."""
    with pytest.raises(WireError, match="tag"):
        decode(msgpack.packb(msgpack.ExtType(9, encode("x"))))


@pytest.mark.parametrize("content", ["x", ["a"], [1, 2, 3], ["bad request", 1], [1, "y"]])
@pytest.mark.parametrize("tag", [1, 2])
def test_a_known_tag_with_other_content_is_refused(tag, content):
    """A token has three parts, a refusal a kind and a text."""
    with pytest.raises(WireError, match="tag"):
        decode(msgpack.packb(msgpack.ExtType(tag, encode(content))))


def test_a_refusal_of_a_kind_that_a_later_release_has_is_a_refusal():
    """Its text is shown; taken for a broken connection, the call would be made again for ever."""
    refused = decode(msgpack.packb(msgpack.ExtType(2, encode(["quota exceeded", "too many"]))))

    assert (CallRefused, ErrorKind.FAILED) == (type(refused), refused.kind)
    assert "too many" == str(refused)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit("x"), OSError(28, "x")])
def test_an_exception_is_not_sent(error):
    """What a server refuses has a kind of a closed list; no class is looked up by its name."""
    with pytest.raises(WireError, match="not a type that can be sent"):
        encode(error)


@pytest.mark.parametrize(
    "data", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
)
def test_a_length_beyond_the_frame_is_refused(data):
    """Nothing of that size is made: a list, a dict, bytes."""
    with pytest.raises(WireError):
        decode(data)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa0"])
def test_endless_nesting_is_refused(opening):
    """As a value that is none, not as an error of ours."""
    with pytest.raises(WireError):
        decode(opening * 100_000 + b"\xc0")


def test_nested_tags_do_not_end_the_process():
    """Connections are served by threads with small stacks."""
    program = """if True:
        import threading
        import msgpack
        from hypershell.wire.codec import WireError, decode
        from hypershell.wire.plane_server import _STACK_BYTES
        data = b"\\xc0"
        for _ in range(1000):
            data = msgpack.packb(msgpack.ExtType(2, data))
        def peer():
            try:
                decode(data)
            except WireError:
                print("refused")
        threading.stack_size(_STACK_BYTES)
        thread = threading.Thread(target=peer)
        thread.start()
        thread.join()
    """

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert (0, b"refused\n") == (result.returncode, result.stdout)
