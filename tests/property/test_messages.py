"""The records of the worker plane: they arrive as they were, and garbage is a ValueError."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec
from hypershell.wire.codec import decode, encode
from hypershell.wire.worker_messages import (
    Answer,
    Hello,
    Phase,
    Welcome,
    pack_answer,
    pack_hello,
    pack_welcome,
    unpack_answer,
    unpack_begun,
    unpack_hello,
    unpack_outcome,
    unpack_welcome,
)

IDS = st.integers(0, 2**63)
PAIRS = st.lists(st.tuples(IDS, IDS), max_size=5).map(tuple)
TEXTS = st.text(max_size=40)
SECONDS = st.floats(0, 1e10)
HELD = st.lists(st.tuples(IDS, IDS, st.booleans()), max_size=5).map(tuple)
HOSTS = st.from_regex(r"[ -~]{0,255}", fullmatch=True)
PIDS = st.integers(0, 2**31 - 1)
HELLOS = st.builds(
    Hello, host=HOSTS, pid=PIDS, slots=st.integers(1, 100_000), client_id=TEXTS, held=HELD
)
WELCOMES = st.builds(Welcome, TEXTS, IDS, SECONDS, SECONDS, PAIRS)
SPECS = st.sampled_from(["", TaskSpec(2).pack(), TaskSpec(capture=True).pack()])
CLAIMS = st.builds(Claim, IDS, IDS, IDS, st.binary(max_size=40), SPECS, IDS)
ANSWERS = st.builds(
    Answer,
    st.booleans(),
    st.sampled_from(Phase),
    st.lists(CLAIMS, max_size=5),
    PAIRS,
    st.booleans(),
)
CLIENTS_ENDINGS = st.sampled_from([e for e in Ending if e.reported])
OUTCOMES = st.builds(
    Outcome,
    task_id=IDS,
    lease=IDS,
    ending=CLIENTS_ENDINGS,
    code=st.integers(0, 255),
    reason=TEXTS.filter(str.isprintable),
    started_at=SECONDS,
    seconds=SECONDS,
    user_seconds=SECONDS,
    system_seconds=SECONDS,
    peak_kib=st.integers(0, 2**50),
    slot=st.integers(0, 100_000),
    pid=PIDS,
    out=st.binary(max_size=40),
    err=st.binary(max_size=40),
)
BEGUN = st.builds(Begun, IDS, IDS, SECONDS, slot=st.integers(0, 100_000), pid=PIDS)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**63), st.floats(), TEXTS, st.binary(max_size=9)
)
GARBAGE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=11), st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=15,
)


def by_wire(packed):
    """What arrives of it."""
    return decode(encode(packed))


@settings(deadline=None)
@given(HELLOS)
def test_a_greeting_arrives_as_it_was(hello):
    """With all that the client holds."""
    assert hello == unpack_hello(by_wire(pack_hello(hello)))


@settings(deadline=None)
@given(WELCOMES)
def test_a_welcome_arrives_as_it_was(welcome):
    """With all that the client must drop."""
    assert welcome == unpack_welcome(by_wire(pack_welcome(welcome)))


@settings(deadline=None)
@given(ANSWERS)
def test_an_answer_arrives_as_it_was(answer):
    """Commands are bytes, whatever is in them."""
    assert answer == unpack_answer(by_wire(pack_answer(answer)))


@settings(deadline=None)
@given(OUTCOMES)
def test_an_outcome_arrives_as_it_was(outcome):
    """Its ending is one again, and no bare number."""
    again = unpack_outcome(by_wire(outcome))

    assert outcome == again
    assert outcome.ending is again.ending


@settings(deadline=None)
@given(BEGUN)
def test_a_task_that_has_begun_arrives_as_it_was(begun):
    """With where it runs, and since when."""
    assert begun == unpack_begun(by_wire(begun))


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(
        [
            (unpack_hello, Hello),
            (unpack_welcome, Welcome),
            (unpack_answer, Answer),
            (unpack_outcome, Outcome),
            (unpack_begun, Begun),
        ]
    ),
    st.one_of(
        st.lists(GARBAGE, max_size=12),
        st.one_of(HELLOS.map(pack_hello), WELCOMES.map(pack_welcome), ANSWERS.map(pack_answer)),
        st.one_of(OUTCOMES, BEGUN),
    ),
    st.data(),
)
def test_garbage_is_a_value_error(kind, packed, draw):
    """Another record, or one of the right length with a field that is wrong."""
    unpack, record_type = kind
    packed = by_wire(packed)
    if packed:
        packed[draw.draw(st.integers(0, len(packed) - 1))] = draw.draw(GARBAGE)

    try:
        record = unpack(packed)
    except ValueError:
        return

    assert record_type is type(record)


@settings(deadline=None)
@given(st.lists(SCALARS, max_size=12))
def test_what_is_no_outcome_is_never_taken_for_one(packed):
    """A bool is no number, nor is a whole number a time."""
    with pytest.raises(ValueError, match="not an outcome"):
        unpack_outcome(packed)
