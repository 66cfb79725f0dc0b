"""Runs what a page of the manual shows in its console blocks, and compares what comes out.

All commands of a page run in one shell, in order, in an empty home directory. `$ cat FILE` of a
file that is not there yet makes the file as it is shown. A command ends with 0, unless the page
asks for its status next, by `echo $?`. Where output is shown it is compared, its lines in any
order: `...` stands for any text, or alone for any lines; a time of day and a duration or rate for
any other. Port 50001, which others on this machine may use, is replaced by a free one.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.farm import PROGRAM, Farm, Process
from tests.helpers.stand_in import StandIns

_BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n((?:\n|   .*\n)+)", re.MULTILINE)
_ANY = re.compile(r"(\.\.\.)|(\d\d:\d\d:\d\d)|(\d+(?:\.\d+)? (?:s|ms|tasks/s)\b)")
_ANY_OF_IT = (".*", r"\d\d:\d\d:\d\d", r"[\d.,]+ (?:s|ms|tasks/s)")


@dataclass(slots=True)
class Command:
    """A command of a page, with the number of its line and what the page shows below it."""

    number: int
    text: str
    shown: list[str] = field(default_factory=list)


def blocks_of(page: Path, language: str) -> Iterator[tuple[int, list[str]]]:
    """The code blocks in a language: the number of the first line, and the lines."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        if found[1] == language:
            body = found[2].strip("\n").splitlines()
            first = text[: found.end(1)].count("\n") + 3
            yield first, [line[3:] for line in body]


def commands_of(page: Path) -> list[Command]:
    """The commands of the console blocks of a page, in order."""
    commands: list[Command] = []
    for first, lines in blocks_of(page, "console"):
        begun = len(commands)
        for number, line in enumerate(lines, first):
            if line.startswith("$ "):
                commands.append(Command(number, line[2:]))
            else:
                assert len(commands) > begun, f"{page.name}:{number}: output of no command"
                commands[-1].shown.append(line)
    for command in commands:
        while command.shown and not command.shown[-1]:
            command.shown.pop()
    return commands


def script_of(commands: list[Command], outputs: Path) -> str:
    """A script for bash that runs the commands, with their output and status in files."""
    lines = ["status=0"]
    for position, command in enumerate(commands):
        made = re.fullmatch(r"cat ([\w.-]+)", command.text)
        if made and command.shown:
            content = " ".join(map(shlex.quote, command.shown))
            lines.append(f"[ -e {made[1]} ] || printf '%s\\n' {content} >{made[1]}")
        out = shlex.quote(str(outputs / f"out-{position}"))
        lines.append(f"(exit $status); eval {shlex.quote(command.text)} >{out} 2>&1")
        lines.append(f"status=$?; echo $status >{shlex.quote(str(outputs / f'status-{position}'))}")
    return "\n".join([*lines, "exit 0", ""])


def run(commands: list[Command], farm: Farm, seconds: float) -> Path:
    """Run the commands of a page to their end; the directory that has what they printed."""
    home, outputs, binaries = (farm.folder / name for name in ("home", "outputs", "bin"))
    for folder in (home, outputs, binaries):
        folder.mkdir()
    script = farm.folder / "script.sh"
    script.write_text(script_of(commands, outputs).replace("50001", str(farm.free_port())))
    environment = {"HOME": str(home), "PATH": f"{binaries}:{farm.environment['PATH']}"}
    shell = ["env", "-u", "HYPERSHELL_AUTH", "bash", str(script)]
    with StandIns() as stand_ins:
        program = binaries / "hyper-shell"
        if any("kill -9" in command.text for command in commands):
            program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
            program.chmod(0o755)
        else:
            stand_ins.write(program)
        process: Process = farm.spawn(shell, env=environment, cwd=home)
        assert 0 == process.wait(seconds)
        farm.wait_until_gone()
    return outputs


def differences(commands: list[Command], outputs: Path) -> list[str]:
    """What came out otherwise than the page says, one text for each command."""
    found = []
    for position, command in enumerate(commands):
        status = (outputs / f"status-{position}").read_text().strip()
        printed = (outputs / f"out-{position}").read_text("utf-8", "replace").splitlines()
        following = commands[position + 1].text if position + 1 < len(commands) else ""
        report = f"line {command.number}: $ {command.text}\n" + "\n".join(printed)
        if status != "0" and following != "echo $?":
            found.append(f"status {status} of {report}")
        elif command.shown and not is_as_shown(command.shown, printed):
            found.append(f"other output of {report}")
    return found


def is_as_shown(shown: list[str], printed: list[str]) -> bool:
    """Whether these lines were printed, in any order, and no others unless the page says so."""
    left = list(printed)
    for line in shown:
        if line == "...":
            continue
        hit = next((each for each in left if pattern_of(line).fullmatch(each)), None)
        if hit is None:
            return False
        left.remove(hit)
    return "..." in shown or not any(line.strip() for line in left)


def pattern_of(line: str) -> re.Pattern[str]:
    """What a shown line stands for; empty lines and spaces at its end do not count."""
    parts, end = [], 0
    for found in _ANY.finditer(line):
        parts.append(re.escape(line[end : found.start()]))
        parts.append(_ANY_OF_IT[(found.lastindex or 1) - 1])
        end = found.end()
    return re.compile("".join([*parts, re.escape(line[end:])]).rstrip() + r"\s*")
