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
from hypershell.core.setting_values import (
    CLIENT_CWD,
    MAX_AMOUNT,
    MAX_ENVIRONMENT,
    MAX_MEMORY,
    MAX_PATH,
    MAX_RETRIES,
    OWN_VARIABLES,
    are_amounts,
    is_condition,
    is_delay,
    is_directory,
    is_environment,
    is_flag,
    is_text,
    is_time_limit,
    is_time_limit_or_share,
    is_whole,
    load_pairs,
    read_amount,
    read_condition,
    read_delay,
    read_factor,
    read_flag,
    read_time_limit,
    read_variable,
)
from hypershell.core.units import read_duration, read_size, read_whole


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The settings of a task.

    A setting at its default is left to the run that hands the task out, and is not stored: a later
    run, with other options, may decide otherwise.

    `max_retries` are further attempts after a failure, if the condition `retry_if` holds for the
    one that failed. Each waits for the first of the two seconds of `retry_delay`, which doubles
    with every failure up to the second. With `capture`, what the task prints comes back with its
    outcome, and goes nowhere else. An attempt that runs longer than `timeout` seconds is stopped,
    and has failed; `timeout` may also be a share of the median of the successes, as `300%`. It runs
    in the directory `cwd`: an absolute path, in which bytes that are not UTF-8 stand as
    `os.fsdecode` has them, or CLIENT_CWD. Its client's environment is changed by the variables
    `env`, names with their values, sorted by name.

    It asks its client for `cores`, `memory_request` bytes, `gpus`, and `resources`, names with
    amounts, sorted by name; for its run to take `expect` seconds. One that was ended for want of
    memory asks for `retry_memory` times as much at its next attempt.

    The `record` is what its input has for it, where that is another text than its command: the
    input of a template, as `os.fsdecode` has it.
    """

    max_retries: int | None = None
    retry_delay: tuple[float, float] | None = None
    retry_if: str | None = None
    capture: bool = False
    timeout: float | str | None = None
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    cores: int | None = None
    memory_request: int | None = None
    gpus: int | None = None
    resources: tuple[tuple[str, int], ...] = ()
    expect: float | None = None
    retry_memory: float | None = None
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


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "max_retries",
        wants=f"a whole number from 0 to {MAX_RETRIES}",
        read=read_whole,
        accepts=is_whole(0, MAX_RETRIES),
        option="--max-retries",
        shown_as=Kind.WHOLE,
    ),
    Setting(
        "retry_delay",
        wants="a duration such as 10 or 1m, or with the longest, 10:5m",
        read=read_delay,
        accepts=is_delay,
        option="--retry-delay",
        load=lambda value: tuple(value) if type(value) is list else value,
    ),
    Setting(
        "retry_if",
        wants="a condition on an attempt",
        read=read_condition,
        accepts=is_condition,
        option="--retry-if",
        explains=True,
    ),
    Setting(
        "capture",
        wants="yes or no",
        read=read_flag,
        accepts=is_flag,
        for_client=True,
    ),
    Setting(
        "timeout",
        wants="a duration from above 0 to 3650d, such as 90, 10m or 1h30m, or a share, as 300%",
        read=read_time_limit,
        accepts=is_time_limit_or_share,
        option="--task-timeout",
        key="timeout",
        for_client=True,
        shown_as=Kind.DURATION,
    ),
    Setting(
        "cwd",
        wants=f"a directory of at most {MAX_PATH} bytes, or `{CLIENT_CWD}`",
        read=str,
        accepts=is_directory,
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
        read=read_variable,
        accepts=is_environment,
        option="--env",
        for_client=True,
        load=lambda value: load_pairs(value, str),
        under=lambda own, under: tuple(sorted((dict(under) | dict(own)).items())),
    ),
    Setting(
        "cores",
        wants=f"a whole number from 1 to {MAX_AMOUNT}",
        read=read_whole,
        accepts=is_whole(1, MAX_AMOUNT),
        option="--cores",
        key="cores",
        for_client=True,
        shown_as=Kind.WHOLE,
    ),
    Setting(
        "memory_request",
        wants="a size from 1 byte to 1 EiB, such as 500MB or 8GiB",
        read=read_size,
        accepts=is_whole(1, MAX_MEMORY),
        option="--memory",
        key="memory",
        for_client=True,
        shown_as=Kind.SIZE,
    ),
    Setting(
        "gpus",
        wants=f"a whole number from 0 to {MAX_AMOUNT}",
        read=read_whole,
        accepts=is_whole(0, MAX_AMOUNT),
        option="--gpus",
        key="gpus",
        for_client=True,
        shown_as=Kind.WHOLE,
    ),
    Setting(
        "resources",
        wants=f"NAME=NUMBER, with a NUMBER from 1 to {MAX_AMOUNT} and a NAME of letters, digits, "
        "- and _",
        read=read_amount,
        accepts=are_amounts,
        option="--resource",
        for_client=True,
        load=lambda value: load_pairs(value, int),
        under=lambda own, under: tuple(sorted((dict(under) | dict(own)).items())),
    ),
    Setting(
        "expect",
        wants="a duration from above 0 to 3650d, such as 90, 10m or 1h30m",
        read=read_duration,
        accepts=is_time_limit,
        option="--expect",
        key="expect",
        for_client=True,
        shown_as=Kind.DURATION,
    ),
    Setting(
        "retry_memory",
        wants="a factor above 1 and at most 100, such as 2x or 1.5x",
        read=read_factor,
        accepts=lambda value: type(value) in (int, float) and 1 < value <= 100,
        option="--retry-memory",
    ),
    Setting(
        "record",
        wants="a text without a NUL character",
        read=str,
        accepts=is_text,
    ),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_BY_KEY = {setting.key: setting for setting in SETTINGS if setting.key}

SHOWN: dict[str, Kind] = {
    setting.name: setting.shown_as for setting in SETTINGS if setting.shown_as is not None
}
"""The settings that `info` and `list` show, and as what."""

_RESERVED = frozenset({"cwd"})
RESOURCE_PREFIX = "res."
"""What the keys of a line begin with that ask for other resources."""


def is_reserved(key: str) -> bool:
    """Whether a key is that of a setting, here or in a release to come, and so never a tag."""
    return key in _RESERVED or key in _BY_KEY or key.startswith(RESOURCE_PREFIX)


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
        if key.startswith(RESOURCE_PREFIX):
            setting, text = _BY_NAME["resources"], f"{key.removeprefix(RESOURCE_PREFIX)}={text}"
        if setting is None:
            raise ValueError(f"`{key}` is a reserved key that this release does not support")
        try:
            value = setting.value_of(text)
        except ValueError as error:
            raise ValueError(f"`{key}` {error}") from None
        before = values.get(setting.name)
        values[setting.name] = value if before is None else setting.under(value, before)
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

    `limit_of` turns a time limit that is a share into seconds, None while that is not known.
    """

    def __init__(
        self,
        default: TaskSpec = DEFAULT_SPEC,
        limit_of: Callable[[str], float | None] = lambda share: None,
    ) -> None:
        self._default = default
        self._limit_of = limit_of
        self._packed: Callable[[TaskSpec], str] = lru_cache(maxsize=1024)(
            lambda spec: spec.pack_for_client()
        )
        self._merged: Callable[[TaskSpec], TaskSpec] = lru_cache(maxsize=1024)(
            lambda spec: layered(spec, default)
        )

    @property
    def plain(self) -> str:
        """That of a task at its defaults: the caller takes it without a call for each."""
        return self.of(DEFAULT_SPEC) if self._default is not DEFAULT_SPEC else ""

    def of(self, spec: TaskSpec) -> str:
        """That of a task with this spec."""
        merged = self._merged(spec)
        if isinstance(merged.timeout, str):
            merged = replace(merged, timeout=self._limit_of(merged.timeout))
        return self._packed(merged)
