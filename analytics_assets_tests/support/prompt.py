"""The commands as a person types them, in this process: what a program takes to begin costs seconds each time."""

import os
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from analytics_assets import definitions
from analytics_assets.build import build_definitions, open_project
from analytics_assets.cli.app import app
from analytics_assets.defs import find_domains
from analytics_assets.settings import get_settings
from analytics_assets_tests.support.project import YESTERDAY, day


class Prompt:
    """A prompt at which the project's settings are exported, in `folder / "data"`.

    Args:
        patched: is undone by whoever made it; then `get_settings` has to forget, too.
    """

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self._patched = patched
        patched.setenv("DAGSTER_HOME", str(folder / "home"))
        self.export(DATA_DIR=folder / "data", START_DATE=day(0), END_DATE=YESTERDAY)

    def export(self, **settings: object) -> None:
        """Sets `ANALYTICS_…`; the code location is loaded anew, as it is by each program."""
        for name, value in settings.items():
            self._patched.setenv(f"ANALYTICS_{name}", str(value))
        get_settings.cache_clear()
        project = open_project(get_settings(), find_domains())
        self._patched.setattr(definitions, "project", project)
        self._patched.setattr(definitions, "defs", build_definitions(project))

    def __call__(self, *arguments: str) -> Result:
        """Runs a command."""
        return CliRunner().invoke(app, arguments)

    @property
    def inbox(self) -> Path:
        """Where files are dropped."""
        return Path(os.environ["ANALYTICS_DATA_DIR"]) / "inbox"
