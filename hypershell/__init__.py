"""hyper-shell: a task farm for files of shell commands."""

__version__ = "1.0.0"
