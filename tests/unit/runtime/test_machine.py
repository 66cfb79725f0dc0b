"""What a process may use of its machine, by what is said of it in files and variables."""

import pytest

from hypershell.runtime.cores import usable_cores
from hypershell.runtime.machine import (
    CUDA,
    ROCM,
    Gpus,
    allocated_cores,
    allocated_memory,
    visible_gpus,
)

GIB = 2**30


@pytest.mark.parametrize("name", ["SLURM_CPUS_ON_NODE", "NCPUS"])
def test_an_allocation_of_fewer_cores_counts(name):
    """One of more does not: the kernel would not give them."""
    assert 1 == allocated_cores({name: "1"})
    assert usable_cores() == allocated_cores({name: "99999"}) == allocated_cores({name: "x"})


@pytest.mark.parametrize(
    ("variables", "memory"),
    [
        ({"SLURM_MEM_PER_NODE": "512"}, GIB // 2),
        ({"SLURM_MEM_PER_CPU": "256"}, GIB),
        ({"SLURM_MEM_PER_NODE": "512", "SLURM_MEM_PER_CPU": "1"}, GIB // 2),
    ],
)
def test_an_allocation_of_memory_counts(variables, memory, tmp_path):
    """In MiB for a node, or for each of its cores."""
    assert memory == allocated_memory(variables, 4, str(tmp_path))


@pytest.mark.parametrize(
    ("cgroup", "files", "memory"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "1048576"}, 2**20),
        ("0::/a/b\n", {"a/b/memory.max": "4096", "a/memory.max": "1048576"}, 4096),
        (
            "4:memory:/x\n0::/\n",
            {"memory/x/memory.limit_in_bytes": "8192", "memory/memory.limit_in_bytes": f"{2**63}"},
            8192,
        ),
    ],
)
def test_the_limit_of_a_cgroup_counts(cgroup, files, memory, tmp_path):
    """And those above it; of either version."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    assert memory == allocated_memory({}, 1, str(tmp_path))


@pytest.mark.parametrize(
    ("variables", "gpus"),
    [
        ({CUDA: "2,5"}, Gpus(("2", "5"), (CUDA,))),
        ({CUDA: "GPU-8d3a,GPU-11ff"}, Gpus(("GPU-8d3a", "GPU-11ff"), (CUDA,))),
        ({CUDA: ""}, Gpus((), (CUDA,))),
        ({CUDA: "-1"}, Gpus((), (CUDA,))),
        ({CUDA: "NoDevFiles"}, Gpus((), (CUDA,))),
        ({ROCM: "1"}, Gpus(("1",), (ROCM,))),
        ({"ROCR_VISIBLE_DEVICES": "0,1"}, Gpus(("0", "1"), (ROCM,))),
        ({}, Gpus()),
    ],
)
def test_the_gpus_of_an_allocation_are_all_that_there_are(variables, gpus, tmp_path):
    """As its variables name them."""
    assert gpus == visible_gpus(variables, str(tmp_path))


def test_gpus_are_found_by_their_devices(tmp_path):
    """Of NVIDIA by the files in /dev."""
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()

    assert Gpus(("0", "1"), (CUDA,)) == visible_gpus({}, str(tmp_path))


def test_gpus_of_amd_are_found_by_the_nodes_of_the_kernel(tmp_path):
    """A node that is a processor has the number 0."""
    for node, number in (("0", "0"), ("1", "4098"), ("2", "777")):
        folder = tmp_path / "sys/class/kfd/kfd/topology/nodes" / node
        folder.mkdir(parents=True)
        (folder / "gpu_id").write_text(number + "\n")

    assert Gpus(("0", "1"), (ROCM,)) == visible_gpus({}, str(tmp_path))


@pytest.mark.parametrize(
    ("ids", "number", "first"),
    [(("4", "7"), 1, ("4",)), (("1",), 3, ("1", "0", "2")), ((), 2, ("0", "1")), (("3",), 0, ())],
)
def test_a_number_of_gpus_is_taken_of_those_that_are_known(ids, number, first):
    """And beyond them counted, as each must have a name of its own."""
    assert first == Gpus(ids).first(number).ids
