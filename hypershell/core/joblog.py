"""Lines of a job log as GNU parallel writes it, and as its `--resume-failed` and others read it."""

from hypershell.core.ending import Code, Ending
from hypershell.core.one_line import one_line

JOBLOG_HEADER = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"


def joblog_line(
    task_id: int,
    host: str,
    started_at: float,
    seconds: float,
    ending: Ending,
    code: int,
    command: bytes,
) -> bytes:
    """A task by its last attempt, with the newline. Its command is there as one line.

    Nothing is sent or received for a task. Where no process exited, the exit value is that of the
    ending: -1, or 126 where none could be started. A host that is not known is "-".
    """
    exit_value = code if ending.code_is is Code.EXIT_STATUS else ending.exit_value
    number = code if ending.code_is is Code.SIGNAL else 0
    facts = f"{task_id}\t{host or '-'}\t{started_at:.3f}\t{seconds:10.3f}\t0\t0"
    return f"{facts}\t{exit_value}\t{number}\t".encode() + one_line(command) + b"\n"
