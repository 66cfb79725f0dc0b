"""`hyper-shell pause`: has a server, or one client, start no more tasks."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import PLACE_OPTIONS, RUN_PLACE_OPTION

if TYPE_CHECKING:
    from hypershell.cli.holding import HoldOptions

USAGE = f"""\
Usage:
  hyper-shell pause [options]

Have a server hand out no more tasks, to no client or not to one of them. Tasks
that run are finished; `hyper-shell resume` goes on.

Pause options:
  --client ID             Only this client, which `server info` shows.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell pause

  $ hyper-shell pause --client 3f9a0c12
"""


def options_from(parsed: Parsed) -> "HoldOptions":
    """What is to pause; UsageError."""
    from hypershell.cli.holding import hold_options_from

    return hold_options_from(parsed)


def run(options: "HoldOptions") -> int:
    """Pause; the exit status."""
    from hypershell.cli.holding import hold

    return hold(options, held=True)
