"""Server directories and access files of a farm, used as people use them: without -H, -p and -k."""

import json
import os
import pty
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypershell.access.access_file import open_text, read_text
from hypershell.access.endpoints import Access
from hypershell.access.keyring import Keyring, keyring
from tests.helpers.farm import PROGRAM, PROMPT, Farm, Process
from tests.helpers.waiting import until

NOBODY = 65534

_UP = r"server (\w+) is listening on (\S+): port (\d+) for workers .*, port (\d+)"


class Site:
    """One server directory of a farm, and the environment in which it is used."""

    def __init__(self, farm: Farm, name: str = "site") -> None:
        farm.environment.pop("HYPERSHELL_AUTH", None)
        self.farm = farm
        self.path = farm.folder / name
        self.environment: dict[str, str] = {}

    def start(self, *words: object, **popen: Any) -> Process:
        """Start `hyper-shell WORDS` with this directory."""
        place = ("--server-dir", self.path)
        head, tail = words, ()
        if "--" in words:
            head, tail = words[: words.index("--")], words[words.index("--") :]
        return self.farm.start(*head, *place, *tail, env=self.environment, **popen)

    def run(self, *words: object, seconds: float = PROMPT, **popen: Any) -> Process:
        """Run `hyper-shell WORDS` with this directory to its end."""
        process = self.start(*words, **popen)
        process.wait(seconds)
        return process

    def serve(self, *options: object, **popen: Any) -> Process:
        """Start a server that stays, and wait until it can be found."""
        return until_up(self.start("server", "start", *options, **popen))

    def client(self, *options: object, **popen: Any) -> Process:
        """Start a client, and wait until it has joined."""
        client = self.start("client", *options, **popen)
        client.expect("joined the server as client")
        return client

    def submit(self, *words: str) -> list[int]:
        """Submit one command; its id."""
        submit = self.run("submit", "--", *words)
        assert 0 == submit.wait(), submit.err
        return [int(number) for number in submit.out.split()]

    def info(self) -> dict[str, Any]:
        """What the server says of itself."""
        info = self.run("server", "info", "--json")
        assert 0 == info.wait(), info.err
        facts: dict[str, Any] = json.loads(info.out)
        return facts

    def stop(self, *options: str) -> None:
        """Stop the server."""
        stop = self.run("server", "stop", *options, seconds=30.0)
        assert 0 == stop.wait(), stop.err

    def access(self, run: str = "current") -> Access:
        """What the access file of a run opens."""
        return opened(self.path / run / "access.json", self.farm.environment | self.environment)

    def record(self, run: str = "current") -> dict[str, Any]:
        """The record of a run."""
        record: dict[str, Any] = json.loads((self.path / run / "server.json").read_text())
        return record

    def runs(self) -> list[str]:
        """The names of the runs' directories."""
        return sorted(path.name for path in self.path.iterdir() if path.name.isdigit())

    def is_clean(self) -> bool:
        """Whether no server has this directory, and the last one ended well."""
        left = {"current", "claim"} & {path.name for path in self.path.iterdir()}
        return not left and self.record(self.runs()[-1])["ended"] is not None


def until_up(server: Process) -> Process:
    """A server, once it can be found by its directory."""
    server.expect(_UP)
    return server


def uid_of(server: Process) -> str:
    """By which name a server calls itself."""
    return server.expect(_UP)[1]


def read(path: Path, ring: Keyring) -> Access:
    """What an access file opens, without asking anybody; AccessFileMissing, Refused."""
    return open_text(read_text(path), path, ring)


def opened(path: Path, environment: Mapping[str, str]) -> Access:
    """What an access file opens for who has this environment."""
    return read(path, keyring(None, environment))


def generate(farm: Farm, name: str, *options: object, worker: int = 1, client: int = 2) -> Path:
    """Make an access file beforehand; the ports matter only where a server is to listen."""
    ports = ("--worker-port", worker, "--client-port", client)
    process = farm.run("server", "generate-access", name, *ports, *options)
    assert 0 == process.wait(), process.err
    return farm.folder / name


def free_ports(farm: Farm) -> tuple[int, int]:
    """Two ports that are free now."""
    first = farm.free_port()
    second = until(lambda: _other(farm, first), PROMPT, "a second free port")
    return first, second


def _other(farm: Farm, port: int) -> int:
    other = farm.free_port()
    return 0 if other == port else other


def complaint(process: Process, code: int, *patterns: str) -> None:
    """It ended with this code and two lines, an error and a hint, that say these things."""
    assert code == process.wait(), f"{process.popen.returncode}: {process.err}"
    said = [line for line in process.err.splitlines() if re.match("hyper-shell: error|hint:", line)]
    assert 2 == len(said), process.err
    assert said[0].startswith("hyper-shell: error: ")
    assert said[1].startswith("hint: ")
    for pattern in patterns:
        assert re.search(pattern, "\n".join(said)), f"no {pattern!r} in\n{process.err}"


class Terminal:
    """A command under way on a terminal of its own, which is also where it asks."""

    def __init__(self, farm: Farm, *words: object, **env: str) -> None:
        self.start(farm, [*PROGRAM, *map(str, words)], env)

    def start(self, farm: Farm, command: list[str], env: dict[str, str]) -> None:
        """Start the command, which has this terminal for its own."""
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self._text = ""
        self.process = farm.spawn(
            ["setsid", "--ctty", *command],
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=False,
        )
        os.close(slave)

    @property
    def text(self) -> str:
        """What it has shown so far."""
        try:
            while data := os.read(self._master, 4096):
                self._text += data.decode("utf-8", "replace")
        except OSError:
            pass  # nothing more for now, or the end
        return self._text

    def answer(self, prompt: str, word: str) -> None:
        """Wait until it has asked this, and type a line."""
        until(lambda: prompt in self.text, PROMPT, f"{prompt!r} on the terminal: {self.text!r}")
        self.press(word.encode() + b"\n")

    def press(self, keys: bytes) -> None:
        """Press these keys."""
        os.write(self._master, keys)

    def expect(self, text: str) -> None:
        """Wait until it shows this."""
        until(lambda: text in self.text, PROMPT, f"{text!r} on the terminal: {self.text!r}")

    def wait(self, seconds: float = PROMPT) -> int:
        """Its exit status."""
        until(lambda: (self.text, self.process.popen.poll())[1] is not None, seconds, "its end")
        return self.process.wait()
