"""What `server` and `cluster` are given: their options checked, their files opened."""

import os
import stat
import sys

from hypershell.cli.options import Parsed
from hypershell.core.task import Policy
from hypershell.server.input.lines import LineReader, open_input
from hypershell.server.options import ServerOptions
from hypershell.server.reports.joblog import check_joblog
from hypershell.server.reports.sink import LineSink, open_sink


def server_options(parsed: Parsed) -> ServerOptions:
    """The options of a run; UsageError."""
    if parsed.flag("--print") and parsed.text("--failures") is not None:
        raise parsed.error("--print and -f cannot be used together")
    joblog, failures = parsed.text("--joblog"), parsed.text("--failures")
    if None not in (joblog, failures) and os.path.realpath(joblog or "") == os.path.realpath(
        failures or ""
    ):
        raise parsed.error(f"--joblog and -f both name {failures}", "give them different paths")
    lease = parsed.seconds("--lease", default=30, lowest=1)
    grace = parsed.seconds("--grace", default=5)
    if grace > lease / 2:
        raise parsed.error(f"--grace {grace:g} is more than half of --lease {lease:g}")
    return ServerOptions(
        bundlesize=parsed.whole("--bundlesize", default=1, lowest=1),
        bundlewait=_bundlewait(parsed),
        policy=Policy(
            parsed.whole("--max-retries", default=0, lowest=0),
            parsed.whole("--max-lost", default=3, lowest=1),
            parsed.flag("--eager"),
        ),
        lease=lease,
        grace=grace,
        endless=_is_endless(parsed),
        resumes=parsed.flag("--resume"),
        joblog=parsed.text("--joblog"),
    )


def _is_endless(parsed: Parsed) -> bool:
    """Whether the run waits for what is submitted, as `server` alone does."""
    if parsed.verb != "server" or parsed.flag("--restart"):
        return False  # a cluster's clients are its own: it ends
    return parsed.flag("--forever") or (parsed.flag("start") and parsed.text("FILE") is None)


def _bundlewait(parsed: Parsed) -> float:
    # docopt fills in the default of -w, which must not contradict a -t that was given.
    if parsed.text("-t") is not None and parsed.text("--bundlewait") == "5":
        return parsed.seconds("-t", default=5)
    return parsed.seconds("--bundlewait", "-t", default=5)


def key_from(parsed: Parsed) -> str | None:
    """The key that was given, by -k or in the environment."""
    key = parsed.text("--auth")
    if key is None:
        key = os.environ.get("HYPERSHELL_AUTH")
    if key == "":
        raise parsed.error("the key is empty", "give a key with -k or HYPERSHELL_AUTH, or neither")
    return key


def open_streams(parsed: Parsed, path: str) -> tuple[LineReader, LineSink]:
    """The input and where failed lines go; StartError."""
    descriptor = open_input(path)
    failures = parsed.text("--failures")
    joblog = parsed.text("--joblog")
    try:
        for option, written in (("-f", failures), ("--joblog", joblog)):
            if written is not None and _is_same_file(descriptor, written):
                hint = f"give {option} another path"
                raise parsed.error(f"{written} is also the input file", hint)
        check_joblog(joblog)
        return LineReader(descriptor, path), open_sink(failures, parsed.flag("--print"))
    except BaseException:
        os.close(descriptor)
        raise


def _is_same_file(descriptor: int, path: str) -> bool:
    try:
        one, two = os.fstat(descriptor), os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(one.st_mode) and (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def open_input_and_sink(
    parsed: Parsed, options: ServerOptions
) -> tuple[LineReader | None, LineSink]:
    """The input, if the run has one, and where failed lines go; StartError."""
    path = parsed.text("FILE")
    if options.endless or parsed.flag("--restart"):
        return None, open_sink(parsed.text("--failures"), parsed.flag("--print"))
    if path is None and sys.stdin is not None and sys.stdin.isatty():
        print("hyper-shell: reading commands from this terminal; end with Ctrl-D", file=sys.stderr)
    return open_streams(parsed, path or "-")
