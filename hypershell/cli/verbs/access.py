"""`hyper-shell access`: shows what is in an access file, or seals it again."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed

if TYPE_CHECKING:
    from hypershell.app.access_files import ResealOptions
    from hypershell.app.locate import Passphrases

USAGE = """\
Usage:
  hyper-shell access info FILE [options]
  hyper-shell access reseal FILE OUT [options]

`info` shows what is in an access file: hosts, ports, format and how it is
sealed, but not its keys. The file is verified if it can be opened here.
`reseal` writes a copy to OUT that is sealed with a passphrase, so that it can
be taken to another machine, or with your seal key if you give no passphrase.

Access options:
  --json                  info: print JSON.
  --passphrase-file FILE  info: the passphrase of a file that is sealed with
                          one. reseal: the passphrase for OUT. Without it,
                          HYPERSHELL_PASSPHRASE is used, or you are asked.
  --old-passphrase-file FILE
                          reseal: the passphrase of FILE, if it is sealed with
                          one.
  -h, --help              Show this text and exit.

Examples:
  $ hyper-shell access info worker.json

  $ hyper-shell access reseal worker.json travel.json --passphrase-file words
"""


@dataclass(frozen=True, slots=True)
class AccessInfoOptions:
    """Which access file to show, and whether as JSON."""

    path: Path
    passphrases: "Passphrases"
    json: bool


def options_from(parsed: Parsed) -> "AccessInfoOptions | ResealOptions":
    """Which file to show or to reseal."""
    from hypershell.app.access_files import ResealOptions
    from hypershell.app.locate import Passphrases
    from hypershell.cli.common_options import passphrases_from
    from hypershell.cli.prompts import new_passphrase_prompt

    path = Path(parsed.text("FILE") or "")
    given = parsed.text("--passphrase-file")
    if parsed.flag("info"):
        return AccessInfoOptions(path, Passphrases(given), parsed.flag("--json"))
    return ResealOptions(
        path=path,
        out=Path(parsed.text("OUT") or ""),
        old=passphrases_from(parsed, "--old-passphrase-file"),
        new=Passphrases(given, new_passphrase_prompt()),
    )


def run(options: "AccessInfoOptions | ResealOptions") -> int:
    """Show or reseal; the exit status."""
    if isinstance(options, AccessInfoOptions):
        _show(options)
    else:
        from hypershell.app.access_files import reseal

        reseal(options)
    return 0


def _show(options: AccessInfoOptions) -> None:
    """Show what a file says of itself, and whether a seal of ours vouches for it."""
    from hypershell.access.access_file import inspect

    seen = inspect(options.path, options.passphrases.ring())
    facts: dict[str, object] = {
        "file": str(options.path),
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
    if options.json:
        import json

        named = {name.replace(" ", "_"): value for name, value in facts.items()}
        print(json.dumps(named, indent=2))
        return
    from hypershell.cli.output.rows import write_facts

    facts["verified"] = "yes" if seen.verified else "no: it cannot be opened here"
    write_facts(facts.items())
