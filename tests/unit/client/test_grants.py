"""What of its client's resources a task is given."""

from hypershell.client.tasks.grants import Grants
from hypershell.core.resources import Needs


def test_no_two_tasks_have_the_same_gpu():
    """As long as both run."""
    grants = Grants(["0", "1", "2", "3"], ["CUDA_VISIBLE_DEVICES"])
    first, second = grants.take(Needs(1, 0, 2)), grants.take(Needs(1, 0, 2))

    grants.release(first)
    third = grants.take(Needs(1, 0, 1))

    assert (("0", "1"), ("2", "3"), ("0",)) == (first.gpus, second.gpus, third.gpus)
    assert b"2,3" == second.variables[b"CUDA_VISIBLE_DEVICES"]


def test_a_task_is_told_what_it_has():
    """In the words that programs know."""
    grant = Grants().take(Needs(3, 5000, 0, (("a-b", 2),)))

    assert {
        b"TASK_CORES": b"3",
        b"OMP_NUM_THREADS": b"3",
        b"TASK_MEMORY": b"5000",
        b"TASK_GPUS": b"0",
        b"TASK_RES_a_b": b"2",
    } == grant.variables


def test_pinned_tasks_have_cores_of_their_own():
    """Next to each other where there are such."""
    grants = Grants(cpus=[0, 1, 2, 3, 8, 9])
    one, pair = grants.take(Needs(1)), grants.take(Needs(2))
    grants.release(one)
    last = grants.take(Needs(2))

    assert ((0,), (1, 2), (8, 9)) == (one.cpus, pair.cpus, last.cpus)


def test_a_client_that_was_told_of_more_cores_than_there_are_pins_nobody():
    """It would leave the task without any."""
    assert () == Grants(cpus=[0, 1]).take(Needs(4)).cpus
