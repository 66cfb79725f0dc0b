"""`python -m hypershell`."""

from hypershell.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
