"""What `hyper-shell access` does."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from hypershell.access.access_file import inspect, write
from hypershell.access.keyring import keyring
from hypershell.app.locate import read_asking
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import write_facts
from hypershell.core.errors import UsageError


def show(parsed: Parsed) -> int:
    """Show what a file says of itself, and whether a seal of ours vouches for it."""
    path = Path(parsed.text("FILE") or "")
    seen = inspect(path, keyring(parsed.text("--passphrase-file"), os.environ))
    facts: dict[str, object] = {
        "file": str(path),
        "verified": seen.verified,
        "part": seen.part,
        "format": seen.format,
        "made by": f"hyper-shell {seen.program}",
        "server uid": seen.server_uid,
        "sealed by": seen.recipe.by,
    }
    if seen.recipe.key_id:
        facts["seal key"] = seen.recipe.key_id
    for plane, (host, port) in seen.addresses.items():
        facts[f"{plane} plane"] = f"{host} port {port}"
    if parsed.flag("--json"):
        print(
            json.dumps({name.replace(" ", "_"): value for name, value in facts.items()}, indent=2)
        )
        return 0
    facts["verified"] = "yes" if seen.verified else "unverified: it cannot be opened here"
    write_facts(facts.items())
    return 0


def reseal(parsed: Parsed) -> int:
    """Write a file that opens the same, with another seal."""
    path, out = Path(parsed.text("FILE") or ""), Path(parsed.text("OUT") or "")
    old = keyring(parsed.text("--old-passphrase-file"), os.environ)
    access = read_asking(path, old)
    new = keyring(parsed.text("--passphrase-file"), os.environ)
    if new.passphrase is None and sys.stdin is not None and sys.stdin.isatty():
        new = replace(new, passphrase=_new_passphrase(out))
    write(out, access, new.new_seal())
    return 0


def _new_passphrase(out: Path) -> bytes | None:
    """A passphrase from the terminal, given twice; None to seal with the key file."""
    import getpass

    first = getpass.getpass(f"Passphrase for {out} (none: your seal key): ")
    if first and first != getpass.getpass("Again: "):
        raise UsageError(
            "the two passphrases differ; nothing was written", "access", "run it again"
        )
    return os.fsencode(first) or None
