"""Measures hyper-shell beside its peers and prints one table per subject.

python benchmarks/run.py [--only SUBJECT ...] [--rounds N] [--slots N ...] [--quick]
    [--write [FILE]]
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import farm
from peers import PEERS
from settings import Settings
from tables import Figure, Report, figures_table, render

SUBJECTS = ("startup", "latency", "throughput", "dispatch", "memory", "idle_clients", "database")
RESULTS = Path(__file__).with_name("RESULTS.rst")


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=SUBJECTS, help="may be repeated")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 3, quick 1)")
    parser.add_argument(
        "--slots", type=int, action="append", help="tasks at a time (default 2 and 4, quick 2)"
    )
    parser.add_argument("--quick", action="store_true", help="a look, not for the record")
    parser.add_argument("--write", nargs="?", type=Path, const=RESULTS, metavar="FILE")
    chosen = parser.parse_args(arguments)
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds: at least 1")
    return chosen


def measure(name: str, settings: Settings) -> tuple[Report, str]:
    """One subject's report and the notes that go with all of its tables."""
    module = importlib.import_module(name)
    began = time.perf_counter()
    print(f"{name} ...", file=sys.stderr, flush=True)
    report: Report = module.measure(settings)
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return report, str(module.NOTES)


def machine() -> list[str]:
    """Where and with what this was measured."""
    uname = platform.uname()
    cpus = len(os.sched_getaffinity(0))
    lines = [
        f"Date: {time.strftime('%Y-%m-%d')}",
        f"Machine: {cpus} usable cores, {_cpu_model()}, {_memory_gb():.0f} GB",
        f"Load before: {os.getloadavg()[0]:.1f}",
        f"System: {uname.system} {uname.release} {uname.machine}, {_distribution()}",
        f"Python: {platform.python_version()}",
        f"hyper-shell: {farm.version()}",
    ]
    return lines + [f"{peer.name}: {peer.found_version()}" for peer in PEERS]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return "unknown distribution"


def document(
    arguments: Sequence[str], where: list[str], found: list[tuple[str, Report, str]]
) -> str:
    """All of it as one page of reStructuredText."""
    command = shlex.join(["python", "benchmarks/run.py", *arguments])
    parts = ["Benchmark results\n=================\n"]
    quick = " A quick look: short runs, not for the record." if "--quick" in arguments else ""
    parts.append(f"Written by ``{command}``.{quick}\n")
    parts.append("\n".join(f"- {line}" for line in where) + "\n")
    figures: list[Figure] = [figure for _, report, _ in found for figure in report.figures]
    if figures:
        parts.append(render(figures_table(figures)))
    for name, report, notes in found:
        tables = [table for table in report.tables if table.rows]
        parts += [render(table) for table in tables]
        if tables:
            parts.append(f"About {name}:\n\n{notes}")
    skipped = [f"- {name}: {text}" for name, report, _ in found for text in report.skipped]
    if skipped:
        parts.append("Skipped\n-------\n\n" + "\n".join(skipped) + "\n")
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    chosen = options(arguments)
    where, found = machine(), []
    with tempfile.TemporaryDirectory(prefix="hyper-shell-bench-") as place:
        slots = tuple(chosen.slots or ((2,) if chosen.quick else (2, 4)))
        rounds = chosen.rounds or (1 if chosen.quick else 3)
        for name in [name for name in SUBJECTS if name in (chosen.only or SUBJECTS)]:
            report, notes = measure(name, Settings(Path(place), rounds, chosen.quick, slots))
            found.append((name, report, notes))
    text = document(arguments, where, found)
    print(text)
    if chosen.write:
        chosen.write.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
