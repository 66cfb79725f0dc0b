"""The systems ours is measured against: where they are, which version, and how to install them.

`python benchmarks/peers.py` installs what is missing: GNU parallel with apt, the two others with
pip, each in a virtual environment of its own under `~/.cache/hyper-shell-bench`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hyper-shell-bench"
INSTALL = f"{Path(sys.executable).name} benchmarks/peers.py"


@dataclass(frozen=True, slots=True)
class Peer:
    """A system by its name; `package` and `version` are pip's, empty for one of the machine's."""

    name: str
    program: str
    package: str = ""
    version: str = ""

    def path(self) -> str | None:
        """Its program, or None if it is not installed."""
        if not self.package:
            return shutil.which(self.program)
        program = self.home() / "bin" / self.program
        return str(program) if program.exists() and self._imports() else None

    def home(self) -> Path:
        return CACHE / f"{self.package}-{self.version}"

    def _imports(self) -> bool:
        return any(self.home().glob(f"lib/python*/site-packages/{self.package}"))

    def missing(self) -> str:
        """What to say when it is not there."""
        wanted = f"{self.package}=={self.version}" if self.package else self.program
        return f"{self.name} is not installed ({wanted}): skipped. `{INSTALL}` installs it."

    def found_version(self) -> str:
        if self.path() is None:
            return "not installed"
        return self.version or version_line([self.program, "--version"])

    def install(self) -> None:
        if not self.package:
            prefix = [] if os.geteuid() == 0 else ["sudo"]
            subprocess.run([*prefix, "apt-get", "install", "-y", self.program], check=True)
            return
        subprocess.run([sys.executable, "-m", "venv", str(self.home())], check=True)
        pip = [str(self.home() / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"{self.package}=={self.version}"], check=True)


XARGS = Peer("xargs", "xargs")
PARALLEL = Peer("GNU parallel", "parallel")
# Its name on PyPI is `hypershell`; `hyper-shell` there is an older line that ends with 2.5.1.
HYPERSHELL = Peer("HyperShell", "hsx", "hypershell", "2.8.2")
HYPERQUEUE = Peer("HyperQueue", "python", "hyperqueue", "0.27.0")
PEERS = (XARGS, PARALLEL, HYPERSHELL, HYPERQUEUE)


def version_line(command: list[str]) -> str:
    """The first line a program says about itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (done.stdout or done.stderr or "unknown").strip().splitlines()[0]


def main() -> int:
    for peer in PEERS:
        if peer.path() is None:
            print(f"installing {peer.name} ...", flush=True)
            try:
                peer.install()
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{peer.name}: {error}", file=sys.stderr)
        print(f"{peer.name}: {peer.found_version()}")
    return 0 if all(peer.path() for peer in PEERS) else 1


if __name__ == "__main__":
    raise SystemExit(main())
