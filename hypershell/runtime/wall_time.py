"""When a batch system ends the job that this process is in, as far as its variables tell.

Slurm tells the moment in SLURM_JOB_END_TIME (sbatch(1) of Slurm 22.05 and later), in seconds since
the epoch; Torque tells the length of the job in PBS_WALLTIME (qsub(1B) of Torque 6.1), in seconds,
which count from the job's start: that of the session of this process. PBS Pro tells neither.
"""

import os
import re
from collections.abc import Mapping

from hypershell.runtime import clock, procfs

_NUMBER = re.compile(r"[1-9]\d{0,11}", re.ASCII)


def job_seconds_left(environ: Mapping[str, str]) -> float | None:
    """Seconds until the job ends; None in no job, or in one without an end that is known."""
    end = environ.get("SLURM_JOB_END_TIME", "")
    if _NUMBER.fullmatch(end):
        return max(0.0, int(end) - clock.wall())
    length = environ.get("PBS_WALLTIME", "")
    if _NUMBER.fullmatch(length):
        return max(0.0, int(length) - _session_age())
    return None


def _session_age() -> float:
    """Seconds since the first process of this session began; 0 if that cannot be told."""
    began = procfs.began(os.getsid(0))
    if began is None:
        return 0.0
    return max(0.0, clock.boottime() - began / os.sysconf("SC_CLK_TCK"))
