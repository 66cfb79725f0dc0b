"""When a batch system ends the job, as far as its variables tell."""

import pytest

from hypershell.runtime import clock
from hypershell.runtime.wall_time import job_seconds_left


def test_slurm_tells_the_moment():
    """In seconds since the epoch; one that has passed leaves nothing."""
    now = int(clock.wall())

    assert 99 <= job_seconds_left({"SLURM_JOB_END_TIME": f"{now + 100}"}) <= 100
    assert 0 == job_seconds_left({"SLURM_JOB_END_TIME": f"{now - 100}"})


def test_torque_tells_the_length():
    """Which counts from the start of the job: the session of this process is not older."""
    left = job_seconds_left({"PBS_WALLTIME": "1000000000"})

    assert left is not None
    assert 0 < left <= 10**9


@pytest.mark.parametrize(
    "variables",
    [{}, {"SLURM_JOB_END_TIME": ""}, {"PBS_WALLTIME": "01:00:00"}, {"SLURM_JOB_ID": "7"}],
)
def test_where_nothing_tells_there_is_no_end(variables):
    """Or nothing that can be read."""
    assert job_seconds_left(variables) is None
