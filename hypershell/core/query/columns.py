"""What rows of tasks can show: the fields of conditions, the settings of tasks, and their tags."""

from hypershell.core.query.fields import FIELDS, Kind
from hypershell.core.task_spec import SHOWN

COLUMNS: dict[str, Kind] = {
    **{name: kind for name, kind in FIELDS.items() if name != "tag"},
    **SHOWN,
    "tags": Kind.TEXT,
}
"""By name, with their kinds; beside them each tag, as `tag.KEY`."""
