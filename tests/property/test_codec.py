"""The codec, for any value and any bytes: what is sent arrives, and nothing else gets in."""

from multiprocessing.managers import Token

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.wire.codec import WireError, decode, encode
from hypershell.wire.refusal import CallRefused, ErrorKind

TEXTS = st.one_of(
    st.text(max_size=30), st.binary(max_size=30).map(lambda b: b.decode("utf-8", "surrogateescape"))
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    TEXTS,
    st.binary(max_size=30),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=25,
)
FOREIGN = st.one_of(
    st.complex_numbers(),
    st.sets(st.integers(), min_size=1),
    st.integers(min_value=2**64),
    st.integers(max_value=-(2**63) - 1),
    st.builds(object),
    st.just(print),
    st.just(int),
)


@settings(deadline=None)
@given(VALUES)
def test_a_value_of_the_closed_set_arrives_as_it_was_sent(value):
    """Surrogates, which stand for bytes of no encoding, and all nesting included."""
    again = decode(encode(value))

    assert value == again
    assert repr(value) == repr(again)


@settings(deadline=None)
@given(FOREIGN, st.integers(0, 3))
def test_anything_else_is_refused_where_it_is_sent(value, depth):
    """However deep it is hidden."""
    for _ in range(depth):
        value = [value]

    with pytest.raises(WireError):
        encode(value)


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.binary(max_size=60), VALUES.map(encode)), st.data())
def test_no_bytes_raise_anything_but_a_wire_error(data, draw):
    """Made up, cut off, with a byte changed, or with more behind them."""
    damage = draw.draw(st.sampled_from(["none", "cut", "flip", "append"]))
    position = draw.draw(st.integers(0, max(len(data) - 1, 0)))
    match damage:
        case "cut":
            data = data[:position]
        case "flip":
            byte = draw.draw(st.binary(min_size=1, max_size=1))
            data = data[:position] + byte + data[position + 1 :]
        case "append":
            data += draw.draw(st.binary(min_size=1, max_size=3))

    try:
        decode(data)
    except WireError:
        pass


@settings(deadline=None)
@given(TEXTS, st.one_of(TEXTS, st.tuples(TEXTS, st.integers(0, 65535))), TEXTS)
def test_a_token_arrives_whole(typeid, address, ident):
    """The address of a socket is a tuple again."""
    again = decode(encode(Token(typeid, address, ident)))

    assert (typeid, address, ident) == (again.typeid, again.address, again.id)


@settings(deadline=None)
@given(st.sampled_from(ErrorKind), TEXTS)
def test_a_refusal_arrives_with_its_kind(kind, text):
    """And with its text."""
    again = decode(encode(CallRefused(kind, text)))

    assert (CallRefused, kind, text) == (type(again), again.kind, str(again))


@settings(deadline=None)
@given(st.sampled_from([AttributeError, OSError, RuntimeError, ValueError]), TEXTS)
def test_no_other_exception_is_sent(kind, text):
    """A class that came from a peer by its name would be code to run."""
    with pytest.raises(WireError):
        encode(kind(text))
