"""A pytest plugin: the packages under test are those of this folder, and of no other."""

from pathlib import Path

import pytest

import box_agent
import headend
import shared


def pytest_configure(config: pytest.Config) -> None:
    for package in (box_agent, headend, shared):
        folder = Path(str(package.__file__)).parents[1]
        if folder != config.rootpath:
            raise pytest.UsageError(f"{package.__name__} comes from {folder}, not from {config.rootpath}")
