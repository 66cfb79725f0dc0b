"""A shell with job control, on a terminal of its own, as people use it."""

import shlex
import signal

from tests.helpers.access import PROMPT, Terminal
from tests.helpers.farm import PROGRAM, Farm
from tests.helpers.waiting import until

CTRL_C, CTRL_Z = b"\x03", b"\x1a"


class Shell(Terminal):
    """An interactive bash in a farm's directory."""

    def __init__(self, farm: Farm) -> None:
        self.start(farm, ["bash", "--norc", "--noprofile", "-i"], {"PS1": "> "})
        self._marks = 0

    def type(self, line: str) -> None:
        """Type a line, in which $HYPERSHELL stands for the program."""
        self.press(line.replace("$HYPERSHELL", shlex.join(PROGRAM)).encode() + b"\n")

    def stop_job(self) -> None:
        """Press Ctrl-Z, and wait until the shell has the terminal back."""
        before = self.text.count("Stopped")
        self.press(CTRL_Z)
        until(lambda: self.text.count("Stopped") > before, PROMPT, f"a stop in {self.text!r}")

    def close(self) -> None:
        """Hang up, as a window that is closed."""
        self.process.signal(signal.SIGHUP)
        self.process.signal(signal.SIGCONT)
        self.wait()

    def status(self, seconds: float) -> int:
        """Wait until the shell takes a line again; the exit status of the last command."""
        self._marks += 1
        mark = f"status {self._marks} is "
        self.type(f"echo 'status {self._marks}' is $?.")
        until(lambda: mark in self.text, seconds, f"the status in {self.text!r}")
        return int(self.text.rpartition(mark)[2].partition(".")[0])
