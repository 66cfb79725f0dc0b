"""Who learns of a signal."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUSY = """\
import hashlib, os, signal
from hypershell.runtime.signals import ENDING, hand_over_signals

for number in ENDING:
    signal.signal(number, signal.SIG_DFL)  # whoever started the tests may ignore some
{before}
hand_over_signals(lambda sent: os._exit(sent.number))
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # minutes, in which no handler would run
"""


@contextmanager
def busy(before: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose main thread runs no Python, once it is ready."""
    command = [sys.executable, "-c", BUSY.format(before=before)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:
        try:
            assert started.stdout is not None
            assert b"ready\n" == started.stdout.readline()
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_delivered_whatever_the_main_thread_does(number):
    """A handler in Python would wait for the main thread."""
    with busy("") as process:
        process.send_signal(number)

        assert number == process.wait(20)


def test_a_signal_that_was_ignored_stays_so():
    """The next one that is not is delivered."""
    with busy("signal.signal(signal.SIGHUP, signal.SIG_IGN)") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)

        assert signal.SIGTERM == process.wait(20)


def run_python(source: str, seconds: float = 20) -> "subprocess.CompletedProcess[str]":
    """A program in a process of its own."""
    command = [sys.executable, "-c", source]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


WHO = """\
import os, signal, subprocess, sys
from hypershell.runtime.signals import SignalReader, hand_over_signals
import select
{make}
child = subprocess.Popen(["/bin/sh", "-c", "kill -TERM $PPID; exec sleep 100"])
sent = {take}
child.kill()
print(sent.number == signal.SIGTERM, sent.pid == child.pid)
"""
BY_READER = WHO.format(
    make="reader = SignalReader({signal.SIGTERM})",
    take="(select.select([reader], [], []), reader.read()[0])[1]",
)
BY_THREAD = WHO.format(
    make="import queue; came = queue.Queue(); "
    "hand_over_signals(lambda sent: (came.put(sent), float('inf'))[1])",
    take="came.get()",
)


@pytest.mark.parametrize("source", [BY_READER, BY_THREAD], ids=["reader", "thread"])
def test_it_is_told_who_sent_a_signal(source):
    """The process, as long as it is one that can be named here."""
    assert "True True\n" == run_python(source).stdout


def test_a_reader_without_a_signalfd_tells_of_signals_all_the_same():
    """By handlers and a pipe; of whom they are is not known."""
    source = """\
import os, signal, select
from hypershell.runtime import signals
signals._signalfd = lambda numbers: -1
reader = signals.SignalReader({signal.SIGTERM, signal.SIGCHLD})
os.kill(os.getpid(), signal.SIGTERM)
select.select([reader], [], [])
print(*reader.read(), reader.read())
"""
    assert "Sent(number=15, pid=0) []\n" == run_python(source).stdout


def test_a_process_that_does_not_end_in_time_is_ended():
    """Whatever it waits for; with the status of the last signal."""
    source = """\
import os, signal, time
from hypershell.runtime.signals import hand_over_signals
hand_over_signals(lambda sent: 0.1)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(100)
"""
    assert 143 == run_python(source).returncode


INHERITED = """\
import os, signal, sys
for number in signal.valid_signals():
    if number not in (signal.SIGKILL, signal.SIGSTOP) and {ignored}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() if {blocked} else ())
os.execv(sys.executable, [sys.executable, "-c", '''
import signal
from hypershell.runtime.signals import begin_with_defaults
begin_with_defaults()
ignored = [n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN]
print(sorted(map(int, ignored)), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
'''])
"""


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("blocked", [True, False])
def test_a_process_begins_with_no_signal_blocked_and_few_ignored(ignored, blocked):
    """HUP, INT and QUIT, if they were; PIPE and XFSZ, by Python; whatever was inherited."""
    ended = run_python(INHERITED.format(ignored=ignored, blocked=blocked))

    by_python = [signal.SIGPIPE, signal.SIGXFSZ]
    kept = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT] if ignored else []
    assert f"{sorted(map(int, by_python + kept))} set()\n" == ended.stdout, ended.stderr
