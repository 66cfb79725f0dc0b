"""What a batch system does to jobs: each is done to real ones, and costs no task.

The server runs outside the jobs, as on a login node, or in the job as part of a `cluster`. Time
limits are whole minutes, and a job that is requeued starts some two minutes later.
"""

import re
import shlex
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.farm import PROGRAM, Farm, Process, kill_all
from tests.helpers.fault_table import FaultTable
from tests.helpers.fault_trial import TRIALS, Blow, Trial, strike_again_and_again
from tests.helpers.services import output, service
from tests.helpers.waiting import until

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]

OPTIONS = ("--lease", 10, "--grace", 1)
FEW = max(1, TRIALS // 5)
PATIENCE = 60
LONG = 300


class Slurm:
    """A cluster of four nodes of two CPUs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self.start()

    def start(self) -> None:
        """Start what does not run."""
        service("slurm-up.sh", self.folder, 4, self.port)

    def close(self) -> None:
        """End all of it, with its jobs."""
        service("slurm-down.sh", self.folder)

    def call(self, *words: object, **environment: str) -> str:
        """What a command prints that succeeds."""
        return output(*words, **self.environment, **environment)

    def submit(self, farm: Farm, command: str, *options: object) -> int:
        """A job that runs this command, with `$HYPERSHELL` for the program; its number."""
        program = " ".join(map(shlex.quote, PROGRAM))
        script = farm.folder / f"job-{time.monotonic_ns()}"
        script.write_text(f"#!/bin/sh\n{command.replace('$HYPERSHELL', program)}\n")
        words = ("sbatch", "--parsable", "--open-mode=append", "-o", f"{script}.out")
        said = self.call(*words, "-D", farm.folder, *options, script, **farm.environment)
        return int(said.split(";")[0])

    def state(self, job: int) -> str:
        """Its state, such as RUNNING."""
        found = re.search(r"JobState=(\w+)", self.call("scontrol", "show", "job", job))
        assert found
        return found[1]

    def wait_for_end(self, job: int, seconds: float = PATIENCE) -> None:
        """Until nothing of it runs any more."""
        over = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL")
        until(lambda: self.state(job) in over, seconds, f"job {job} is over")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """One for all these tests, in a folder of a short name that others may enter."""
    with tempfile.TemporaryDirectory(prefix="hyper-shell-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        slurm = Slurm(Path(name) / "slurm", 16817)
        try:
            yield slurm
        finally:
            slurm.close()


CLIENTS = "exec srun --overlap $HYPERSHELL client -H 127.0.0.1 -p {port} -N 2"
CLUSTER = (
    "test -e again && again=--resume; touch again; "
    "exec $HYPERSHELL cluster {path} $again -N 4 --lease 10 --grace 1"
)


def start_clients(slurm: Slurm, trial: Trial, *options: object) -> int:
    """A job with a client on each of two nodes."""
    return slurm.submit(trial.farm, CLIENTS.format(port=trial.farm.port), "-N2", "-n2", *options)


def end_with_other_clients(slurm: Slurm, trial: Trial, server: Process) -> None:
    """Another job takes over, as its user would have it."""
    job = start_clients(slurm, trial)
    assert 1 == server.wait(PATIENCE), server.err
    slurm.call("scancel", job)  # a client that came too late would wait for a server
    slurm.wait_for_end(job)


def test_a_cancelled_job_costs_no_task(slurm, tmp_path, fault_table: FaultTable) -> None:
    """`scancel` sends SIGTERM to every process of the job, the tasks included."""

    def cancel(trial: Trial) -> None:
        server = trial.farm.start_server(trial.path, *OPTIONS)
        job = start_clients(slurm, trial)
        trial.wait_for_moment()
        trial.struck()
        slurm.call("scancel", job)
        trial.noticed(server, "left")
        slurm.wait_for_end(job)
        end_with_other_clients(slurm, trial, server)

    check("Slurm: scancel of the clients' job", cancel, tmp_path, fault_table, TRIALS)


def test_a_cancelled_job_of_a_cluster_costs_no_task(
    slurm, tmp_path, fault_table: FaultTable
) -> None:
    """The server goes with its clients; the same script submitted again does the rest."""

    def cancel(trial: Trial) -> None:
        script = CLUSTER.format(path=trial.path)
        job = slurm.submit(trial.farm, script)
        trial.wait_for_moment()
        slurm.call("scancel", "--full", job)
        slurm.wait_for_end(job)
        slurm.wait_for_end(slurm.submit(trial.farm, script))

    check("Slurm: scancel of a cluster's job", cancel, tmp_path, fault_table, TRIALS)


def test_a_job_at_its_time_limit_costs_no_task(slurm, tmp_path, fault_table: FaultTable) -> None:
    """The same script submitted again does the rest."""

    def run_out(trial: Trial) -> None:
        script = CLUSTER.format(path=trial.path)
        # Slurm looks at limits twice a minute: tasks run from before the first look to the last.
        job = slurm.submit(trial.farm, f"sleep 50; {script}", "-t", 1)
        slurm.wait_for_end(job, LONG)
        assert "TIMEOUT" == slurm.state(job)
        assert trial.farm.read("starts")
        slurm.wait_for_end(slurm.submit(trial.farm, script))

    check("Slurm: time limit", run_out, tmp_path, fault_table, FEW, tasks=500)


def test_a_node_that_goes_down_costs_no_task(slurm, tmp_path, fault_table: FaultTable) -> None:
    """All that runs on it dies at one moment, the tasks, the client and the node's daemon."""

    def lose_node(trial: Trial) -> None:
        server = trial.farm.start_server(trial.path, *OPTIONS)
        job = start_clients(slurm, trial, "--no-requeue")
        trial.wait_for_moment()
        node = slurm.call("squeue", "-h", "-j", job, "-o", "%B").strip()
        trial.struck()
        kill_node(slurm, trial.farm, node)
        trial.noticed(server, "lost contact")
        until(lambda: "DOWN" in slurm.call("sinfo", "-h", "-n", node, "-o", "%T").upper(), 60, "")
        slurm.start()
        slurm.call("scancel", job)
        end_with_other_clients(slurm, trial, server)

    check("Slurm: node DOWN", lose_node, tmp_path, fault_table, FEW)


def kill_node(slurm: Slurm, farm: Farm, node: str) -> None:
    """SIGKILL to the daemon of a node and to all that its jobs run there."""
    daemon = psutil.Process(int((slurm.folder / "run" / f"slurmd-{node}.pid").read_text()))
    on_node = [p for p in farm.alive() if p.environ().get("SLURMD_NODENAME") == node]
    assert on_node
    steps = {parent for p in on_node for parent in p.parents() if parent.name() == "slurmstepd"}
    for process in on_node:
        process.suspend()
    kill_all([daemon, *steps, *on_node])


def test_a_requeued_job_goes_on_where_it_was(slurm, tmp_path, fault_table: FaultTable) -> None:
    """Slurm ends it and starts the same script again."""

    def requeue(trial: Trial) -> None:
        job = slurm.submit(trial.farm, CLUSTER.format(path=trial.path), "--requeue")
        trial.wait_for_moment()
        slurm.call("scontrol", "requeue", job)
        until(lambda: slurm.state(job) == "PENDING", PATIENCE, "it waits again")
        slurm.wait_for_end(job, LONG)

    check("Slurm: requeue", requeue, tmp_path, fault_table, FEW)


def check(
    fault: str, blow: Blow, folder: Path, fault_table: FaultTable, trials: int, tasks: int = 40
) -> None:
    """No task is lost, none runs twice at the same time, and each has the state it deserves."""
    row = strike_again_and_again(fault, blow, folder, trials, tasks)

    fault_table.add(row)
    assert row.is_clean, row
