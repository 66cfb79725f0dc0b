"""Lines that send signals to the client that runs them: it goes on, and says whose line it was."""

import signal

import psutil
import pytest

from tests.helpers.farm import Farm, rarely
from tests.helpers.once import assert_never_twice, exclusive
from tests.helpers.waiting import stays


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("kill $PPID", "task 1"),
        ("kill -INT $PPID; sleep 1; true", "task 1"),
        rarely("kill -HUP $PPID & wait", "task 1"),
        rarely("setsid sh -c 'kill -TERM '$PPID' ; sleep 1'", "task 1"),
        rarely("env -i setsid sh -c 'kill -TERM '$PPID'; sleep 1'", "task 1"),
        rarely("exec python3 -c 'import os; os.kill(os.getppid(), 15)'", "task 1"),
        rarely("S=$(cut -d' ' -f4 /proc/$PPID/stat); kill -TERM $S; sleep 1", "task 1"),
    ],
)
def test_a_line_that_signals_its_client_is_named_and_ends_nothing(farm, need, line, culprit):
    """All lines run, once each."""
    need("setsid")
    lines = [line, *[exclusive("sleep 0.2")] * 12]

    cluster = farm.start_cluster(lines, "-N", 4, "--no-db")

    assert 0 == cluster.wait(), cluster
    assert f"came from {culprit}: ignored" in cluster.err
    assert "13 succeeded, 0 failed, 0 retried" in cluster.err
    assert 12 == len(farm.read("ends"))
    assert_never_twice(farm)


def test_a_line_cannot_stop_the_client_of_a_cluster(farm):
    """Only Ctrl-Z of the cluster does; a line that is sent it is stopped as anywhere."""
    lines = ["kill -TSTP $PPID", "grep SigIgn: /proc/self/status > ignored", "true"]

    cluster = farm.start_cluster(lines, "--no-db")

    assert 0 == cluster.wait(), cluster
    ignored = int((farm.folder / "ignored").read_text().split()[1], 16)
    assert not ignored & 1 << signal.SIGTSTP - 1


def test_a_second_signal_from_a_task_is_obeyed(farm):
    """Its client leaves in good order: what it ran goes to another, and none is lost."""
    bad = "test $TASK_ATTEMPT -gt 1 || { kill $PPID; sleep 0.3; kill $PPID; sleep 100; }"
    server = farm.start_server([bad, *["sleep 0.5"] * 3], "--grace", 1)
    client = farm.start_client("-N", 4)

    assert 143 == client.wait()
    assert "came from task 1: obeyed" in client.err
    other = farm.start_client("-N", 4)
    assert [0, 0] == [server.wait(), other.wait()]
    assert "4 succeeded, 0 failed, 0 retried" in server.err


@pytest.mark.parametrize("number", [signal.SIGTERM, rarely(signal.SIGHUP)])
def test_a_sender_that_has_ended_must_ask_twice(farm, number):
    """`kill` as a program of its own, whose parent is gone as well: it may have been a task."""
    farm.start_server(["echo >> starts; sleep 100"], "--grace", 1)
    client = farm.start_client()
    farm.wait_for_lines("starts", 1)

    send_and_vanish(farm, client.client_proper(), number)
    client.expect("perhaps task 1: ignored")
    stays(lambda: client.is_running, 0.5, "it goes on")
    send_and_vanish(farm, client.client_proper(), number)

    assert 128 + number == client.wait()


def send_and_vanish(farm: Farm, process: psutil.Process, number: int) -> None:
    """The process does not look before the sender has ended and was waited for."""
    process.suspend()
    farm.spawn(["kill", f"-{int(number)}", str(process.pid)]).wait()
    process.resume()


def test_a_signal_to_client_and_supervisor_is_obeyed_whoever_sent_it(farm):
    """`pkill hyper-shell` has ended before anybody can look who it was."""
    farm.start_server(["echo >> starts; sleep 100"], "--grace", 1)
    client = farm.start_client()
    farm.wait_for_lines("starts", 1)
    pids = [client.client_proper().pid, client.pid]

    ask = f"import os; [os.kill(pid, 15) for pid in {pids}]"
    farm.spawn(["python3", "-c", f"import os; os.fork() and os._exit(0); {ask}"]).wait()

    assert 143 == client.wait()
