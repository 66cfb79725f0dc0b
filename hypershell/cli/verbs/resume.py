"""`hyper-shell resume`: has a server, or one client, go on after `pause`."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import PLACE_OPTIONS, RUN_PLACE_OPTION

if TYPE_CHECKING:
    from hypershell.cli.holding import HoldOptions

USAGE = f"""\
Usage:
  hyper-shell resume [options]

Have a server that was paused hand out tasks again, or one client get tasks
again. A run that ended is continued by `server FILE --resume`.

Resume options:
  --client ID             Only this client, which `server info` shows.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell resume

  $ hyper-shell resume --client 3f9a0c12
"""


def options_from(parsed: Parsed) -> "HoldOptions":
    """What is to go on; UsageError."""
    from hypershell.cli.holding import hold_options_from

    return hold_options_from(parsed)


def run(options: "HoldOptions") -> int:
    """Go on; the exit status."""
    from hypershell.cli.holding import hold

    return hold(options, held=False)
