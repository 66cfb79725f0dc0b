"""The settings of tasks: packed and unpacked, one over the other, and how often they retry."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy, decide
from hypershell.core.setting_values import MAX_RETRIES
from hypershell.core.state import TaskState, may_move
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC, ClientSpecs, TaskSpec, layered, unpack_spec
from hypershell.wire.codec import decode, encode

RETRIES = st.none() | st.integers(0, MAX_RETRIES)
SPECS = st.builds(TaskSpec, max_retries=RETRIES, capture=st.booleans())


@settings(deadline=None)
@given(SPECS)
def test_a_spec_is_the_same_after_its_journey(spec):
    """And the default is packed as nothing, and unpacked as the one default that there is."""
    packed = decode(encode(spec.pack()))

    assert spec == unpack_spec(packed)
    assert (spec == DEFAULT_SPEC) == (packed == "") == (unpack_spec(packed) is DEFAULT_SPEC)


@settings(deadline=None)
@given(st.text(max_size=30) | st.sampled_from(["[]", "{}", '{"capture":2}', "1e999", "[" * 9999]))
def test_a_text_that_is_not_a_spec_is_a_value_error(text):
    """Whatever is in it."""
    try:
        spec = unpack_spec(text)
    except ValueError:
        return

    assert type(spec) is TaskSpec


@settings(deadline=None)
@given(SPECS, SPECS)
def test_a_spec_takes_from_another_only_what_it_leaves_open(own, under):
    """Setting by setting."""
    found = layered(own, under)

    assert (under if own.max_retries is None else own).max_retries == found.max_retries
    assert (own.capture or under.capture) == found.capture


@settings(deadline=None)
@given(SPECS, SPECS)
def test_a_client_is_sent_what_it_needs_and_no_more(own, default):
    """How often a task is tried again is for the server alone to know."""
    specs = ClientSpecs(default)

    sent = unpack_spec(specs.plain if own is DEFAULT_SPEC else specs.of(own))

    assert TaskSpec(capture=own.capture or default.capture) == sent


@settings(deadline=None, max_examples=300)
@given(
    ending=st.sampled_from(Ending),
    code=st.integers(0, 255),
    own=st.none() | st.integers(0, 3),
    failures=st.integers(0, 4),
    losses=st.integers(0, 4),
    policy=st.builds(
        Policy, st.integers(0, 3), st.integers(1, 3), st.booleans(), st.just(DEFAULT_SPEC)
    ),
    stopping=st.booleans(),
)
def test_an_outcome_moves_a_task_by_the_table(
    ending, code, own, failures, losses, policy, stopping
):
    """To a state that may follow, with one more failure or loss at most; never lost, never free."""
    before = Task(1, b"x", 1, 1, 2, failures, losses, spec=TaskSpec(own))

    after, state = decide(before, Outcome(1, 1, ending, code), policy, stopping)

    ok = ending is Ending.EXITED and code == 0
    limit = policy.max_retries if own is None else own
    failed = ending.counts_as is CountsAs.FAILURE and not ok
    lost = ending.counts_as is CountsAs.LOSS
    assert may_move(TaskState.SENT, state)
    assert ok == (state is TaskState.SUCCEEDED)
    assert (failures + failed, losses + lost) == (after.failures, after.losses)
    assert (state is TaskState.FAILED) == (
        (failed and after.failures > limit)
        or (lost and after.losses >= policy.max_lost)
        or ending is Ending.UNFIT
    )
    assert after.attempt - before.attempt == (state is TaskState.WAITING and ending.tried)
    assert before == after._replace(attempt=2, failures=failures, losses=losses)


@pytest.mark.parametrize("code", [1, 255])
def test_a_task_with_settings_of_its_own_heeds_them_before_the_run(code):
    """Also if it is to be tried less often."""
    outcome = Outcome(1, 1, Ending.EXITED, code)
    task = Task(1, b"x", 1, spec=TaskSpec(max_retries=0))

    _, state = decide(task, outcome, Policy(max_retries=5), stopping=False)

    assert TaskState.FAILED is state
