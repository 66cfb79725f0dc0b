"""What others can read of the environment of a process."""

import os
import subprocess
import sys

CODE = """if True:
    import os, subprocess, sys
    from hypershell.runtime.initial_environment import hide
    hide(["SECRET", "EMPTY"])
    with open("/proc/self/environ", "rb") as file:
        seen = file.read()
    child = subprocess.run(["printenv", "SECRET"], capture_output=True, check=True).stdout
    here = os.environ["SECRET"]
    print([seen.count(b"hunter2"), child.decode().strip() == here, len(here)])
    print(sorted(each.split(b"=")[0] for each in seen.split(b"\\0") if b"=" in each))
    print([each for each in seen.split(b"\\0") if each.startswith((b"OTHER", b"SECRETIVE"))])
    print(b"\\0\\0" in seen)
"""


def test_a_value_that_is_hidden_is_still_ours():
    """And that of what we start; the others stay where they are."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.getcwd(),
        "OTHER": "x=y",
        "SECRET": "hunter2" * 1000,
        "EMPTY": "",
        "SECRETIVE": "stays",
    }

    out = subprocess.run(
        [sys.executable, "-c", CODE], env=environ, capture_output=True, check=True, text=True
    ).stdout.splitlines()

    assert "[0, True, 7000]" == out[0]
    assert sorted(environ) == [name.decode() for name in eval(out[1])]
    assert [b"OTHER=x=y", b"SECRETIVE=stays"] == eval(out[2])
    assert "False" == out[3]  # an empty entry would be the end for some readers
