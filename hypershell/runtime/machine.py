"""What this process may use of its machine: cores, memory and GPUs, as its kernel, its cgroup and
the allocation of a batch system say.

Where several say something, the least counts. What a batch system says is read of its variables:
SLURM_CPUS_ON_NODE, SLURM_MEM_PER_NODE and SLURM_MEM_PER_CPU (sbatch(1) of Slurm 23.11), and NCPUS
(qsub(1B) of PBS Pro 2022.1).
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hypershell.runtime.cores import usable_cores

CUDA = "CUDA_VISIBLE_DEVICES"
ROCM = "HIP_VISIBLE_DEVICES"

_NO_LIMIT = 2**60
_ROOT = Path("/")


class Gpus(NamedTuple):
    """The GPUs that may be used, as their vendor numbers or names them, and the variables by which
    a program is told which of them are its own."""

    ids: tuple[str, ...] = ()
    variables: tuple[str, ...] = (CUDA,)

    def first(self, number: int) -> "Gpus":
        """So many of them; where there are fewer, or none is known, numbers go on from there."""
        known = list(self.ids[:number])
        extra = (str(n) for n in range(number) if str(n) not in known)
        return self._replace(ids=tuple(known + [next(extra) for _ in range(number - len(known))]))


def allocated_cores(environ: Mapping[str, str]) -> int:
    """Cores that this process may use; at least 1."""
    found = [usable_cores()]
    for name in ("SLURM_CPUS_ON_NODE", "NCPUS"):
        if re.fullmatch(r"[1-9]\d{0,5}", environ.get(name, ""), re.ASCII):
            found.append(int(environ[name]))
    return min(found)


def allocated_memory(environ: Mapping[str, str], cores: int, root: Path = _ROOT) -> int:
    """Bytes of memory that this process and what it starts may use together."""
    found = [_physical()]
    if limit := _cgroup_limit(root):
        found.append(limit)
    a_node, a_core = (environ.get(f"SLURM_MEM_PER_{each}", "") for each in ("NODE", "CPU"))
    if re.fullmatch(r"[1-9]\d{0,11}", a_node, re.ASCII):  # 0 is all of the node
        found.append(int(a_node) * 2**20)
    elif re.fullmatch(r"[1-9]\d{0,11}", a_core, re.ASCII):
        found.append(int(a_core) * cores * 2**20)
    return min(found)


def visible_gpus(environ: Mapping[str, str], root: Path = _ROOT) -> Gpus:
    """The GPUs that this process may use: those that its allocation names, or else all."""
    for name in (CUDA, ROCM, "ROCR_VISIBLE_DEVICES"):
        if (named := environ.get(name)) is not None:
            ids = tuple(each.strip() for each in named.split(",") if each.strip())
            variables = (CUDA,) if name == CUDA else (ROCM,)
            return Gpus(() if ids[:1] in (("-1",), ("NoDevFiles",)) else ids, variables)
    if number := len(_names(root / "dev", r"nvidia\d+")):
        return Gpus(tuple(map(str, range(number))), (CUDA,))
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    if number := sum(_is_gpu(nodes / name) for name in _names(nodes, r"\d+")):
        return Gpus(tuple(map(str, range(number))), (ROCM,))
    return Gpus()


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return _NO_LIMIT


def _cgroup_limit(root: Path) -> int | None:
    """Bytes that the cgroup of this process may use, and all groups above it; None if any amount.

    By cgroups(7): memory.max of version 2, memory.limit_in_bytes of version 1.
    """
    found = []
    for folder, name in cgroup_folders(root):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _NO_LIMIT:
            found.append(int(text))
    return min(found, default=None)


def cgroup_folders(root: Path = _ROOT) -> list[tuple[Path, str]]:
    """The folders of this process's memory cgroup and of those above it, each with the file that
    has its limit; the innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            return [(each, "memory.limit_in_bytes") for each in _above(root, "memory", path)]
    for line in lines:
        if line.startswith("0::"):
            return [(each, "memory.max") for each in _above(root, "", line[3:])]
    return []


def _above(root: Path, controller: str, path: str) -> list[Path]:
    top = root / "sys/fs/cgroup" / controller
    folder = top / path.lstrip("/")
    return [folder, *(each for each in folder.parents if each == top or top in each.parents)]


def _names(folder: Path, pattern: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if re.fullmatch(pattern, name, re.ASCII)]
    except OSError:
        return []


def _is_gpu(node: Path) -> bool:
    """Whether a node of the kernel's list of ROCm is a GPU: a processor has the number 0."""
    try:
        return (node / "gpu_id").read_text().strip() not in ("", "0")
    except OSError:
        return False
