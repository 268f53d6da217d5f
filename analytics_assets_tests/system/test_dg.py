"""`dg` works on the project as on any other: list, check, launch; `make dev` is `dg dev`, which test_web starts."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR, Settings
from analytics_assets.spec.asset import Asset, AssetKind
from analytics_assets.state.builds import builds_of

DAY = date(2025, 1, 5)


@pytest.fixture
def dg(tmp_path: Path) -> "Dg":
    return Dg(tmp_path)


class Dg:
    """`dg` in the project's folder, on a home and a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(_env_file=None, data_dir=folder / "data", dagster_home=folder / "home")  # type: ignore[call-arg]
        programs = Path(sys.executable).parent
        self._program = str(programs / "dg")
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")}
        self._env |= {
            "ANALYTICS_DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(folder / "home"),
            "COLUMNS": "200",
        }
        subprocess.run([programs / "analytics-assets", "prepare"], env=self._env, check=True, capture_output=True)

    def __call__(self, *arguments: str) -> str:
        return self._run([self._program, *arguments])

    def shell(self, line: str) -> str:
        """What a line prints in a shell."""
        return self._run(["bash", "-c", line])

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, cwd=PROJECT_DIR, env=self._env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def test_definitions_are_listed_and_a_partition_is_launched(dg: Dg) -> None:
    listed = dg("list", "defs", "--json")
    assert '"raw_companies"' in listed and '"out_of_date_days"' in listed
    assert "warning" not in listed.lower()
    dg("launch", "--assets", "raw_companies", "--partition", str(DAY))
    builds = builds_of(Asset("raw_companies", AssetKind.RAW), dg.settings)
    assert list(builds.read("raw_companies", Window.of_days(DAY, DAY))) == [DAY]


def test_dagster_and_dbt_find_the_project_from_any_folder(dg: Dg, tmp_path: Path) -> None:
    """As the page on commands has it: in a shell that knows nothing but the project's own command."""
    program = Path(sys.executable).with_name("analytics-assets")
    said = dg.shell(
        f'eval "$({program} env)" && cd / && dagster asset list --select raw_companies'
        f" && dagster asset materialize --select raw_companies --partition {DAY} && dagster run list"
        " && dbt ls --quiet --select mart_company_daily --resource-type model"
    )
    assert "raw_companies\n" in said and "analytics.marts.consent.mart_company_daily" in said
    assert "__ASSET_JOB" in said, "the UI knows of the run"
    builds = builds_of(Asset("raw_companies", AssetKind.RAW), dg.settings)
    assert list(builds.read("raw_companies", Window.of_days(DAY, DAY))) == [DAY]


def test_definitions_pass_the_check_of_dg(dg: Dg) -> None:
    assert "All definitions loaded successfully" in dg("check", "defs")
