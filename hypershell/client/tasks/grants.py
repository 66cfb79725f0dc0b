"""What of its client's resources a task is given while it runs, and how it is told.

The variables are those that programs read of themselves: OMP_NUM_THREADS (OpenMP 5.2, 21.2),
CUDA_VISIBLE_DEVICES (CUDA C++ Programming Guide 12.4, appendix K), HIP_VISIBLE_DEVICES (ROCm 6.0).
All of it belongs to the executor's thread.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from hypershell.core.resources import Needs


class Grant(NamedTuple):
    """What one task is given: variables, GPUs, and the cores on which alone it runs, if any."""

    variables: dict[bytes, bytes]
    gpus: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()


class Grants:
    """The GPUs of a client, and the cores to which tasks are pinned; none where they are not."""

    def __init__(
        self, gpus: Sequence[str] = (), gpu_variables: Sequence[str] = (), cpus: Sequence[int] = ()
    ) -> None:
        self._gpus = list(gpus)
        self._gpu_variables = [os.fsencode(name) for name in gpu_variables]
        self._cpus = sorted(cpus)

    def take(self, needs: Needs) -> Grant:
        """Give a task what it needs, which fits."""
        gpus = tuple(self._gpus[: needs.gpus])
        del self._gpus[: needs.gpus]
        cpus = self._take_cpus(needs.cores)
        cores = b"%d" % needs.cores
        variables = {b"TASK_CORES": cores, b"OMP_NUM_THREADS": cores}
        if needs.memory:
            variables[b"TASK_MEMORY"] = b"%d" % needs.memory
        variables[b"TASK_GPUS"] = b"%d" % needs.gpus
        if gpus:
            visible = os.fsencode(",".join(gpus))
            variables.update(dict.fromkeys(self._gpu_variables, visible))
        for name, amount in needs.others:
            variables[b"TASK_RES_" + os.fsencode(name.replace("-", "_"))] = b"%d" % amount
        return Grant(variables, gpus, cpus)

    def _take_cpus(self, number: int) -> tuple[int, ...]:
        """Cores that are next to each other if there are such, as these share caches."""
        if len(self._cpus) < number:
            return ()  # the client was told of more than there are
        runs = zip(self._cpus, self._cpus[number - 1 :], strict=False)
        first = next((low for low, high in runs if high - low == number - 1), self._cpus[0])
        at = self._cpus.index(first)
        taken = tuple(self._cpus[at : at + number])
        del self._cpus[at : at + number]
        return taken

    def release(self, grant: Grant) -> None:
        """The task has ended."""
        self._gpus = sorted([*self._gpus, *grant.gpus], key=_in_order)
        self._cpus = sorted([*self._cpus, *grant.cpus])


def _in_order(gpu: str) -> tuple[int, str]:
    return (int(gpu) if gpu.isdigit() else 10**9, gpu)
