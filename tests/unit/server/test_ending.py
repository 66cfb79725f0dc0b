"""When a run ends, and that nothing which failed is dropped."""

import signal
import threading

import pytest

from hypershell.core.errors import ClientsEnded
from hypershell.runtime.loop import Loop
from hypershell.server import ending as module
from hypershell.server.ending import EndOfRun
from hypershell.server.events import InputEnded, LoopFailed, RunGivenUp, SignalCame, StopAsked
from hypershell.server.reports.reports import Reports
from hypershell.wire.worker_messages import Phase
from tests.helpers.fakes import Call, ServerParts, succeeded
from tests.helpers.waiting import until

BROKEN = RuntimeError("the joblog is broken")


class SlowReport:
    """A report whose reader is slow, until it is let go."""

    loop_name = "joblog"

    def __init__(self, error: Exception | None = None) -> None:
        self.patient: list[bool] = []
        self.let_go = threading.Event()
        self._error = error

    def subscribe(self, bus):
        """Nothing is heard."""

    def one_pass(self) -> bool:
        """Ends, or fails, when let go."""
        self.let_go.wait(10.0)
        if self._error is not None:
            raise self._error
        return False

    def close(self, patient: bool) -> None:
        """Without patience it ends at once."""
        self.patient.append(patient)
        if not patient:
            self.let_go.set()

    def finish(self) -> int:
        """Nothing is missing."""
        return 0


class Ending:
    """The end of a run with real parts around it."""

    def __init__(self, *lines: bytes, grace: float = 0.0) -> None:
        self.parts = ServerParts(*lines)
        parts = self.parts
        self.end = EndOfRun(parts.store, parts.registry, parts.scheduled, grace, True)

    def write_out(self, report: SlowReport) -> "Call[None]":
        """The last lines are written; the loop of the report runs."""
        loop = Loop("joblog", report.one_pass, lambda *facts: self.end.note(LoopFailed(*facts)))
        loop.start()
        call = Call(self.end.wait_for_reports, Reports([report]), [loop])
        until(lambda: report.patient, 5.0, "the reports are closed")
        return call


@pytest.fixture
def ending():
    """One without tasks."""
    return Ending()


def test_a_run_ends_when_its_input_has_and_nothing_is_left(ending):
    """Not before."""
    waiting = Call(ending.end.wait)
    ending.end.look()
    assert not waiting.is_over(0.05)

    ending.end.note_input(InputEnded(None))
    ending.end.look()

    waiting.result()
    assert (0, False, None) == (ending.end.signal, ending.end.stopped, ending.end.failure)


def test_a_loop_that_fails_while_the_last_lines_are_written_is_not_forgotten(ending):
    """The lines that it had to write may be missing."""
    report = SlowReport(BROKEN)
    writing = ending.write_out(report)

    report.let_go.set()

    writing.result()
    assert BROKEN is ending.end.failure


def test_a_failure_that_came_with_the_end_is_not_forgotten(ending):
    """It stood in the inbox after the event that ended the wait."""
    ending.end.note_input(InputEnded(None))
    ending.end.look()
    ending.end.note(LoopFailed("database", BROKEN))

    ending.end.wait()
    ending.end.collect_failures()

    assert BROKEN is ending.end.failure


def test_clients_that_leave_while_the_last_lines_are_written_are_no_failure(ending):
    """It is the end of the run that made them leave."""
    report = SlowReport()
    writing = ending.write_out(report)

    ending.end.note(RunGivenUp(ClientsEnded(status=0)))
    report.let_go.set()
    writing.result()
    ending.end.note(RunGivenUp(ClientsEnded(status=0)))
    ending.end.collect_failures()

    assert ending.end.failure is None


def test_a_signal_ends_the_patience_with_a_slow_reader(ending):
    """What is not written yet is not waited for."""
    report = SlowReport()
    writing = ending.write_out(report)

    ending.end.note(SignalCame(signal.SIGINT))

    writing.result()
    assert [True, False] == report.patient


def test_the_first_failure_is_the_one_that_counts(ending):
    """That all clients have ended may follow from it."""
    ending.end.note(LoopFailed("receiver", BROKEN))
    ending.end.note(RunGivenUp(ClientsEnded(status=1)))

    ending.end.wait()

    assert BROKEN is ending.end.failure


@pytest.mark.parametrize("event", [SignalCame(signal.SIGINT), StopAsked(True)])
def test_a_run_that_is_being_stopped_does_not_start_to_drain(event):
    """A phase never goes back."""
    ending = Ending(b"a", grace=-1.5)
    client = ending.parts.join()
    ending.parts.exchange(client, want=1)
    ending.end.note(LoopFailed("intake", BROKEN))
    ending.end.note(event)

    ending.end.wait()

    assert Phase.STOPPING is ending.parts.scheduled.phase


def test_a_draining_run_ends_with_the_last_claim():
    """Nothing new is handed out meanwhile."""
    ending = Ending(b"a", b"b")
    client = ending.parts.join()
    (claim,) = ending.parts.exchange(client, want=1).claims
    waiting = Call(ending.end.wait)
    ending.end.note(StopAsked(True))
    until(lambda: ending.parts.scheduled.phase is Phase.DRAINING, 5.0, "it drains")
    ending.end.look()
    assert not waiting.is_over(0.05)

    ending.parts.give(client, succeeded(claim), want=1)
    ending.end.look()

    waiting.result()
    assert ending.end.stopped


@pytest.mark.parametrize("signal_first", [True, False])
def test_clients_that_ended_by_a_signal_to_all_are_no_failure(ending, signal_first):
    """The run ended by it too, whichever was heard first."""
    events = [SignalCame(signal.SIGTERM), RunGivenUp(ClientsEnded(status=143))]

    for event in events if signal_first else events[::-1]:
        ending.end.note(event)
    ending.end.wait()

    assert (signal.SIGTERM, None) == (ending.end.signal, ending.end.failure)


def test_clients_that_ended_by_a_signal_of_their_own_are_a_failure(ending, monkeypatch):
    """Nobody told the run to end."""
    monkeypatch.setattr(module, "_SIGNAL_SECONDS", 0.05)
    ending.end.note(RunGivenUp(ended := ClientsEnded(status=143)))

    ending.end.wait()

    assert (0, ended) == (ending.end.signal, ending.end.failure)
