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
hand_over_signals(lambda number: os._exit(number))
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
