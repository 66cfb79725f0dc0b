"""`hyper-shell access`: shows what is in an access file, or seals it again."""

from hypershell.cli.options import parse

USAGE = """\
Usage:
  hyper-shell access info FILE [options]
  hyper-shell access reseal FILE OUT [options]

`info` shows what is in an access file: hosts, ports, planes, format and how it
is sealed, but no key. The file is verified if it can be opened here. `reseal`
writes a copy to OUT that is sealed with a passphrase, so that it can be taken
to another machine, or with your seal key if you give no passphrase.

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


def run(arguments: list[str]) -> int:
    """Show or reseal; the exit status."""
    parsed = parse(USAGE, "access", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.sealing import reseal, show

    return show(parsed) if parsed.flag("info") else reseal(parsed)
