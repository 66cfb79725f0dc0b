"""Logging as a user asks for it: to standard error or a file, for people or for programs."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from hypershell.cli.output.stderr import unblocked
from hypershell.core.errors import FileUnwritable, system_reason
from hypershell.core.visible import visible


class LogOptions(NamedTuple):
    """The program name, path, format and level of the log. No path: standard error.

    `fit` makes of a message what this user is told.
    """

    verb: str
    path: str | None = None
    is_json: bool = False
    level: int = logging.INFO
    fit: Callable[[str], str] = str


class HumanFormatter(logging.Formatter):
    """A line for people: time, who speaks, the level if it matters, what is said."""

    def __init__(self, verb: str, fit: Callable[[str], str] = str) -> None:
        super().__init__()
        self._verb = verb
        self._fit = fit

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record; a traceback only with every detail asked for."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        line = f"{clock} {self._verb}: {level}{visible(self._fit(record.getMessage()))}"
        if record.exc_info and logging.getLogger("hypershell").level <= logging.DEBUG:
            trace = self.formatException(record.exc_info).split("\n")
            line += "\n" + "\n".join(map(visible, trace))
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, verb, pid, message."""

    def __init__(self, verb: str, fit: Callable[[str], str] = str) -> None:
        super().__init__()
        self._verb = verb
        self._fit = fit

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "verb": self._verb,
            "pid": record.process,
            "message": self._fit(record.getMessage()),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class _QuietHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that a full disk or a closed pipe does not make noisy."""

    def handleError(self, record: logging.LogRecord) -> None:
        """There is nowhere left to complain."""


class _FileHandler(logging.Handler):
    """Appends to a file, a line in one write; standard error has what that does not take."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
        )
        self._writer = unblocked(self._descriptor)
        self._is_failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        line = self.format(record) + "\n"
        data = line.encode("utf-8", "backslashreplace")
        try:
            self._writer.write(data)
            self._is_failing = False
        except OSError as error:
            self._say_instead(line, error)

    def _say_instead(self, line: str, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            reason = system_reason(error)
            where = f"cannot write the log to {visible(self._path)}: {reason}"
            line = f"hyper-shell: {where}; it continues here\n{line}"
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):
            pass  # there is nowhere left to complain

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


def set_up(options: LogOptions) -> None:
    """Configure logging for this process; FileUnwritable."""
    path = options.path
    try:
        handler = _QuietHandler(sys.stderr) if path is None else _FileHandler(path)
    except (OSError, ValueError) as error:
        reason = system_reason(error)
        raise FileUnwritable(path=path, reason=reason, option="--log-file") from error
    formatter = JsonFormatter if options.is_json else HumanFormatter
    handler.setFormatter(formatter(options.verb, options.fit))
    logger = logging.getLogger("hypershell")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(options.level)
