"""The settings of a task as one value, and the table of all settings.

The table drives everything that is done with a setting: its option on the command line, its key in
a line, how it is packed, what a client is sent, what `info` and `list` show. A new setting is a
field of TaskSpec, a row of SETTINGS, and the code that heeds it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hypershell.core.query.fields import Kind
from hypershell.core.units import read_duration, read_whole

MAX_RETRIES = 10**9
MAX_PATH = 4095
"""Bytes in a path (PATH_MAX, without its NUL)."""

MAX_ENVIRONMENT = 64 * 2**10
"""Bytes in the variables that a task is given: half of what Linux allows for a single one."""

OWN_VARIABLES = "TASK_"
"""What the names of variables begin with by which a task finds out about itself."""

CLIENT_CWD = "client"
"""The setting `cwd` of a task that runs in the directory in which its client was started."""

MAX_SECONDS = 10 * 365 * 86400.0
"""The longest time limit: longer than any task runs, and short enough for every clock."""


MAX_DELAY = 3600.0
"""Seconds for which a retry waits at most, where nothing else was said."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The settings of a task.

    A setting at its default is left to the run that hands the task out, and is not stored: a later
    run, with other options, may decide otherwise.

    `max_retries` are further attempts after a failure, if the condition `retry_if` holds for the
    one that failed. Each waits for the first of the two seconds of `retry_delay`, which doubles
    with every failure up to the second. With `capture`, what the task prints comes back with its
    outcome, and goes nowhere else. An attempt that runs longer than `timeout` seconds
    is stopped, and has failed. It runs in the directory `cwd`: an absolute path, in which bytes
    that are not UTF-8 stand as `os.fsdecode` has them, or CLIENT_CWD. Its client's environment is
    changed by the variables `env`, names with their values, sorted by name.

    The `record` is what its input has for it, where that is another text than its command: the
    input of a template, as `os.fsdecode` has it.
    """

    max_retries: int | None = None
    retry_delay: tuple[float, float] | None = None
    retry_if: str | None = None
    capture: bool = False
    timeout: float | None = None
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    record: str | None = None

    def with_record(self, record: str) -> "TaskSpec":
        """The same, for a task whose input has this for it."""
        return replace(self, record=record)

    def pack(self) -> str:
        """The settings that are not at their defaults, as JSON; "" if there are none."""
        return _packed(self, SETTINGS)

    def pack_for_row(self) -> str:
        """The same, of the settings that have no column of their own."""
        return _packed(self, (setting for setting in SETTINGS if not setting.has_column))

    def pack_for_client(self) -> str:
        """The same, of the settings that a client needs."""
        return _packed(self, (setting for setting in SETTINGS if setting.for_client))


DEFAULT_SPEC = TaskSpec()
"""What nearly all tasks have: this one value, which is packed as nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: a field of TaskSpec, and how it is given, checked and shown.

    `read` turns text into a value, `accepts` says whether a value is allowed, and `wants` describes
    such values to a person. `option` gives it on a command line, `key` in a line's trailing
    `# HYPERSHELL: key:value`; "" where it cannot be given there. `shown_as` is what `info` and
    `list` show it as, None if they do not. One that `is_path` is made absolute where it was given;
    one that `has_column` is stored apart from the others. `load` makes a value of what JSON made
    of it; `under` makes one of a task's own and that of its run, where both are given. One that
    `explains` has errors of `read` that say what is wrong with a text.
    """

    name: str
    wants: str
    read: Callable[[str], Any]
    accepts: Callable[[Any], bool]
    option: str = ""
    key: str = ""
    for_client: bool = False
    shown_as: Kind | None = None
    is_path: bool = False
    has_column: bool = False
    load: Callable[[Any], Any] = lambda value: value
    under: Callable[[Any, Any], Any] = lambda own, _: own
    explains: bool = False

    def value_of(self, text: str) -> Any:
        """The value that a text gives; ValueError, worded to follow what it was given by."""
        reason = ""
        try:
            value = self.read(text)
        except ValueError as error:
            value, reason = None, str(error) if self.explains else ""
        if value is None or not self.accepts(value):
            what = f"{text!r}: {reason}" if reason else f"must be {self.wants}, not {text!r}"
            raise ValueError(what)
        return value


def _is_whole(lowest: int, highest: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and lowest <= value <= highest


def _is_time_limit(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= MAX_SECONDS


def _read_delay(text: str) -> tuple[float, float]:
    first, colon, longest = text.partition(":")
    seconds = read_duration(first)
    return seconds, read_duration(longest) if colon else max(seconds, MAX_DELAY)


def _is_delay(value: Any) -> bool:
    if type(value) is not tuple or len(value) != 2 or not set(map(type, value)) <= {int, float}:
        return False
    return bool(0 <= value[0] <= value[1] <= MAX_SECONDS)


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_directory(value: Any) -> bool:
    if type(value) is not str or "\0" in value or len(value) > MAX_PATH:
        return False
    return value == CLIENT_CWD or value.startswith("/")


def _is_environment(value: Any) -> bool:
    return (
        type(value) is tuple
        and list(value) == sorted(dict(value).items())
        and sum(len(name) + len(text) + 2 for name, text in value) <= MAX_ENVIRONMENT
        and all(_is_variable(name) and "\0" not in text for name, text in value)
    )


def _is_text(value: Any) -> bool:
    return type(value) is str and "\0" not in value


def _read_condition(text: str) -> str:
    from hypershell.core.query.attempt import checked

    return checked(text)


def _is_condition(value: Any) -> bool:
    try:
        return type(value) is str and bool(_read_condition(value))
    except ValueError:
        return False


def _is_variable(name: str) -> bool:
    """Whether a task can be given a variable of this name."""
    return bool(name) and not name.startswith(OWN_VARIABLES) and not {"=", "\0"} & set(name)


def _read_variable(text: str) -> tuple[tuple[str, str], ...]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError
    return ((name, value),)


def _load_variables(value: Any) -> Any:
    """Tuples of what JSON made lists of; None of anything else."""
    try:
        return tuple((name + "", text + "") for name, text in value)
    except (TypeError, ValueError):
        return None


def _read_flag(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "max_retries",
        wants=f"a whole number from 0 to {MAX_RETRIES}",
        read=read_whole,
        accepts=_is_whole(0, MAX_RETRIES),
        option="--max-retries",
        shown_as=Kind.WHOLE,
    ),
    Setting(
        "retry_delay",
        wants="a duration such as 10 or 1m, or with the longest, 10:5m",
        read=_read_delay,
        accepts=_is_delay,
        option="--retry-delay",
        load=lambda value: tuple(value) if type(value) is list else value,
    ),
    Setting(
        "retry_if",
        wants="a condition on an attempt",
        read=_read_condition,
        accepts=_is_condition,
        option="--retry-if",
        explains=True,
    ),
    Setting(
        "capture",
        wants="yes or no",
        read=_read_flag,
        accepts=_is_flag,
        for_client=True,
    ),
    Setting(
        "timeout",
        wants="a duration from above 0 to 3650d, such as 90, 10m or 1h30m",
        read=read_duration,
        accepts=_is_time_limit,
        option="--task-timeout",
        key="timeout",
        for_client=True,
        shown_as=Kind.DURATION,
    ),
    Setting(
        "cwd",
        wants=f"a directory of at most {MAX_PATH} bytes, or `{CLIENT_CWD}`",
        read=str,
        accepts=_is_directory,
        option="--cwd",
        for_client=True,
        shown_as=Kind.TEXT,
        is_path=True,
        has_column=True,
    ),
    Setting(
        "env",
        wants=f"NAME=VALUE, with at most {MAX_ENVIRONMENT} bytes in all of them and no NAME that "
        f"begins with {OWN_VARIABLES}",
        read=_read_variable,
        accepts=_is_environment,
        option="--env",
        for_client=True,
        load=_load_variables,
        under=lambda own, under: tuple(sorted((dict(under) | dict(own)).items())),
    ),
    Setting(
        "record",
        wants="a text without a NUL character",
        read=str,
        accepts=_is_text,
    ),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_BY_KEY = {setting.key: setting for setting in SETTINGS if setting.key}

SHOWN: dict[str, Kind] = {
    setting.name: setting.shown_as for setting in SETTINGS if setting.shown_as is not None
}
"""The settings that `info` and `list` show, and as what."""

_RESERVED = frozenset({"timeout", "expect", "cores", "memory", "gpus", "cwd"})
_RESERVED_PREFIX = "res."


def is_reserved(key: str) -> bool:
    """Whether a key is that of a setting, here or in a release to come, and so never a tag."""
    return key in _RESERVED or key in _BY_KEY or key.startswith(_RESERVED_PREFIX)


def spec_of(values: Mapping[str, Any]) -> TaskSpec:
    """The spec with these settings, all others at their defaults; ValueError."""
    loaded = {}
    for name, value in values.items():
        setting = _BY_NAME.get(name)
        if setting is None:
            raise ValueError(f"{name!r} is not a setting that this release knows")
        loaded[name] = value = setting.load(value)
        if not setting.accepts(value):
            raise ValueError(f"{name} must be {setting.wants}, not {value!r}")
    spec = replace(DEFAULT_SPEC, **loaded) if loaded else DEFAULT_SPEC
    return DEFAULT_SPEC if spec == DEFAULT_SPEC else spec


def spec_of_keys(keys: Iterable[tuple[str, str]]) -> TaskSpec:
    """The spec that the reserved keys of a line give; ValueError names the key."""
    values: dict[str, Any] = {}
    for key, text in keys:
        setting = _BY_KEY.get(key)
        if setting is None:
            raise ValueError(f"`{key}` is a reserved key that this release does not support")
        try:
            values[setting.name] = setting.value_of(text)
        except ValueError as error:
            raise ValueError(f"`{key}` {error}") from None
    return spec_of(values)


def layered(own: TaskSpec, under: TaskSpec) -> TaskSpec:
    """`own`, with what it leaves at its default taken from the spec `under` it."""
    if own is DEFAULT_SPEC or under is DEFAULT_SPEC:
        return under if own is DEFAULT_SPEC else own
    given = _given(own, SETTINGS)
    both = {
        name: _BY_NAME[name].under(value, getattr(under, name)) for name, value in given.items()
    }
    return replace(under, **both)


def unpack_spec(packed: str) -> TaskSpec:
    """The spec of a packed text, checked; DEFAULT_SPEC for ""; ValueError."""
    return _unpacked(packed) if packed else DEFAULT_SPEC


@lru_cache(maxsize=1024)
def _unpacked(packed: str) -> TaskSpec:
    """Few specs are different, and each is asked for many times."""
    try:
        values = json.loads(packed)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError("not the settings of a task")
    return spec_of(values)


def _packed(spec: TaskSpec, settings: Iterable[Setting]) -> str:
    if spec is DEFAULT_SPEC:
        return ""
    given = _given(spec, settings)
    return json.dumps(given, separators=(",", ":")) if given else ""


def _given(spec: TaskSpec, settings: Iterable[Setting]) -> dict[str, Any]:
    """Those of the settings that are not at their defaults."""
    values = ((setting.name, getattr(spec, setting.name)) for setting in settings)
    return {name: value for name, value in values if value != getattr(DEFAULT_SPEC, name)}


class ClientSpecs:
    """Packs what a client is sent of the spec of each task, in a run with a default spec.

    `plain` is that of a task at its defaults: the caller takes it without a call.
    """

    def __init__(self, default: TaskSpec = DEFAULT_SPEC) -> None:
        self.plain = default.pack_for_client()
        self.of: Callable[[TaskSpec], str] = lru_cache(maxsize=1024)(
            lambda spec: layered(spec, default).pack_for_client()
        )
