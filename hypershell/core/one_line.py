"""A command of several lines as one line, for lists that have a command on each line."""

_ESCAPES = (
    (b"\\", b"\\\\"),
    (b"%", b"%%"),
    (b"\n", b"\\n"),
    (
        b"HYPERSHELL:",
        b"HYPERSHELL\\072",
    ),  # keeps tags inside the command from being read as tags of the line
)
"""What stands for a character, or some, in a format of printf."""


def one_line(command: bytes) -> bytes:
    """A command that may have newlines in it, as one line that does the same in any shell."""
    command = command.rstrip(b"\n")
    if b"\n" not in command:
        return command
    for character, escape in _ESCAPES:
        command = command.replace(character, escape)
    # The space keeps printf from taking a leading dash for an option.
    return b"eval \"$(printf ' " + command.replace(b"'", b"'\\''") + b"')\""
