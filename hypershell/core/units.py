"""Values as people write them: durations, times, sizes, signals."""

import math
import re
import signal
from collections.abc import Mapping
from datetime import datetime

_AMOUNT = re.compile(r"(\d{1,18}(?:\.\d*)?(?:e[+-]?\d{1,3})?|\.\d+)\s*([a-zA-Z]*)", re.ASCII)

_SECONDS: Mapping[str, float] = {
    "": 1,
    "ms": 0.001,
    "s": 1,
    "sec": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
}

_BYTES: Mapping[str, float] = {
    "": 1,
    "b": 1,
    **{unit: 1024**n for n, unit in enumerate("kmgtp", 1)},
    **{f"{unit}ib": 1024**n for n, unit in enumerate("kmgtp", 1)},
    **{f"{unit}b": 1000**n for n, unit in enumerate("kmgtp", 1)},
}

_LARGEST = 2**62


def counted(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def read_whole(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise ValueError("expected a whole number, for example 3")
    return int(text)


def read_duration(text: str) -> float:
    """Seconds: `90`, `10m`, `1.5h`, `2d`, or several together, `1h30m`."""
    seconds = _read_amount(text, _SECONDS)
    if seconds is None:
        raise ValueError("expected a duration, for example 90, 10m, 1.5h, 1h30m or 2d")
    return seconds


def read_size(text: str) -> int:
    """Bytes: `4096`, `100MB`, `4GiB`; K, M, G alone are powers of 1024."""
    size = _read_amount(text, _BYTES)
    if size is None:
        raise ValueError("expected a size, for example 4096, 100MB or 4GiB")
    return round(size)


def _read_amount(text: str, units: Mapping[str, float]) -> float | None:
    total, place = 0.0, 0
    while found := _AMOUNT.match(text, place):
        # A unit may be followed by the next amount, so it is letters only.
        factor = units.get(found[2].lower())
        if factor is None:
            return None
        total += float(found[1]) * factor
        place = found.end()
    return total if place == len(text) > 0 and total < _LARGEST else None


def read_time(text: str, now: float) -> float:
    """Seconds since the epoch: `2026-01-31`, `2026-01-31T12:00`, `2h ago`, `now`, `@SECONDS`.

    Without an offset it is local time.
    """
    wrong = "expected a time, for example 2026-01-31, 2026-01-31T12:00 or 2h ago"
    text = text.strip()
    if text == "now":
        return now
    if found := re.fullmatch(r"(\S.*?)\s+ago", text):
        return now - read_duration(found[1])
    try:
        if text.startswith("@"):
            moment = float(text[1:])
        else:
            moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(wrong) from None
    if not math.isfinite(moment) or abs(moment) > _LARGEST:
        raise ValueError(wrong)
    return moment


def read_signal(text: str) -> int:
    """The number of a signal: `9`, `KILL` or `SIGKILL`."""
    if re.fullmatch(r"\d{1,3}", text, re.ASCII):
        return int(text)
    name = text.upper()
    try:
        return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])
    except KeyError:
        raise ValueError("expected a signal, for example 9, KILL or SIGTERM") from None


def signal_name(number: int) -> str:
    """A signal as messages show it: `KILL`, or `signal 99` if it has no name."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"signal {number}"


def moment(value: float) -> str:
    """A time, local, with its offset, such as 2024-05-01T12:00:00+02:00."""
    try:
        return datetime.fromtimestamp(value).astimezone().isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return f"{value:g}"  # no clock of ours says so


def shown_time(seconds: float) -> str:
    """A moment for a person to read, in local time, such as 2024-05-01 12:00:00."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def read_ids(words: list[str], most: int) -> tuple[int, ...]:
    """Ids and ranges of ids: `7`, `10-20`, `3,5`; each once, in order."""
    found: set[int] = set()
    for part in (part for word in words for part in word.split(",")):
        ends = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part, re.ASCII)
        if ends is None:
            raise ValueError(
                f"{part!r} is not an id: expected numbers such as 7 or ranges such as 10-20"
            )
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if first < 1 or last < first:
            raise ValueError(f"{part} is not a range of ids")
        if len(found) + last - first >= most:
            raise ValueError(f"more than {most} ids; select them with --tag or --where")
        found.update(range(first, last + 1))
    return tuple(sorted(found))
