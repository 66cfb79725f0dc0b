"""Logging as a user asks for it: to standard error or a file, for people or for programs."""

import json
import logging
import sys
import time
from typing import NamedTuple

from hypershell.core.errors import FileUnwritable
from hypershell.core.visible import visible


class LogOptions(NamedTuple):
    """The program name, path, format and level of the log. No path: standard error."""

    verb: str
    path: str | None = None
    is_json: bool = False
    level: int = logging.INFO


class HumanFormatter(logging.Formatter):
    """A line for people: time, who speaks, the level if it matters, what is said."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self._verb = verb

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record; a traceback only with every detail asked for."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        line = f"{clock} {self._verb}: {level}{visible(record.getMessage())}"
        if record.exc_info and logging.getLogger("hypershell").level <= logging.DEBUG:
            trace = self.formatException(record.exc_info).split("\n")
            line += "\n" + "\n".join(map(visible, trace))
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, verb, pid, message."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self._verb = verb

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "verb": self._verb,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class _QuietHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that a full disk or a closed pipe does not make noisy."""

    def handleError(self, record: logging.LogRecord) -> None:
        """There is nowhere left to complain."""


def set_up(options: LogOptions) -> None:
    """Configure logging for this process; FileUnwritable."""
    path = options.path
    try:
        stream = sys.stderr
        if path is not None:
            stream = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileUnwritable(path=path, reason=reason, option="--log-file") from error
    handler = _QuietHandler(stream)
    handler.setFormatter((JsonFormatter if options.is_json else HumanFormatter)(options.verb))
    logger = logging.getLogger("hypershell")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(options.level)
