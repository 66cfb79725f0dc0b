"""From options that many verbs have to the values that the application takes."""

import logging
from typing import TYPE_CHECKING

from hypershell.app.locate import Passphrases, ServerLocation
from hypershell.cli.options import Parsed
from hypershell.cli.output.logs import LogOptions
from hypershell.cli.prompts import passphrase_prompt

if TYPE_CHECKING:
    from hypershell.app.maintenance import DatabasePlace
    from hypershell.app.task_api import TaskSource


def passphrases_from(parsed: Parsed, name: str = "--passphrase-file") -> Passphrases:
    """Where the passphrase of an access file comes from."""
    return Passphrases(parsed.text(name), passphrase_prompt())


def location_from(parsed: Parsed) -> ServerLocation:
    """Where the server is, by the options of `PLACE_OPTIONS`."""
    return ServerLocation(
        server_dir=parsed.text("--server-dir"),
        access_file=parsed.text("--access-file"),
        passphrases=passphrases_from(parsed),
    )


def source_from(parsed: Parsed) -> "TaskSource":
    """Where the tasks are, by the options of `PLACE_OPTIONS` and `DATABASE_OPTIONS`."""
    from hypershell.app.task_api import TaskSource

    return TaskSource(location_from(parsed), parsed.text("--database"), parsed.verb)


def database_place_from(parsed: Parsed) -> "DatabasePlace":
    """Which task database is meant, by the options of `DATABASE_PLACE_OPTIONS`."""
    from hypershell.app.maintenance import DatabasePlace

    return DatabasePlace(parsed.text("--server-dir"), parsed.text("--database"))


def log_options_from(parsed: Parsed) -> LogOptions:
    """How to log, by the options of `LOG_OPTIONS`."""
    level = logging.DEBUG if parsed.flag("--verbose") else logging.INFO
    return LogOptions(
        verb=parsed.verb,
        path=parsed.text("--log-file"),
        is_json="json" == parsed.choice("--log-format", ("human", "json"), "human"),
        level=logging.WARNING if parsed.flag("--quiet") else level,
    )


def named_outputs(parsed: Parsed) -> list[tuple[str, str | None]]:
    """The files to which a verb that runs tasks or logs writes, each with its option."""
    names = {"-o": "--output", "-e": "--errors", "--log-file": "--log-file"}
    return [(option, parsed.text(name)) for option, name in names.items() if name in parsed]
