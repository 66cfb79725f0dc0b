"""A client in a terminal: what runs there cannot ask the terminal for anything."""

import pytest

from tests.helpers.access import Terminal


@pytest.mark.parametrize(
    "line",
    ["stty -echo < /dev/tty", "read word < /dev/tty", "timeout 60 sh -c 'echo ask > /dev/tty'"],
)
def test_a_task_that_asks_the_terminal_fails_at_once(farm, line):
    """It would be stopped for ever otherwise, and its run with it; others are not affected."""
    server = farm.start_server([line, "echo fine > file"])

    client = Terminal(farm, "client", "-p", server.port)

    assert 1 == server.wait()
    assert 0 == client.wait()
    assert "No such device or address" in client.text or "cannot open" in client.text
    assert "fine\n" == (farm.folder / "file").read_text()
