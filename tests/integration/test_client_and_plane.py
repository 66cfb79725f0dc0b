"""A real client against the worker plane: what only the server decides, and what only it sees."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import MAX_CAPTURED, STDERR_TAIL
from tests.helpers.plane import PROMPT, WorkerPlane
from tests.helpers.waiting import stays, until

WAITS = "while [ ! -e go ]; do sleep 0.02; done"


@pytest.fixture
def plane(farm) -> Iterator[Callable[..., WorkerPlane]]:
    """Open a worker plane with this farm's key."""
    planes: list[WorkerPlane] = []

    def make(**settings: Any) -> WorkerPlane:
        planes.append(WorkerPlane(farm.environment["HYPERSHELL_AUTH"], **settings))
        return planes[-1]

    yield make
    for opened in planes:
        opened.end()
    for process in farm.processes:
        process.signal(signal.SIGTERM)
        process.wait()
    for opened in planes:
        opened.die()


def go(farm) -> None:
    """Let tasks end that wait for it."""
    (farm.folder / "go").touch()


def start_and_restart(farm, plane, *commands: str, adopt) -> tuple[WorkerPlane, WorkerPlane]:
    """A client of two slots runs these when its server is killed, and another takes its place."""
    before = plane()
    before.offer(*(f"echo begin >> ran; {command}" for command in commands))
    farm.start_client("-N", 2, port=before.port)
    farm.wait_for_lines("ran", len(commands))
    before.die()
    return before, plane(port=before.port, adopt=adopt)


def test_a_task_goes_on_under_a_server_that_was_started_again(farm, plane):
    """It is begun once, its outcome is the new server's, and more tasks come to the same client."""
    asked = []

    def adopt(client_id, held):
        asked.append((client_id, held))
        return held

    before, after = start_and_restart(farm, plane, f"{WAITS}; echo end >> ran", adopt=adopt)
    client = after.client()
    go(farm)
    (outcome,) = after.wait_for(1)
    after.offer("echo more >> ran", first_id=2)
    after.wait_for(2)

    assert outcome.ok
    assert ["begin", "end", "more"] == farm.read("ran")
    assert [(before.joined[0].client_id, [(1, 1)])] == asked
    assert [before.joined[0].client_id] == [c.client_id for c in after.joined] == [client.id]


def test_an_outcome_that_was_never_accepted_is_given_to_the_next_server(farm, plane):
    """What the killed one was told of it died with it."""
    before = plane()
    before.records.clear()
    before.offer("true")
    farm.start_client(port=before.port)
    until(lambda: before.finished.size() or before.client().giving, PROMPT, "it is given")
    before.die()

    after = plane(port=before.port, adopt=lambda client_id, held: held)

    assert after.wait_for(1)[0].ok


def test_a_task_that_is_not_the_clients_any_more_is_stopped(farm, plane):
    """The server that was started again may have it elsewhere; the slot is used for others."""
    _, after = start_and_restart(
        farm, plane, "exec sleep 300", WAITS, adopt=lambda client_id, held: [(2, 1)]
    )
    until(lambda: len(farm.tasks()) <= 2, PROMPT, "the task is stopped")
    after.offer("true", first_id=3)
    after.wait_for(3)
    go(farm)

    assert after.wait_for(2)[0].ok
    assert not [o for o in after.outcomes if o.task_id == 1]


def test_a_client_that_the_next_server_does_not_know_joins_it_anew(farm, plane):
    """What it runs is stopped first."""
    before, after = start_and_restart(
        farm, plane, "exec sleep 300", adopt=lambda client_id, held: None
    )
    client = after.client()
    until(lambda: not farm.tasks(), PROMPT, "the task is stopped")
    after.offer("true", first_id=2)

    assert after.wait_for(2)[0].ok
    assert client.id != before.joined[0].client_id


def test_a_drained_client_runs_tasks_of_the_next_server(farm, plane):
    """How far the run before was says nothing of this one."""
    before = plane()
    before.offer(f"echo begin >> ran; {WAITS}")
    farm.start_client(port=before.port)
    farm.wait_for_lines("ran", 1)
    before.scheduled.set_phase(before.scheduled.phase.DRAINING)
    known = before.scheduled.phase
    until(lambda: before.client().known_phase is known, PROMPT, "the client knows it")
    before.die()

    after = plane(port=before.port, adopt=lambda client_id, held: held)
    after.client()
    go(farm)
    after.offer("true", first_id=2)

    assert [True, True] == [outcome.ok for outcome in after.wait_for(1, 2)]


def test_a_cancelled_task_is_stopped_and_others_run_on(farm, plane):
    """With all that it left behind, wherever that went; its slot is used again."""
    served = plane(grace=0.5)
    stubborn = "trap '' TERM; (setsid sleep 300 &); echo begin >> ran; while :; do sleep 0.1; done"
    served.offer(stubborn, f"echo begin >> ran; {WAITS}; echo $TASK_SLOT >> slots")
    farm.start_client("-N", 2, port=served.port)
    farm.wait_for_lines("ran", 2)

    assert [] == served.scheduled.cancel([(1, 1)])
    (cancelled,) = served.wait_for(1)
    left = [p for p in farm.tasks() if "300" in _words(p)]
    served.offer("echo $TASK_SLOT >> slots", first_id=3)
    served.wait_for(3)
    go(farm)

    assert Ending.CANCELLED is cancelled.ending
    assert [] == left
    assert served.wait_for(2)[0].ok
    assert ["1", "2"] == sorted(farm.read("slots"))


def test_a_task_that_nobody_has_begun_is_cancelled_at_once(farm, plane):
    """Where it waits at the server it is returned; where at a client, it is never begun."""
    served = plane()
    served.offer(f"echo begin >> ran; {WAITS}")
    farm.start_client(port=served.port)
    farm.wait_for_lines("ran", 1)
    served.offer("echo never >> ran", first_id=2)

    untaken = served.scheduled.cancel([(2, 1)])
    go(farm)

    assert [2] == [task.id for task in untaken]
    assert served.wait_for(1)[0].ok
    assert ["begin"] == farm.read("ran")


def test_a_server_that_cannot_record_for_longer_than_a_lease_loses_nobody(farm, plane):
    """Tasks run on, the client is the same, and each outcome is recorded once."""
    served = plane(lease=1.0, grace=0.2)
    served.records.clear()
    served.offer(f"echo begin >> ran; {WAITS}", "echo begin >> ran; exit 3", first_id=1)
    farm.start_client("-N", 2, port=served.port)
    farm.wait_for_lines("ran", 2)
    client = served.client()

    stays(lambda: not served.registry.wait_for_silent(0.0), 3.0, "the client is heard")
    running = farm.tasks()
    served.records.set()
    (failed,) = served.wait_for(2)
    go(farm)

    assert running
    assert 3 == failed.code
    assert served.wait_for(1)[0].ok
    assert 2 == len(served.outcomes)
    assert [client] == served.registry.clients()
    assert 1 == client.session


def test_a_captured_task_prints_into_its_outcome(farm, plane):
    """Both outputs apart, byte for byte, of a task that succeeded as of one that failed."""
    served = plane()
    served.offer(r"printf 'out\0\377'; printf err >&2", "echo no; exit 3", captured=True)
    client = farm.start_client("-N", 2, port=served.port)

    good, bad = served.wait_for(1, 2)

    assert (b"out\0\xff", b"err", 0) == (good.out, good.err, good.code)
    assert (b"no\n", b"", 3) == (bad.out, bad.err, bad.code)
    assert b"" == client.out


def test_what_is_captured_has_a_bound_and_no_task_waits_for_it(farm, plane):
    """The first bytes are kept; twenty such outcomes are more than one frame holds."""
    served = plane()
    size = 4 * MAX_CAPTURED
    served.offer(
        *[f"head -c {size} /dev/zero | tee /dev/stderr; exit 1"] * 40, captured=True, first_id=1
    )
    farm.start_client("-N", 8, port=served.port)

    outcomes = served.wait_for(*range(1, 41), seconds=60.0)

    assert {(MAX_CAPTURED, MAX_CAPTURED, 1)} == {(len(o.out), len(o.err), o.code) for o in outcomes}
    assert 1 == served.client().session


def test_what_a_captured_task_leaves_behind_hurts_nobody(farm, plane):
    """It prints on, unheard: not into the answer of the next one, and it is not killed by it."""
    served = plane()
    left = f"({WAITS}; echo late; echo late >> ran) & echo mine"
    served.offer(left, "echo next", captured=True)
    farm.start_client(port=served.port)
    first, second = served.wait_for(1, 2)

    go(farm)
    farm.wait_for_lines("ran", 1)
    served.offer("echo last", first_id=3, captured=True)
    (third,) = served.wait_for(3)

    assert [b"mine\n", b"next\n", b"last\n"] == [o.out for o in (first, second, third)]


def test_a_failed_attempt_comes_with_the_end_of_its_errors(farm, plane):
    """Its own, and none of a task that succeeded; they are printed all the same."""
    served = plane()
    served.offer(
        "echo fine >&2",
        "echo out; echo no such thing >&2; exit 1",
        f"head -c {3 * STDERR_TAIL} /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1",
        "exit 1",
    )
    client = farm.start_client(port=served.port)

    fine, short, long, silent = served.wait_for(1, 2, 3, 4)

    assert [b"", b"no such thing\n", b""] == [fine.err, short.err, silent.err]
    assert b"x" * (STDERR_TAIL - 4) + b"end\n" == long.err
    assert {b""} == {o.out for o in served.outcomes}
    assert "no such thing" in client.err


def test_where_both_outputs_are_one_the_end_of_both_is_told(farm, plane):
    """They share a pipe, so that their order is kept."""
    served = plane()
    served.offer("echo out; echo err >&2; exit 1")
    both = (farm.folder / "both").open("wb")

    with both:
        farm.start_client(port=served.port, stdout=both, stderr=both)

    assert b"out\nerr\n" == served.wait_for(1)[0].err


def test_a_client_says_once_that_it_leaves(farm, plane):
    """However often Ctrl-C is pressed."""
    served = plane()
    served.offer("echo begin >> ran; exec sleep 300")
    client = farm.start_client("-v", port=served.port)
    farm.wait_for_lines("ran", 1)

    client.press_ctrl_c()
    client.expect("interrupted")
    client.expect("leaving")
    client.signal(signal.SIGTERM)
    client.wait()

    assert 1 == client.err.count("leaving:")


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
