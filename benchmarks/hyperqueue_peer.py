"""Runs a file of lines under HyperQueue; started by `throughput.py` with that peer's own Python.

    python hyperqueue_peer.py FILE CORES

A server and one worker in this process, no journal, no output files, each line under `sh -c`.
"""

# mypy: ignore-errors
# Never imported by the harness: `hyperqueue` exists only where this runs.

import sys
from pathlib import Path

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def main() -> int:
    lines = Path(sys.argv[1]).read_text().splitlines()
    with LocalCluster(worker_config=WorkerConfig(cores=int(sys.argv[2]))) as cluster:
        client = cluster.client()
        job = Job(max_fails=None)
        for line in lines:
            job.program(["sh", "-c", line], stdout=None, stderr=None)
        return 0 if client.wait_for_jobs([client.submit(job)], raise_on_error=False) else 1


if __name__ == "__main__":
    raise SystemExit(main())
