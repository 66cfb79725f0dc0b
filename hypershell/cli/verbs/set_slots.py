"""`hyper-shell set-slots`: changes how many tasks a client runs at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import PLACE_OPTIONS, RUN_PLACE_OPTION

if TYPE_CHECKING:
    from hypershell.app.locate import ServerLocation

USAGE = f"""\
Usage:
  hyper-shell set-slots CLIENT NUM [options]

Have a client, which `server info` shows, run NUM tasks at a time from now on.
Tasks that run are finished, also where they are more than that.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell set-slots 3f9a0c12 4
"""


@dataclass(frozen=True, slots=True)
class SlotsOptions:
    """Which client, and how many slots it is to have."""

    location: "ServerLocation"
    client_id: str
    slots: int


def options_from(parsed: Parsed) -> SlotsOptions:
    """Which client, and how many slots; UsageError."""
    from hypershell.cli.common_options import location_from
    from hypershell.wire.client_plane import MAX_SLOTS

    slots = parsed.whole("NUM", default=0, lowest=1, highest=MAX_SLOTS)
    return SlotsOptions(location_from(parsed), parsed.text("CLIENT") or "", slots)


def run(options: SlotsOptions) -> int:
    """Change it; the exit status."""
    from hypershell.app.task_api import open_remote_tasks

    open_remote_tasks(options.location, "set-slots").set_slots(options.client_id, options.slots)
    return 0
