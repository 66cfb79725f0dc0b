"""What the system refuses has a class, a message and an exit status, whatever call met it."""

import errno
import os

import pytest

from hypershell.cli import system_errors
from hypershell.cli.explain import INTERNAL_ERROR, explain
from hypershell.core.errors import (
    HyperShellError,
    NoServer,
    OutOfMemory,
    SystemRefused,
    TooFewDescriptors,
    TooFewProcesses,
)


def os_error(number: int, path: object = None) -> OSError:
    """As the system raises it."""
    return OSError(number, os.strerror(number), *([path] if path else []))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (os_error(errno.EMFILE), TooFewDescriptors),
        (os_error(errno.ENFILE, "/x"), TooFewDescriptors),
        (os_error(errno.ENOENT, "/dev/null"), SystemRefused),
        (os_error(errno.EROFS, b"/a\xff"), SystemRefused),
        (os_error(errno.EAGAIN), TooFewProcesses),
        (os_error(errno.ENOMEM), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("can't start new thread"), TooFewProcesses),
        (ImportError("x.so: failed to map segment from shared object"), OutOfMemory),
    ],
)
def test_what_the_system_refuses_is_no_bug(capsys, error, kind):
    """Exit 3, one line that says what and one that says what to do; also below another error."""
    outer = ValueError("something else")
    outer.__cause__ = error

    statuses = [explain(error), explain(outer)]

    assert [3, 3] == statuses
    assert kind is type(system_errors.understood(error)) is type(system_errors.understood(outer))
    said = capsys.readouterr().err.splitlines()
    assert ["hyper-shell", "hint"] * 2 == [line.partition(": ")[0] for line in said]


def test_an_error_of_ours_stays_what_it_is():
    """Whatever it came from."""
    error = NoServer(what="none")
    error.__cause__ = os_error(errno.ECONNREFUSED)

    assert error is system_errors.understood(error)


def test_a_defect_stays_one(capsys):
    """It is said to be one, to be reported."""
    assert INTERNAL_ERROR == explain(KeyError("x"))
    assert "this is a bug" in capsys.readouterr().err


def test_a_want_that_stops_even_the_words_is_said(monkeypatch, capsys):
    """Where nothing more can be imported."""

    def refuse(error: Exception) -> HyperShellError:
        raise os_error(errno.EMFILE)

    monkeypatch.setattr(system_errors, "understood", refuse)

    assert 3 == explain(os_error(errno.EMFILE))
    assert "hint: raise the limits" in capsys.readouterr().err
