"""The option --run: which run a command means. Small, as the supervisor of a client imports it."""

from hypershell.cli.options import Parsed
from hypershell.core.run_name import ALL_RUNS, LAST_RUN, is_run


def run_from(parsed: Parsed, several: bool = False) -> str:
    """The uid of the run that was named, "" if none was; with `several`, LAST_RUN and ALL_RUNS
    too. UsageError.
    """
    named = parsed.text("--run")
    if named is None or (several and named in (ALL_RUNS, LAST_RUN)):
        return named or ""
    if not is_run(named) or named in (ALL_RUNS, LAST_RUN):
        wanted = "the server_uid of a run" + (", `last` or `all`" if several else "")
        raise parsed.error(f"--run must be {wanted}, not {named!r}")
    return named
