"""Metadata is in setup.cfg; here is only what it cannot say: a list of files made by a pattern."""

from glob import glob

from setuptools import setup

setup(data_files=[("share/man/man1", sorted(glob("man/*.1")))])
