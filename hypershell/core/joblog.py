"""Lines of a job log as GNU parallel writes it, and as its `--resume-failed` and others read it."""

from hypershell.core.task import Ending

JOBLOG_HEADER = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

_NOT_EXITED = -1
_NOT_STARTED = 126


def joblog_line(
    task_id: int,
    host: str,
    started_at: float,
    seconds: float,
    ending: Ending,
    code: int,
    command: bytes,
) -> bytes:
    """A task by its last attempt, with the newline.

    Nothing is sent or received for a task. The exit value is -1 where no process exited, and 126
    where none could be started; a host that is not known is "-".
    """
    exit_value, number = _NOT_EXITED, 0
    match ending:
        case Ending.EXITED:
            exit_value = code
        case Ending.SIGNALED:
            exit_value, number = 0, code
        case Ending.UNSTARTABLE:
            exit_value = _NOT_STARTED
    facts = f"{task_id}\t{host or '-'}\t{started_at:.3f}\t{seconds:10.3f}\t0\t0"
    return f"{facts}\t{exit_value}\t{number}\t".encode() + command + b"\n"
