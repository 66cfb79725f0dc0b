"""`python -m hypershell`."""

from hypershell.cli.main import program

if __name__ == "__main__":
    program()
