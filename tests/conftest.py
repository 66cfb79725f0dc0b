"""Fixtures for all tests."""

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def need() -> Callable[[str], str]:
    """Find another program by name; without it the test is skipped here and fails in CI."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            missing = f"{program} is not installed"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        return path

    return find
