"""The list of messages has them all, and none is in a dialect of our own."""

import re
from pathlib import Path

import pytest

from tools import messages

ROOT = Path(__file__).parents[2]

DIALECT = re.compile(
    r"\b(?:whoever|anew|so many|right here|to go on|go together|exclude each other|such lines|"
    r"(?<![Tt]here )is no [a-z]+|for dead|told to|tells of|by request|come back to|not heard|"
    r"what is left|a group before it|waited for)\b"
)

SOURCE = '''\
"""Not a message."""

USAGE = f"""\\
Usage:
  try

Text of a paragraph
{OPTIONS}
"""


class Missing(Exception):
    """A file is missing."""

    says = "there is no {path}"
    hint = "give another"


def act(log, path):
    """Not a message either."""
    log.info("acting on %s", path)
    print(f"done with {path} at last")
    if path:
        raise ValueError("not this path")
    return "a text that is shown somewhere"
'''


def test_each_kind_of_message_is_found():
    """In order, with what is filled in; no docstring but that of an error."""
    found = [(each.kind, each.text) for each in messages.messages(SOURCE)]

    assert found == [
        ("help", "Usage:\n  try"),
        ("help", "Text of a paragraph\n{OPTIONS}"),
        ("error class", "A file is missing."),
        ("error", "there is no {path}"),
        ("hint", "give another"),
        ("log", "acting on %s"),
        ("output", "done with {path} at last"),
        ("error", "not this path"),
        ("text", "a text that is shown somewhere"),
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "hypershell").rglob("*.py")), ids=lambda path: path.stem
)
def test_a_message_is_plain_english(path):
    """As a native engineer would say it."""
    found = messages.messages(path.read_text("utf-8"))

    assert [] == [each.text for each in found if DIALECT.search(each.text)]
