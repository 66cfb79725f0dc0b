"""What this process may use of its machine: cores, memory and GPUs, as its kernel, its cgroup and
the allocation of a batch system say.

Where several say something, the least counts. What a batch system says is read of its variables:
SLURM_CPUS_ON_NODE, SLURM_MEM_PER_NODE and SLURM_MEM_PER_CPU (sbatch(1) of Slurm 23.11), and NCPUS
(qsub(1B) of PBS Pro 2022.1).
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from hypershell.runtime.cores import usable_cores

CUDA = "CUDA_VISIBLE_DEVICES"
ROCM = "HIP_VISIBLE_DEVICES"

_NO_LIMIT = 2**60
_ROOT = "/"


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


def allocated_memory(environ: Mapping[str, str], cores: int, root: str = _ROOT) -> int:
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


def visible_gpus(environ: Mapping[str, str], root: str = _ROOT) -> Gpus:
    """The GPUs that this process may use: those that its allocation names, or else all."""
    for name in (CUDA, ROCM, "ROCR_VISIBLE_DEVICES"):
        if (named := environ.get(name)) is not None:
            ids = tuple(each.strip() for each in named.split(",") if each.strip())
            variables = (CUDA,) if name == CUDA else (ROCM,)
            return Gpus(() if ids[:1] in (("-1",), ("NoDevFiles",)) else ids, variables)
    if number := len(_names(os.path.join(root, "dev"), r"nvidia\d+")):
        return Gpus(tuple(map(str, range(number))), (CUDA,))
    nodes = os.path.join(root, "sys/class/kfd/kfd/topology/nodes")
    if number := sum(_is_gpu(f"{nodes}/{name}") for name in _names(nodes, r"\d+")):
        return Gpus(tuple(map(str, range(number))), (ROCM,))
    return Gpus()


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return _NO_LIMIT


def _cgroup_limit(root: str) -> int | None:
    """Bytes that the cgroup of this process may use, and all groups above it; None if any amount.

    By cgroups(7): memory.max of version 2, memory.limit_in_bytes of version 1.
    """
    texts = [_text(f"{folder}/{name}") for folder, name in cgroup_folders(root)]
    found = [int(text) for text in texts if text.isdigit()]
    return min((limit for limit in found if limit < _NO_LIMIT), default=None)


def cgroup_folders(root: str = _ROOT) -> list[tuple[str, str]]:
    """The folders of this process's memory cgroup and of those above it, each with the file that
    has its limit; the innermost first."""
    lines = _text(os.path.join(root, "proc/self/cgroup")).splitlines()
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            return [(each, "memory.limit_in_bytes") for each in _above(root, "/memory", path)]
    for line in lines:
        if line.startswith("0::"):
            return [(each, "memory.max") for each in _above(root, "", line[3:])]
    return []


def _above(root: str, controller: str, path: str) -> list[str]:
    top = os.path.join(root, f"sys/fs/cgroup{controller}")
    parts = [part for part in path.split("/") if part]
    return ["/".join([top, *parts[:n]]) for n in range(len(parts), -1, -1)]


def _text(path: str) -> str:
    """What a file says; nothing if it cannot be read."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _names(folder: str, pattern: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if re.fullmatch(pattern, name, re.ASCII)]
    except OSError:
        return []


def _is_gpu(node: str) -> bool:
    """Whether a node of the kernel's list of ROCm is a GPU: a processor has the number 0."""
    return _text(f"{node}/gpu_id") not in ("", "0")
