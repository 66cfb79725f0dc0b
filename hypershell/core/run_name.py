"""How a run is named: by its server_uid, or by a word that stands for it."""

import re

ALL_RUNS, LAST_RUN = "all", "last"
"""Every run, and the run that the newest start took on."""

_RUN = re.compile(r"[\w.-]{1,100}", re.ASCII)


def is_run(value: object) -> bool:
    """Whether this can name a run."""
    return isinstance(value, str) and _RUN.fullmatch(value) is not None
