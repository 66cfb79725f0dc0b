"""Broken surroundings and odd command lines: each ends with a status of ours and no traceback.

Each surrounding of `tests/helpers/surroundings.py` meets several verbs; SURROUNDINGS_SEED is the
seed of the command lines.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.helpers.farm import PROGRAM, ROOT, Farm
from tests.helpers.surroundings import SURROUNDINGS, Surrounding, script

STATUSES = {0, 1, 2, 3, 4, 5, 6, 129, 143}
FEW = ("HOME is no UTF-8", "no /proc", "9 descriptors")
VERBS = (
    "cluster tasks -N 2 -f failed",
    "server --restart -p 0",
    "client --wait 0.3",
    "submit -- true",
    "list",
    "info 1",
    "failures",
    "retry 1",
    "wait 1 --timeout 0.1",
    "run --timeout 1 -- true",
    "server info",
    "db check",
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A HOME with a file of tasks in it, which other users may enter."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "tasks").write_text("true\nfalse\n")
    for folder in (home, tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "popen-", "home", "test_")):
            folder.chmod(0o755)
    yield home
    subprocess.run(["chmod", "-R", "u+rwX", home], check=False)


def fault_of(farm: Farm, home: Path, surrounding: Surrounding, verb: str) -> str:
    """What a verb does in these surroundings that it must not; empty if all is well."""
    variables = {"HOME": str(home), "PYTHON": sys.executable, **dict(surrounding.variables)}
    text = f'cd "$HOME"\n{script(surrounding, " ".join([*PROGRAM, verb]))}'
    environment = farm.environment | variables
    environment.pop("HYPERSHELL_AUTH", None) if "HYPERSHELL_AUTH" not in variables else None
    environment["PYTHONPATH"] = str(ROOT)
    process = farm.spawn(
        ["env", "-i", *(f"{n}={v}" for n, v in environment.items()), "/bin/sh", "-c", text]
    )
    status = process.wait(60)
    process.may_print_traceback = True  # it is reported here, with what led to it
    if status in STATUSES and not re.search("Traceback|this is a bug", process.err):
        return ""
    return f"{surrounding.name}: `{verb}` ended with {status}\n{process.err}"


@pytest.mark.parametrize("surrounding", [s for s in SURROUNDINGS if s.name in FEW], ids=str)
def test_a_few_broken_surroundings_are_named(farm, home, surrounding):
    """A run and a question, in each."""
    found = [fault_of(farm, home, surrounding, verb) for verb in (VERBS[0], "list")]

    assert ["", ""] == found


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("surrounding", SURROUNDINGS, ids=lambda each: each.name)
def test_broken_surroundings_are_named(farm, home, surrounding):
    """Each verb ends, with a status that tells something."""
    found = [fault_of(farm, home, surrounding, verb) for verb in VERBS]

    assert [] == [text for text in found if text], "\n".join(found)


# Command lines.

WORDS = (
    *("list", "info", "cluster", "server", "client", "submit", "run", "wait", "retry", "cancel"),
    *("delete", "failures", "db", "access", "initdb", "completion", "help", "stop", "start"),
    *("info", "check", "export", "vacuum", "generate-access", "reseal", "--", "-", "--help"),
    *("-N", "-p", "-H", "-k", "-f", "-o", "-r", "-b", "-w", "--run", "--where", "--count", "--all"),
    *("--json", "--csv", "--tag", "--cause", "--lease", "--grace", "--timeout", "--server-dir"),
    *("--database", "--no-db", "--restart", "--resume", "--forever", "--print", "--debug", "-q"),
    *("0", "1", "-1", "1e9", "99999999999999999999", "nan", "inf", "last", "\u0663", "\u00b2"),
    *("", " ", "\t", "\n", "\x1b[2J", "\udcff", "\u202e", "x" * 300, "/dev/null", "/", "/dev/full"),
    *("tasks", "./tasks", "nowhere", "a=b", "state = failed", "((((", "sqlite://", "sqlite:///"),
    *("postgresql://", "::1", "[::1]", "127.0.0.1", "1.2.3.4.5", "a..b", "%s{}", "${HOME}", "*"),
)


def command_line(random: Random) -> list[str]:
    """Words that may stand on a command line, a verb first more often than not."""
    first = [random.choice(WORDS[:17])] if random.random() < 0.9 else []
    words = first + random.choices(WORDS, k=random.randrange(6))
    # What would serve or look for a server is to end by itself.
    wait = ["--wait", "0.2"] if first == ["client"] and "--" not in words else []
    return [word.replace("\0", "") for word in words + wait]


def odd_lines(farm: Farm, home: Path, number: int, seed: int) -> list[str]:
    """What so many command lines do that they must not."""
    random, found = Random(seed), []
    for _ in range(number):
        words = command_line(random)
        command = [*PROGRAM, *(os.fsencode(word) for word in words)]
        environment = farm.environment | {"HOME": str(home)}
        environment.pop("HYPERSHELL_AUTH")
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, err = process.communicate(timeout=8)
        except subprocess.TimeoutExpired:
            process.terminate()  # it serves, or waits for a server
            _, err = process.communicate(timeout=30)
        is_asked_for = "--debug" in words
        if process.returncode not in STATUSES | {130}:
            found.append(f"{words} ended with {process.returncode}\n{err.decode(errors='replace')}")
        elif not is_asked_for and re.search(b"Traceback|this is a bug", err):
            found.append(f"{words}\n{err.decode(errors='replace')}")
    return found


def test_some_odd_command_lines_are_understood_or_refused(farm, home):
    """None ends with 70 or a traceback."""
    assert [] == odd_lines(farm, home, 10, 1)


@pytest.mark.campaign
@pytest.mark.timeout(3000)
def test_odd_command_lines_are_understood_or_refused(farm, home):
    """The same of 300."""
    seed = int(os.environ.get("SURROUNDINGS_SEED", "2"))

    found = odd_lines(farm, home, 300, seed)

    assert [] == found, "\n".join(found)
