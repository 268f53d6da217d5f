"""Files of the dbt project change while the automation runs: they are loaded by themselves, or somebody is told."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin

from analytics_assets.dbt import project as dbt
from analytics_assets.operations import reload
from analytics_assets.operations.reload import CHANGED, Reload
from analytics_assets.settings import PROJECT_DIR, Settings
from analytics_assets_tests.support.live import PROGRAMS, answers, free_port, until
from analytics_assets_tests.support.project import YESTERDAY, test_settings


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The code and the dbt project in a folder of their own; the latter is this process's, too."""
    for name in ("analytics_assets", "dbt_project"):
        shutil.copytree(PROJECT_DIR / name, tmp_path / name)
    monkeypatch.setattr(dbt, "DBT_PROJECT_DIR", tmp_path / "dbt_project")
    return tmp_path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return test_settings(tmp_path / "data")


def change(copy: Path, text: str) -> None:
    file = copy / "dbt_project/models/marts/consent/mart_company_daily.sql"
    file.write_text(f"{file.read_text()}{text}")


def test_where_nothing_can_load_it_a_person_is_told_once(copy: Path, settings: Settings) -> None:
    told: list[str] = []
    hindrance = Reload(settings, ["a model is left out"], told.extend)
    assert hindrance(None) is None
    change(copy, "\n-- changed")
    said = [hindrance(None) for _ in range(3)]
    assert said == [f"{CHANGED}; the automation waits: press `Reload definitions` in the UI."] * 3
    assert told == ["a model is left out", said[0]]
    shutil.copy(PROJECT_DIR / "dbt_project/models/marts/consent/mart_company_daily.sql", copy / "original.sql")
    (copy / "original.sql").replace(copy / "dbt_project/models/marts/consent/mart_company_daily.sql")
    assert hindrance(None) is None, "it is as it was loaded"


@pytest.fixture
def server(copy: Path, settings: Settings) -> Iterator[GrpcServerCodeLocationOrigin]:
    """A code server as `dagster dev` starts it, of the copy."""
    port = free_port()
    env = os.environ | {
        "PYTHONPATH": str(copy),
        "ANALYTICS_DATA_DIR": str(settings.data_dir),
        "ANALYTICS_START_DATE": str(YESTERDAY),
        "DAGSTER_HOME": str(settings.dagster_home),
    }
    settings.dagster_home.mkdir(parents=True)
    command = ["code-server", "start", "-m", "analytics_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen([PROGRAMS / "dagster", *command], env=env, cwd=copy, stderr=subprocess.DEVNULL) as process:
        until(lambda: answers(port), 60, "the code server answers")
        yield GrpcServerCodeLocationOrigin("127.0.0.1", port, location_name="here")
        process.terminate()


def test_a_changed_project_is_loaded_once_it_stands_still_and_a_broken_one_is_not(
    copy: Path, settings: Settings, server: GrpcServerCodeLocationOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def tell(reasons: Sequence[str]) -> None:
        told.extend(reasons)

    hindrance, client = Reload(settings, [], tell), server.create_client()
    before = client.get_server_id()
    change(copy, "\n-- changed")
    assert hindrance(server) == hindrance(server) == f"{CHANGED}; it is being loaded."
    until(lambda: client.get_server_id() != before, 120, "another process serves")
    assert told == []

    monkeypatch.setattr(reload, "_TRY", "raise SystemExit('a mistake in Python')")
    change(copy, "\n-- changed again")
    serving = client.get_server_id()
    hindrance(server)
    hindrance(server)
    until(lambda: bool(told), 60, "it is told")
    assert told == [f"{CHANGED}; the automation waits: it cannot be loaded: a mistake in Python."]
    assert hindrance(server) == told[0]
    assert client.get_server_id() == serving
