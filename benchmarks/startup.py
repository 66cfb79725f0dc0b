"""How long `--version` and `--help` take, beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import farm
import peers
from settings import Settings
from tables import Figure, Report, Table, median

LIMIT_MS = 80.0
WORDS = ("--version", "--help")
NOTES = """\
- Each command takes its turn in every round; ``python -c pass`` is the floor.
"""


def measure(settings: Settings) -> Report:
    report = Report()
    commands = {"python -c pass": [sys.executable, "-c", "pass"]}
    if missing := farm.missing():
        report.skipped.append(missing)
    else:
        commands |= {f"hyper-shell {word}": [*farm.PROGRAM, word] for word in WORDS}
    if peers.HYPERSHELL.path():
        old = str(peers.HYPERSHELL.home() / "bin" / "hs")
        commands["HyperShell 2.8.2 --version"] = [old, "--version"]
    else:
        report.skipped.append(peers.HYPERSHELL.missing())
    times = _times(commands, settings)
    table = Table("Start-up", ("command", "best, ms", "median, ms", "runs"))
    for name, found in times.items():
        table.rows.append((name, f"{min(found):.0f}", f"{median(found):.0f}", str(len(found))))
        if name.startswith("hyper-shell "):
            report.figures.append(Figure(f"{name}, median", median(found), LIMIT_MS, "ms"))
    report.tables.append(table)
    return report


def _times(commands: dict[str, list[str]], settings: Settings) -> dict[str, list[float]]:
    """Milliseconds of every run. The first, which may still write bytecode, does not count."""
    clean = farm.clean_environment(settings.place)
    clean["HYPERSHELL_SITE"] = str(settings.place / "hypershell-site")
    ours = farm.Farm(settings.place).environment()
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(1 + settings.some(20, 5)):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(
                command,
                cwd=settings.place,
                env=ours if command[:3] == list(farm.PROGRAM) else clean,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            if turn:
                times[name].append((time.perf_counter() - began) * 1000)
    return times
