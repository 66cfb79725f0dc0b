"""From the options that `server` and `cluster` share to the values of a run."""

import math
import os
import re

from hypershell.app.database import DatabaseOptions
from hypershell.app.named_files import check_files
from hypershell.app.server_inputs import InputOptions
from hypershell.cli.common_options import named_outputs
from hypershell.cli.input_options import input_from, named_inputs
from hypershell.cli.options import Parsed
from hypershell.cli.run_option import run_from
from hypershell.cli.selection_options import spec_from
from hypershell.core import environment
from hypershell.core.halt import HaltRule, read_halt
from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.server.input.lines import STDIN
from hypershell.server.options import ServerOptions


def server_options_from(parsed: Parsed, mode: RunMode) -> ServerOptions:
    """What a run is to do; UsageError."""
    lease = parsed.seconds("--lease", default=30, lowest=1)
    grace = parsed.seconds("--grace", default=5)
    if grace > lease / 2:
        raise parsed.error(f"--grace {grace:g} is more than half of --lease {lease:g}")
    spec = spec_from(parsed)
    return ServerOptions(
        bundlesize=parsed.whole("--bundlesize", default=1, lowest=1),
        bundlewait=parsed.seconds("--bundlewait", "-t", default=5),
        policy=Policy(
            spec.max_retries or 0,
            parsed.whole("--max-lost", default=3, lowest=1),
            parsed.flag("--eager"),
            spec,
        ),
        spec=spec,
        lease=lease,
        grace=grace,
        endless=mode is RunMode.FOREVER,
        resumes=mode is RunMode.RESUME,
        updates=_updates(parsed, mode),
        joblog=parsed.text("--joblog"),
        halt=_halt_from(parsed),
        a_second=_rate_from(parsed),
        guards=not parsed.flag("--no-guard"),
        fails_unfit=parsed.choice("--unfit", ("wait", "fail"), "wait") == "fail",
    )


def _updates(parsed: Parsed, mode: RunMode) -> bool:
    """Whether only new records are run; UsageError where that cannot be told."""
    if parsed.flag("--update") and parsed.flag("--repeat"):
        raise parsed.error("--update and --repeat cannot be used together")
    if not parsed.flag("--update"):
        return False
    for name in ("--no-db", "--restart", "--resume"):
        if parsed.flag(name):
            raise parsed.error(f"--update and {name} cannot be used together")
    if mode is RunMode.FOREVER or input_from(parsed).file in (None, STDIN):
        raise parsed.error("--update needs a FILE, which an earlier run read")
    return True


def _rate_from(parsed: Parsed) -> float:
    text = parsed.text("--ratelimit")
    if text is None:
        return math.inf
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(?:/([smh]))?", text, re.ASCII)
    if found is None or not float(found[1]):
        raise parsed.error(f"--ratelimit must be a rate above 0, such as 10/s, not {text!r}")
    return float(found[1]) / {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def _halt_from(parsed: Parsed) -> HaltRule | None:
    text = parsed.text("--halt")
    try:
        return None if text is None else read_halt(text)
    except ValueError as error:
        raise parsed.error(f"--halt {text!r} {error}") from None


def input_options_from(parsed: Parsed, mode: RunMode) -> InputOptions:
    """What a run reads, and where its failed lines go; UsageError, InputIsOutput, OutputsMixed."""
    joblog, failures = parsed.text("--joblog"), parsed.text("--failures")
    if parsed.flag("--print") and failures is not None:
        raise parsed.error("--print and -f cannot be used together")
    source = input_from(parsed) if mode.reads_input else None
    outputs = [("-f", failures), ("--joblog", joblog), *named_outputs(parsed)]
    check_files(outputs, () if source is None else source.named_files)
    return InputOptions(
        source=source,
        failures=failures,
        prints_failures=parsed.flag("--print"),
        joblog=joblog,
        overwrite=parsed.flag("--overwrite"),
        is_stdin_by_default=mode.reads_input and not named_inputs(parsed),
    )


def mode_from(parsed: Parsed) -> RunMode:
    """Which tasks the run takes on; UsageError for options that contradict each other."""
    forever = parsed.verb == "server" and parsed.flag("--forever")
    inputs = named_inputs(parsed)
    if forever:
        for name in (*inputs, "--restart", "--resume"):
            if name in inputs or parsed.is_given(name):
                raise parsed.error(f"--forever and {name} cannot be used together")
    if parsed.flag("--restart") and parsed.flag("--resume"):
        raise parsed.error("--restart and --resume cannot be used together")
    if parsed.flag("--restart") and inputs:
        hint = "--resume continues with a FILE, --restart with the task database"
        raise parsed.error(f"--restart and {inputs[0]} cannot be used together", hint)
    if parsed.flag("--resume") and input_from(parsed).file in (None, STDIN):
        raise parsed.error("--resume needs the FILE to continue with")
    if parsed.flag("--restart"):
        return RunMode.RESTART
    if parsed.flag("--resume"):
        return RunMode.RESUME
    # `server start` alone waits for what is submitted. A cluster's clients are its own: it ends.
    starts = parsed.verb == "server" and parsed.flag("start") and not inputs
    return RunMode.FOREVER if forever or starts else RunMode.FILE


def database_options_from(parsed: Parsed, mode: RunMode) -> DatabaseOptions:
    """Which task database a run has; UsageError for options that contradict each other."""
    in_memory, url = parsed.flag("--no-db"), parsed.text("--database")
    given = {
        "--restart": mode is RunMode.RESTART,
        "--resume": mode is RunMode.RESUME,
        "--database": url is not None,
    }
    for name in given:
        if in_memory and given[name]:
            raise parsed.error(f"{name} needs a task database, but --no-db runs without one")
    runs = run_from(parsed, several=True)
    if runs and mode is not RunMode.RESTART:
        raise parsed.error("--run says which tasks --restart runs", "add --restart, or omit --run")
    return DatabaseOptions(url, in_memory, mode, runs)


def keep_runs_from(parsed: Parsed) -> int:
    """How many run directories to keep; UsageError."""
    return parsed.whole("--keep-runs", default=20, lowest=1)


def key_from(parsed: Parsed) -> str | None:
    """The key that was given, by -k or in the environment; UsageError if it is empty."""
    key = parsed.text("--auth")
    if key is None:
        key = os.environ.get(environment.AUTH)
    if key == "":
        raise parsed.error("the key is empty", "give a key with -k or HYPERSHELL_AUTH, or neither")
    return key


def port_from(parsed: Parsed, *names: str, lowest: int = 0) -> int | None:
    """A port, by an option or its synonyms; None if none was given."""
    if parsed.text(*names) is None:
        return None
    return parsed.whole(*names, default=0, lowest=lowest, highest=65535)
