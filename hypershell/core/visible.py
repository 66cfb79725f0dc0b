"""Text of others made fit for a terminal: the only function that does so.

What tasks print, lines, tags, names of files and hosts, and what a peer says may hold what moves a
cursor, changes a title, answers for the user, or turns the direction of text. Whatever of it a
person is shown goes through here first; what programs read (csv, json, files) stays byte for byte.
"""


def visible(text: str | bytes, stand_in: str | None = None) -> str:
    """One line of printable characters; others as an escape, or as `stand_in` if there is one.

    Bytes that are not UTF-8 are shown as `\\udcff`, or as U+FFFD beside a `stand_in`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape" if stand_in is None else "replace")
    if text.isprintable():  # which excludes all controls, also of C1 and of direction
        return text
    if stand_in is not None:
        return "".join(each if each.isprintable() else stand_in for each in text)
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
