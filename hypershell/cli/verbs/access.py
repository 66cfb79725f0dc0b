"""`hyper-shell access`: shows what an access file opens, or seals it anew."""

from hypershell.cli.options import parse

USAGE = """\
Usage:
  hyper-shell access info FILE [options]
  hyper-shell access reseal FILE OUT [options]

`info` shows what an access file opens: hosts, ports, parts, format, how it is sealed; never a key.
It is verified if it can be opened here. `reseal` writes OUT, which opens the same and is sealed
with a passphrase, for a file that is to travel; or with your seal key, if no passphrase is given.

Access options:
  --json                  info: print JSON.
  --passphrase-file FILE  info: the passphrase of a file that is sealed with one. reseal: that of
                          OUT. Or give it in HYPERSHELL_PASSPHRASE, or when asked.
  --old-passphrase-file FILE
                          reseal: the passphrase of FILE, if it is sealed with one.
  -h, --help              Show this text and exit.

Examples:
  $ hyper-shell access info worker.json

  $ hyper-shell access reseal worker.json travel.json --passphrase-file words.txt
"""


def run(arguments: list[str]) -> int:
    """Show or reseal; the exit status."""
    parsed = parse(USAGE, "access", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.sealing import reseal, show

    return show(parsed) if parsed.flag("info") else reseal(parsed)
