"""The services that tests bring up here: each is brought up, used once and taken down."""

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.farm import Farm
from tests.helpers.services import output, service

pytestmark = pytest.mark.campaign

HOSTS = ("h1", "h2")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of a short name that other users may enter, as sockets and servers need it."""
    with tempfile.TemporaryDirectory(prefix="hyper-shell-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "service"


def test_an_ssh_host_runs_a_command(farm: Farm, folder: Path) -> None:
    """Brought up twice it is there once; two hosts answer, and none does after the end."""
    port = farm.free_port()
    service("ssh-up.sh", folder, 2, port)
    before = (folder / "h1.pid").read_text()

    try:
        service("ssh-up.sh", folder, 2, port)
        after = (folder / "h1.pid").read_text()
        said = [output("ssh", "-F", folder / "ssh_config", host, "echo here") for host in HOSTS]
    finally:
        service("ssh-down.sh", folder)
        service("ssh-down.sh", folder)

    assert ["here\n", "here\n"] == said
    assert before == after
    assert not folder.exists()
    assert not Path(f"/proc/{before.strip()}/cwd").exists()


def test_mpirun_starts_more_ranks_than_there_are_cores(folder: Path) -> None:
    """With the settings of the service, for root as for others."""
    service("mpi-up.sh", folder)

    said = output("sh", "-c", f". {folder}/env.sh; mpirun -np 4 echo here")

    assert 4 == said.split().count("here")


def test_two_machines_reach_each_other() -> None:
    """Each has an address of its own, and both are gone after the end."""
    name = f"hs{secrets.token_hex(3)}"
    service("netns-up.sh", name)

    try:
        route = output("ip", "netns", "exec", f"{name}-a", "ip", "route", "get", "10.99.0.2")
    finally:
        service("netns-down.sh", name)
        service("netns-down.sh", name)

    assert "src 10.99.0.1" in route
    assert name not in output("ip", "netns", "list")


def test_slurm_runs_a_job_on_two_nodes_and_qsub_another(farm: Farm, folder: Path) -> None:
    """Each node answers by its name; what was brought up twice is there once."""
    port = farm.free_port()
    service("slurm-up.sh", folder, 2, port)
    before = (folder / "run" / "slurmctld.pid").read_text()
    conf = {"SLURM_CONF": str(folder / "slurm.conf")}

    try:
        service("slurm-up.sh", folder, 2, port)
        after = (folder / "run" / "slurmctld.pid").read_text()
        said = output("srun", "-N2", "sh", "-c", "echo $SLURMD_NODENAME", **conf)
        (folder / "job").write_text("#!/bin/sh\ntrue\n")
        job = output("qsub", "-o", "/dev/null", "-e", "/dev/null", folder / "job", **conf)
    finally:
        service("slurm-down.sh", folder)
        service("slurm-down.sh", folder)

    assert ["n1", "n2"] == sorted(said.split())
    assert job.strip().split(".")[0].isdigit()
    assert before == after
    assert not folder.exists()
