"""Text of others on a terminal: nothing in it moves a cursor, sets a title or turns a line."""

import contextlib
import os
import pty
import threading
import unicodedata
from collections.abc import Iterator

import pytest

from tests.helpers.access import Site

EVIL = "A\x1b]0;title\x07\x1b[2J\x1bPdcs\x1b\\\x9b31m\u202egnp.\u2066\x08\x7f\rB"
"""OSC, CSI, DCS, a C1 control, both kinds of direction, backspace, DEL and carriage return."""

VERBS = {
    "list": ("list",),
    "list plain": ("list", "line", "tags", "--format", "plain"),
    "list csv": ("list", "line", "tags", "--format", "csv"),
    "list json": ("list", "line", "tags", "--format", "json"),
    "info": ("info", "1"),
    "info json": ("info", "1", "--json"),
    "failures": ("failures",),
    "failures json": ("failures", "--json"),
    "db check": ("db", "check"),
    "db export": ("db", "export"),
    "db export csv": ("db", "export", "--format", "csv"),
    "db export joblog": ("db", "export", "--format", "joblog"),
    "cluster": ("cluster", "tasks-0", "-f", f"f{EVIL}", "-e", f"e{EVIL}", "-v"),
    "server info": ("server", "info", "--server-dir", EVIL),
    "an unknown file": ("server", EVIL),
    "an unknown verb": (EVIL,),
    "an unknown field": ("list", EVIL),
    "a wrong condition": ("list", "--where", EVIL),
    "an access file": ("access", "info", EVIL),
}


class Terminal:
    """A terminal, and all that was shown on it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._shown: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # as its last user hangs up
            while data := os.read(self._ours, 65536):
                self._shown.append(data)

    def close(self) -> str:
        """All that was shown, once nobody writes to it any more."""
        os.close(self.theirs)
        self._reader.join(10)
        os.close(self._ours)
        return b"".join(self._shown).decode("utf-8")


@pytest.fixture(scope="module")
def evil_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A database whose tasks have such text in their line, their tags and what they printed."""
    from tests.helpers.farm import Farm

    farm = Farm(tmp_path_factory.mktemp("evil"))
    site = Site(farm)
    quoted = EVIL.encode("unicode_escape").decode().replace("\\x", "\\\\x")
    printed = "".join(f"\\{byte:03o}" for byte in EVIL.encode())
    farm.write_lines([f"printf '{printed}' >&2; exit 1; # {EVIL}{quoted}"])
    site.run("cluster", "tasks-0", "-q").wait()
    yield site
    farm.close()


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_no_verb_lets_text_of_others_steer_a_terminal(evil_site: Site, words: tuple[str, ...]):
    """Lines, tags, what tasks print last, names of files and words of the command line."""
    terminal = Terminal()

    process = evil_site.run(*words, stdout=terminal.theirs, stderr=terminal.theirs)
    status = process.wait()
    shown = terminal.close()

    assert status in (0, 1, 2, 3, 4, 5)
    steering = {
        character
        for character in shown.replace("\r\n", "\n")
        if character not in "\n\t" and unicodedata.category(character)[0] == "C"
    }
    assert set() == steering
    assert shown
