"""From options that many verbs have to the values that the application takes."""

import logging
import os
from typing import TYPE_CHECKING

from hypershell.app.locate import Passphrases, ServerLocation
from hypershell.cli.hints import fitted
from hypershell.cli.options import Parsed
from hypershell.cli.output.logs import LogOptions
from hypershell.cli.prompts import passphrase_prompt
from hypershell.cli.run_option import run_from
from hypershell.core import environment
from hypershell.core.run_name import LAST_RUN

if TYPE_CHECKING:
    from hypershell.app.maintenance import DatabasePlace
    from hypershell.app.task_api import TaskSource
    from hypershell.core.query.selection import Selection


def passphrases_from(parsed: Parsed, name: str = "--passphrase-file") -> Passphrases:
    """Where the passphrase of an access file comes from."""
    return Passphrases(parsed.text(name), passphrase_prompt())


def location_from(parsed: Parsed, *, several: bool = False) -> ServerLocation:
    """Where the server is, by the options of `PLACE_OPTIONS` and --run; UsageError.

    With `several`, the run may also be LAST_RUN, which is that of whoever answers, or ALL_RUNS.
    """
    named = run_from(parsed, several)
    server_dir, access_file = parsed.text("--server-dir"), parsed.text("--access-file")
    if not named and server_dir is None and access_file is None:
        named = os.environ.get(environment.RUN, "")
    return ServerLocation(
        server_dir=server_dir,
        access_file=access_file,
        run="" if named == LAST_RUN else named,
        passphrases=passphrases_from(parsed),
    )


def source_from(
    parsed: Parsed, selection: "Selection | None" = None, *, adds: bool = False
) -> "TaskSource":
    """Where the tasks of a selection are, or those that are added, by the options of
    `PLACE_OPTIONS`, `DATABASE_OPTIONS` and --run; UsageError.
    """
    from hypershell.app.task_api import TaskSource

    location = location_from(parsed, several="--where" in parsed)
    ids = selection.ids if selection is not None else ()
    return TaskSource(location, parsed.text("--database"), parsed.verb, ids, adds)


def database_place_from(parsed: Parsed) -> "DatabasePlace":
    """Which task database is meant, by the options of `DATABASE_PLACE_OPTIONS`."""
    from hypershell.app.maintenance import DatabasePlace

    run = run_from(parsed) if "--run" in parsed else ""
    if run and parsed.text("--database") is not None:
        raise parsed.error("--run and --database cannot be used together")
    return DatabasePlace(parsed.text("--server-dir"), parsed.text("--database"), run)


def log_options_from(parsed: Parsed) -> LogOptions:
    """How to log, by the options of `LOG_OPTIONS`."""
    level = logging.DEBUG if parsed.flag("--verbose") else logging.INFO
    return LogOptions(
        verb=parsed.verb,
        path=parsed.text("--log-file"),
        is_json="json" == parsed.choice("--log-format", ("human", "json"), "human"),
        level=logging.WARNING if parsed.flag("--quiet") else level,
        fit=fitted,
    )


def named_outputs(parsed: Parsed) -> list[tuple[str, str | None]]:
    """The files to which a verb that runs tasks or logs writes, each with its option."""
    names = {"-o": "--output", "-e": "--errors", "--log-file": "--log-file"}
    return [(option, parsed.text(name)) for option, name in names.items() if name in parsed]
