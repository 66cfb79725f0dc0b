"""The executor: it fills the slots, reaps what ends, and stops what must be stopped."""

import contextlib
import os
import signal
import time

import psutil
import pytest

from hypershell.client.tasks.output import MAX_LEFT
from hypershell.client.tasks.spawn import Child
from hypershell.client.tasks.watch import PidfdWatch, SignalWatch, best_watch
from hypershell.core.ending import Ending
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime.procfs import live_sessions
from tests.helpers.waiting import until
from tests.unit.client.conftest import PROMPT, state_of

CAPTURE = TaskSpec(capture=True).pack()


def codes(outcomes):
    """How tasks ended, in short."""
    return [(o.ending, o.code) for o in outcomes]


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def test_every_end_is_reported_alike_on_either_watch(make_bench, watch):
    """A status, a signal, a command that is not there, one that cannot be executed."""
    bench = make_bench(watch)

    outcomes = bench.run(b"true", b"exit 3", b"kill -9 $$", b"no-such-command", b"/etc/passwd")

    assert [
        (Ending.EXITED, 0),
        (Ending.EXITED, 3),
        (Ending.SIGNALED, 9),
        (Ending.EXITED, 127),
        (Ending.EXITED, 126),
    ] == codes(outcomes)


def test_many_short_tasks_all_end_on_either_watch(make_bench, watch):
    """None is missed, however many end at once."""
    bench = make_bench(watch, slots=8)

    outcomes = bench.run(*[b"exit %d" % (n % 7) for n in range(200)])

    assert [n % 7 for n in range(200)] == [o.code for o in outcomes]


def test_all_that_a_task_printed_is_there_when_it_has_ended(make_bench, watch):
    """On either watch, to the right one of its two outputs."""
    bench = make_bench(watch)

    bench.run(*[b"echo out %d; echo err %d >&2" % (n, n) for n in range(50)])

    assert {b"out %d" % n for n in range(50)} == set(bench.out.splitlines())
    assert {b"err %d" % n for n in range(50)} == set(bench.err.splitlines())


def test_no_more_tasks_run_than_there_are_slots(bench):
    """The others wait in the buffer."""
    bench.claim(*[b"sleep 60"] * 5)
    bench.watch.wake()

    bench.executor.one_pass()

    assert 2 == len(bench.executor.running())
    assert 5 == len(bench.buffer.held())


def test_each_task_has_a_slot_to_itself(bench):
    """Numbered from 1, and used again when it is free."""
    outcomes = bench.run(*[b"echo $TASK_SLOT"] * 6)

    assert {1, 2} >= {o.slot for o in outcomes}
    assert sorted(bench.out.split()) == sorted(b"%d" % o.slot for o in outcomes)


def test_an_executor_with_nothing_to_do_is_silent(bench):
    """A pass ends because it was woken, and nothing comes of it."""
    bench.watch.wake()

    assert bench.executor.one_pass()
    assert bench.buffer.held() == ()


def test_tasks_are_given_a_moment_to_end_when_they_are_stopped(bench):
    """TERM to begin with: one that cleans up has done so."""
    bench.claim(b"trap 'echo bye; exit 0' TERM; echo here; while :; do sleep 0.01; done")
    bench.passes_until(lambda: b"here" in bench.out)

    bench.stop()
    outcome = bench.passes_until_ended(1)[0]

    assert b"here\nbye\n" == bench.out
    assert Ending.INTERRUPTED is outcome.ending


def test_a_task_that_does_not_heed_term_is_killed_after_the_grace(make_bench, watch):
    """With all of its session, on either watch."""
    bench = make_bench(watch, grace=0.2)
    bench.claim(b"trap '' TERM; echo here; while :; do sleep 60; done")
    bench.passes_until(lambda: b"here" in bench.out)
    begin = time.monotonic()

    bench.stop()
    outcome = bench.passes_until_ended(1)[0]

    assert Ending.INTERRUPTED is outcome.ending
    assert time.monotonic() - begin >= 0.2


def test_the_children_of_a_task_end_with_it(bench):
    """Also those that it left in the background and that outlive their parent."""
    bench.claim(b"sleep 60 & echo $!; wait")
    bench.passes_until(lambda: b"\n" in bench.out)
    child = int(bench.out)

    bench.stop()
    bench.passes_until_ended(1)

    until(lambda: state_of(child) in ("", "Z"), PROMPT, "the child has ended")


def test_a_leader_is_not_reaped_while_its_session_lives(make_bench):
    """Its number is what the session is known by: one that ignores TERM meets KILL."""
    bench = make_bench(best_watch(), grace=0.3)
    bench.claim(b"(trap '' TERM; echo here; while :; do sleep 60; done) & echo $!; wait")
    bench.passes_until(lambda: bench.out.count(b"\n") == 2)
    leader = bench.executor.running()[0].pid
    stubborn = next(int(word) for word in bench.out.split() if word.isdigit())

    bench.stop()
    bench.passes_until(lambda: state_of(leader) == "Z")

    assert state_of(stubborn) not in ("", "Z")
    bench.passes_until_ended(1)
    until(lambda: state_of(stubborn) in ("", "Z"), PROMPT, "the stubborn one has ended")


TIMED = "timeout 60 sh -c 'trap \"\" TERM; echo $$; while :; do sleep 60; done'"
"""A command in a group of its own, which shows its number and does not heed SIGTERM."""


@pytest.mark.parametrize("how", ["stop", "cancel", "time limit"])
def test_a_command_in_a_group_of_its_own_ends_with_its_task(make_bench, watch, how):
    """However the task is ended: what is stopped and killed is its session. It hides its mark."""
    bench = make_bench(watch, grace=0.2)
    spec = TaskSpec(timeout=0.5) if how == "time limit" else TaskSpec()
    command = f"env -i PATH=$PATH {TIMED}; exit 5".encode()
    bench.buffer.put_claims([Claim(1, 1, 1, command, packed_spec=spec.pack())])
    bench.passes_until(lambda: b"\n" in bench.out)

    if how == "stop":
        bench.stop()
    elif how == "cancel":
        bench.orders.cancel([(1, 1)])
    bench.passes_until_ended(1)

    assert state_of(int(bench.out)) in ("", "Z")


def test_a_command_in_a_group_of_its_own_is_asked_to_end(bench):
    """It has its grace, as the shell above it has."""
    bench.claim(
        b'trap : TERM; timeout 60 sh -c \'trap "echo bye; exit" TERM; echo here; '
        b"while :; do sleep 0.05; done'; :"
    )
    bench.passes_until(lambda: b"here" in bench.out)

    bench.stop()
    bench.passes_until_ended(1)

    assert b"here\nbye\n" == bench.out


def test_a_task_that_is_stopped_by_a_signal_can_still_be_ended(bench):
    """It is woken to see that it is to end."""
    bench.claim(b"echo here; kill -STOP $$; sleep 60")
    bench.passes_until(lambda: b"here" in bench.out)
    leader = bench.executor.running()[0].pid
    until(lambda: state_of(leader) == "T", PROMPT, "the task is stopped")
    begin = time.monotonic()

    bench.stop()
    bench.passes_until_ended(1)

    assert time.monotonic() - begin < 4.0


def test_what_ended_by_itself_before_the_stop_keeps_its_outcome(bench):
    """Its outcome is its own."""
    bench.claim(b"sleep 0.05; exit 3")
    bench.watch.wake()
    bench.executor.one_pass()
    child = bench.executor.running()[0]
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    bench.stop()
    outcomes = bench.passes_until_ended(1)

    assert [(Ending.EXITED, 3)] == codes(outcomes)


def test_nothing_is_started_after_a_stop(bench):
    """What comes to the buffer stays there."""
    bench.stop()
    bench.claim(b"echo never")

    bench.executor.one_pass()

    assert not bench.executor.running()
    assert b"" == bench.out


def test_a_task_that_cannot_be_started_is_an_outcome(bench, monkeypatch):
    """With the reason; its slot is free again, and the next one runs."""
    real = bench.processes.spawn

    def spawn(claim, *rest: object):
        if claim.task_id == 1:
            raise PermissionError(1, "Operation not permitted")
        return real(claim, *rest)

    monkeypatch.setattr(bench.processes, "spawn", spawn)

    outcomes = bench.run(b"never", b"true", b"true")

    assert [Ending.UNSTARTABLE, Ending.EXITED, Ending.EXITED] == [o.ending for o in outcomes]
    assert "operation not permitted" == outcomes[0].reason


def test_a_machine_that_is_short_of_processes_is_waited_for(bench, monkeypatch):
    """The task is started when there is room again, and it is not a failure."""
    real = bench.processes.spawn
    refusals = [BlockingIOError(11, "Resource temporarily unavailable")] * 3

    def spawn(*arguments: object):
        if refusals:
            raise refusals.pop()
        return real(*arguments)

    monkeypatch.setattr(bench.processes, "spawn", spawn)

    outcomes = bench.run(b"true", b"exit 2")

    assert [0, 2] == [o.code for o in outcomes]
    assert not refusals


def test_a_child_that_cannot_be_watched_does_not_run(bench, monkeypatch):
    """Without a pidfd nobody would see it end: it is killed, and tried again."""
    real = bench.watch.add
    refused = []

    def add(child):
        if not refused:
            refused.append(child)
            raise OSError(24, "Too many open files")
        real(child)

    monkeypatch.setattr(bench.watch, "add", add)

    outcomes = bench.run(b"sleep 0.05")

    assert [0] == [o.code for o in outcomes]
    assert "" == state_of(refused[0].pid)


def test_output_that_cannot_be_written_stops_no_task(bench, caplog):
    """It is said once; what was to be printed is lost."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, bench._ends[0])
    os.close(full)

    outcomes = bench.run(b"echo lost", b"echo lost too", b"echo >&2 kept")

    assert [0, 0, 0] == [o.code for o in outcomes]
    assert b"kept\n" == bench.err
    assert 1 == caplog.text.count("no space left on device")


@pytest.mark.parametrize("kind", [PidfdWatch, SignalWatch])
def test_a_wake_from_anywhere_ends_a_wait(kind):
    """Once; the next wait is a new one."""
    watch = kind()
    watch.wake()

    assert ([], []) == watch.wait(PROMPT)
    begin = time.monotonic()
    assert ([], []) == watch.wait(0.05)
    assert time.monotonic() - begin >= 0.04
    watch.close()


def test_an_ended_child_is_reported_until_it_is_removed(watch, spawn):
    """On either watch; it is not reaped by that."""
    child = spawn(b"true")
    watch.add(child)

    ended: list[Child] = []
    while not ended:
        ended, _ = watch.wait(PROMPT)
    again, _ = watch.wait(0)
    watch.remove(child)

    assert [child] == ended == again
    assert ([], []) == watch.wait(0)
    assert "Z" == state_of(child.pid)
    watch.close()


def test_a_child_that_ended_before_it_was_watched_is_reported(watch, spawn):
    """No signal comes for it any more."""
    child = spawn(b"true")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    watch.add(child)

    assert [child] == watch.wait(PROMPT)[0]
    watch.remove(child)
    watch.close()


class FullEpoll:
    """A set that takes no more, as when its user watches more than the system allows."""

    def __init__(self, real: object) -> None:
        self.close = real.close

    def register(self, descriptor: int, events: int) -> None:
        """Refuse."""
        raise OSError(28, "No space left on device")


def test_a_child_that_the_system_does_not_let_be_watched_leaves_no_descriptor(spawn):
    """It is killed, and what comes next may be watched again."""
    watch = PidfdWatch()
    child = spawn(b"true")
    watch._epoll = FullEpoll(watch._epoll)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(OSError, match="No space"):
        watch.add(child)

    assert before == os.listdir("/proc/self/fd")
    watch.close()


def test_children_of_others_are_left_to_them(make_bench, signal_watch):
    """SIGCHLD is for all children of the process: only tasks are reaped."""
    bench = make_bench(signal_watch)
    stranger = os.posix_spawn("/bin/true", ["true"], {})

    bench.run(b"sleep 0.01")

    assert stranger == os.waitpid(stranger, 0)[0]
    assert signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL


def test_a_stale_claim_keeps_its_own_lease(bench):
    """An outcome answers to the lease under which its task was started."""
    bench.buffer.put_claims([Claim(9, 4, 2, b"true")])

    outcome = bench.passes_until_ended(1)[0]

    assert (9, 4) == (outcome.task_id, outcome.lease)


def test_tasks_run_again_after_a_stop_that_is_over(bench):
    """The client has joined another run."""
    bench.claim(b"sleep 60")
    bench.watch.wake()
    bench.executor.one_pass()
    bench.stop()
    bench.passes_until_ended(1)

    bench.orders.resume()

    assert [(Ending.EXITED, 3)] == codes(bench.run(b"sleep 0.1; exit 3"))


def test_a_stop_may_be_taken_back_at_any_moment(bench, monkeypatch):
    """Nothing ran, so there was nothing to wait for."""
    real = bench.watch.wait

    def wait(timeout):
        bench.orders.resume()
        return real(timeout)

    bench.stop()
    with monkeypatch.context() as patch:
        patch.setattr(bench.watch, "wait", wait)
        bench.executor.one_pass()

    assert [(Ending.EXITED, 3)] == codes(bench.run(b"sleep 0.1; exit 3"))


def test_a_cancelled_task_is_ended_and_the_others_run_on(bench):
    """Its slot is used for the next, while the other task goes on."""
    bench.claim(b"echo here; exec sleep 60", b"echo here; exec sleep 60", b"echo third")
    bench.passes_until(lambda: bench.out.count(b"here") == 2)

    bench.orders.cancel([(1, 1)])
    bench.passes_until(lambda: b"third" in bench.out)
    outcomes = bench.passes_until_ended(2)

    assert [(1, Ending.CANCELLED), (3, Ending.EXITED)] == [(o.task_id, o.ending) for o in outcomes]
    assert [2] == [child.claim.task_id for child in bench.executor.running()]


def test_a_cancelled_task_that_does_not_heed_term_is_killed(make_bench, watch):
    """With what left its session, after the grace, on either watch."""
    bench = make_bench(watch, grace=0.2)
    bench.claim(b"trap '' TERM; setsid sleep 60 & echo $!; while :; do sleep 60; done")
    bench.passes_until(lambda: b"\n" in bench.out)
    begin = time.monotonic()

    bench.orders.cancel([(1, 1)])
    (outcome,) = bench.passes_until_ended(1)

    assert Ending.CANCELLED is outcome.ending
    assert 0.2 <= time.monotonic() - begin < 4.0
    assert state_of(int(bench.out)) in ("", "Z")


def test_a_task_that_ended_before_it_was_cancelled_keeps_its_outcome(bench):
    """It was not stopped."""
    bench.claim(b"true")
    bench.watch.wake()
    bench.executor.one_pass()
    child = next(iter(bench.executor.running()), None)
    if child is not None:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    bench.orders.cancel([(1, 1)])
    (outcome,) = bench.passes_until_ended(1)

    assert outcome.ok


def test_a_cancel_of_what_does_not_run_here_changes_nothing(bench):
    """Nor does one of another lease."""
    bench.orders.cancel([(1, 2), (7, 1)])

    assert [(Ending.EXITED, 3)] == codes(bench.run(b"sleep 0.1; exit 3"))


def test_a_task_that_is_cancelled_while_all_are_stopped_is_cancelled(bench):
    """It shall not be begun elsewhere; the other shall."""
    bench.claim(b"trap '' TERM; echo here; sleep 60", b"echo here; exec sleep 60")
    bench.passes_until(lambda: bench.out.count(b"here") == 2)

    bench.orders.cancel([(1, 1)])
    bench.stop(0.3)
    outcomes = bench.passes_until_ended(2)

    assert [Ending.CANCELLED, Ending.INTERRUPTED] == [o.ending for o in outcomes]


def test_output_of_a_captured_task_comes_with_its_outcome(make_bench, watch):
    """And nowhere else, on either watch; what it closes itself is not waited for."""
    bench = make_bench(watch)
    bench.buffer.put_claims(
        [
            Claim(1, 1, 1, b"echo out; echo err >&2", packed_spec=CAPTURE),
            Claim(2, 1, 1, b"echo before; exec >&- 2>&-; sleep 0.2", packed_spec=CAPTURE),
        ]
    )

    first, second = bench.passes_until_ended(2)

    assert [(b"out\n", b"err\n"), (b"before\n", b"")] == [(o.out, o.err) for o in (first, second)]
    assert b"" == bench.out == bench.err


def test_captured_tasks_leave_no_descriptors_behind(make_bench, watch):
    """However many there were."""
    bench = make_bench(watch)
    bench.run(b"true")
    before = descriptors()
    bench.buffer.put_claims(
        [Claim(n, 1, 1, b"echo out", packed_spec=CAPTURE) for n in range(10, 60)]
    )

    bench.passes_until_ended(50)
    bench.passes_until(lambda: descriptors() <= before)

    assert before == descriptors()


def test_processes_that_captured_tasks_leave_behind_cost_few_descriptors(make_bench, watch):
    """However many there are: of those that are silent longest, nobody reads what they print."""
    bench = make_bench(watch)
    bench.run(b"true")
    before = descriptors()
    tasks = range(10, 10 + 2 * MAX_LEFT)
    command = b"sleep 60 & echo out"
    bench.buffer.put_claims([Claim(n, 1, 1, command, packed_spec=CAPTURE) for n in tasks])

    outcomes = bench.passes_until_ended(len(tasks))

    assert descriptors() <= before + MAX_LEFT
    assert {b"out\n"} == {outcome.out for outcome in outcomes}
    bench.processes.kill_strays()


def test_a_captured_task_that_cannot_be_started_leaves_nothing_behind(bench, monkeypatch):
    """The next one in its slot prints into its own outcome."""
    real = bench.processes.spawn

    def spawn(claim, *rest: object):
        if claim.task_id == 1:
            raise PermissionError(1, "Operation not permitted")
        return real(claim, *rest)

    monkeypatch.setattr(bench.processes, "spawn", spawn)
    before = descriptors()
    bench.buffer.put_claims([Claim(n, 1, 1, b"echo $TASK_ID", packed_spec=CAPTURE) for n in (1, 2)])

    outcomes = bench.passes_until_ended(2)
    bench.passes_until(lambda: descriptors() <= before)

    assert [Ending.UNSTARTABLE, Ending.EXITED] == [o.ending for o in outcomes]
    assert [b"", b"2\n"] == [o.out for o in outcomes]


def stubborn(seconds: int) -> bytes:
    """A task that writes its process and one in its session, which ends only by KILL."""
    return b"(trap '' TERM; echo $$; exec sleep %d) & echo $$; wait" % seconds


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_task_whose_leader_is_killed_has_ended_when_its_session_has(make_bench, watch, number):
    """It may run again then: nothing of it is left beside the next attempt."""
    bench = make_bench(watch, grace=0.3)
    bench.claim(stubborn(60))
    bench.passes_until(lambda: bench.out.count(b"\n") == 2)
    (child,) = bench.executor.running()

    os.kill(child.pid, number)
    (outcome,) = bench.passes_until_ended(1)

    assert (Ending.SIGNALED, number) == (outcome.ending, outcome.code)
    assert child.pid not in live_sessions()


def test_a_task_whose_leader_was_killed_is_interrupted_if_all_are_stopped(bench):
    """While what it left is being ended, its client hears that it is to end as well."""
    bench.claim(stubborn(60))
    bench.passes_until(lambda: bench.out.count(b"\n") == 2)
    (child,) = bench.executor.running()
    os.kill(child.pid, signal.SIGTERM)
    bench.passes_until(lambda: child.outcome is not None)

    bench.stop(grace=0.1)
    (outcome,) = bench.passes_until_ended(1)

    assert Ending.INTERRUPTED is outcome.ending
    assert child.pid not in live_sessions()


def test_what_left_its_session_and_its_environment_ends_with_a_task_that_is_stopped(bench):
    """As what `sudo` or `env -i` starts does: it was below its task when that was told to end."""
    bench.buffer.put_claims([timed(b"setsid env -i sh -c 'echo $$; exec sleep 60'; :", 1, 0.5)])

    (outcome,) = bench.passes_until_ended(1)

    assert Ending.TIMED_OUT is outcome.ending
    until(lambda: state_of(int(bench.out)) in "Z", PROMPT, "it has ended")


def timed(command: bytes, task_id: int, seconds: float) -> Claim:
    """A claim on a task with a time limit."""
    return Claim(task_id, 1, 1, command, TaskSpec(timeout=seconds).pack())


def test_a_task_that_runs_too_long_is_stopped_and_has_timed_out(bench):
    """It alone: one without a limit goes on beside it."""
    bench.buffer.put_claims([timed(b"sleep 60", 1, 0.2), Claim(2, 1, 1, b"sleep 1")])

    outcomes = bench.passes_until_ended(2)

    assert [(Ending.TIMED_OUT, signal.SIGTERM), (Ending.EXITED, 0)] == codes(outcomes)
    assert 0.2 <= outcomes[0].seconds < 1


def test_a_task_that_ends_before_its_limit_has_not_timed_out(bench):
    """Also when the limit passes while other tasks run, and its pid may be in use again."""
    bench.buffer.put_claims([timed(b"exit 3", 1, 0.3), Claim(2, 1, 1, b"sleep 0.6")])

    outcomes = bench.passes_until_ended(2)

    assert [(Ending.EXITED, 3), (Ending.EXITED, 0)] == codes(outcomes)


def test_a_task_that_ignores_term_is_killed_when_the_grace_is_over(make_bench, watch):
    """On either watch, with all that it started."""
    bench = make_bench(watch, grace=0.3)
    command = b"trap '' TERM; (trap '' TERM; sleep 60) & echo $!; sleep 60"
    bench.buffer.put_claims([timed(command, 1, 0.2)])

    outcomes = bench.passes_until_ended(1)

    assert [(Ending.TIMED_OUT, signal.SIGKILL)] == codes(outcomes)
    assert 0.5 <= outcomes[0].seconds < PROMPT
    assert state_of(int(bench.out)) in ("", "Z")


def test_a_task_that_is_being_stopped_when_its_limit_passes_has_not_failed(make_bench):
    """It was interrupted: that it runs over its limit meanwhile is no fault of its own."""
    bench = make_bench(best_watch(), grace=0.6)
    bench.buffer.put_claims([timed(b"trap '' TERM; echo up; sleep 60", 1, 0.3)])
    bench.passes_until(lambda: bench.out)

    bench.stop()
    outcomes = bench.passes_until_ended(1)

    assert [(Ending.INTERRUPTED, signal.SIGKILL)] == codes(outcomes)


def test_all_that_tasks_started_stands_still_and_runs_on(bench):
    """Also in other groups and sessions; what had stopped itself before stays stopped."""
    bench.claim(
        b"timeout 60 sh -c 'echo $$; while :; do sleep 0.02; done'; :",
        b"env -i setsid sh -c 'echo $$; while :; do sleep 0.02; done' & sh -c 'kill -STOP $$'",
    )
    bench.passes_until(lambda: bench.out.count(b"\n") == 2)
    pids = [int(word) for word in bench.out.split()]
    until(lambda: len(processes_in("T")) == 1, PROMPT, "one stopped itself")
    stopped = processes_in("T")

    done = bench.orders.pause()
    bench.passes_until(done.is_set)
    during = processes_in("T")
    bench.orders.go_on()
    bench.watch.wake()
    bench.executor.one_pass()

    assert {*pids, *stopped} < during
    until(lambda: processes_in("T") == stopped, PROMPT, "they run on")
    bench.stop()
    bench.passes_until_ended(2)
    for pid in pids:  # of what left its session, that is the business of a supervisor
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_in(state: str) -> set[int]:
    """The processes below this one that are in this state."""
    below = psutil.Process().children(recursive=True)
    return {process.pid for process in below if state_of(process.pid) == state}
