"""Bytes of lines and files as text, and back: what is not UTF-8 stands as a lone surrogate.

Where the file system's encoding is UTF-8, as nearly everywhere, it is that of `os.fsdecode`.
"""


def text_of(data: bytes) -> str:
    """Any bytes as text."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """What `text_of` was given; UnicodeEncodeError for a surrogate that it never makes."""
    return text.encode("utf-8", "surrogateescape")
