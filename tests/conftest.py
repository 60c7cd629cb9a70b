"""Fixtures for all tests."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

from itermask.cli.main import main

settings.register_profile("reproducible", derandomize=True)  # the same examples in every run
settings.load_profile("reproducible")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans beside the checkout; skips where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return folder


@pytest.fixture
def command(monkeypatch, capfd):
    """Run the command in this process; gives exit code, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["itermask", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        return (code or 0, *capfd.readouterr())

    return call
