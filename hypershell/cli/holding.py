"""What `pause` and `resume` have in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed

if TYPE_CHECKING:
    from hypershell.app.locate import ServerLocation


@dataclass(frozen=True, slots=True)
class HoldOptions:
    """A server, and one of its clients, or "" for all."""

    location: "ServerLocation"
    client_id: str
    verb: str


def hold_options_from(parsed: Parsed) -> HoldOptions:
    """Which server and client; UsageError."""
    from hypershell.cli.common_options import location_from

    client_id = parsed.text("--client")
    if client_id == "":
        raise parsed.error("--client needs the id of a client", "`server info` shows them")
    return HoldOptions(location_from(parsed), client_id or "", parsed.verb)


def hold(options: HoldOptions, *, held: bool) -> int:
    """Have them get no more tasks, or tasks again; the exit status."""
    from hypershell.app.task_api import open_remote_tasks

    open_remote_tasks(options.location, options.verb).hold(options.client_id, held=held)
    return 0
