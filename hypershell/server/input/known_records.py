"""The records of an input that earlier runs of it had: a run that only updates passes them over.

A record is known by itself and by the command that is made of it, so that another template makes
other records of the same input. Each of several that are alike is passed over once for each time
that it was had. A digest stands for a record: 12 bytes, of which two are the same by chance for one
pair in 10^28.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

from hypershell.core.task import Task, input_of
from hypershell.core.task_spec import TaskSpec

_DIGEST_BYTES = 12


class KnownRecords:
    """Those of earlier runs, each with the line and the settings of its task."""

    def __init__(self, tasks: Iterable[tuple[bytes, TaskSpec]]) -> None:
        self._left = Counter(_key(line, spec) for line, spec in tasks)
        self.passed = 0
        """How many were passed over."""

    def pass_over(self, task: Task) -> bool:
        """Whether an earlier run had this one, which then is one that is passed over."""
        key = _key(task.line, task.spec)
        if not self._left[key]:
            return False
        self._left[key] -= 1
        self.passed += 1
        return True


def _key(line: bytes, spec: TaskSpec) -> bytes:
    record = input_of(line, spec)
    return blake2b(record + b"\0" + line, digest_size=_DIGEST_BYTES).digest()
