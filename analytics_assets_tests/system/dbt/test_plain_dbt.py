"""dbt as its users start it, in dbt_project/ and by its own name: on a fresh clone, and on a project with rows."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from analytics_assets.dbt import project as dbt
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.settings import PROJECT_DIR
from analytics_assets_tests.support.project import ONE_DOMAIN, YESTERDAY, Project, day

DBT = Path(sys.executable).with_name("dbt")


def copy_of_project(folder: Path) -> Path:
    """What a clone holds of the package and the dbt project."""
    ignored = shutil.ignore_patterns("target", "logs", "__pycache__")
    for name in ("analytics_assets", "dbt_project"):
        shutil.copytree(PROJECT_DIR / name, folder / name, ignore=ignored)
    return folder


@dataclass
class Clone:
    """A clone in which commands are typed, with the data of its settings."""

    folder: Path
    data: Path

    def types(self, *command: str) -> subprocess.CompletedProcess[str]:
        """`dbt …` in dbt_project/, with nothing said but where the data is."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ANALYTICS_", "DBT_"))}
        env |= {"PYTHONPATH": str(self.folder), "ANALYTICS_DATA_DIR": str(self.data), "NO_COLOR": "1"}
        env |= {"ANALYTICS_START_DATE": str(day(0)), "ANALYTICS_END_DATE": str(YESTERDAY)}
        return subprocess.run(
            [str(DBT), *command],
            cwd=self.folder / "dbt_project",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def does(self, *command: str) -> str:
        """What a command prints that must work."""
        done = self.types(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def states(folder: Path, *names: str) -> dict[str, str]:
    """A hash of each file below some folders."""
    files = [file for name in names for file in (folder / name).rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


# ------------------------------------------------------------------------------------------------- on a fresh clone


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = copy_of_project(tmp_path_factory.mktemp("fresh"))
    return Clone(folder, folder / "data")


def parses(fresh: Clone) -> None:
    fresh.does("parse")
    assert (fresh.folder / "dbt_project/target/manifest.json").exists()


def lists(fresh: Clone) -> None:
    listed = fresh.does("ls", "--quiet", "-s", "+exposure:campaigns", "--resource-type", "model", "--output", "name")
    assert listed.split() == ["core_campaign_performance", "src_campaigns", "stg_campaigns"]


def compiles(fresh: Clone) -> None:
    sql = fresh.does("compile", "--quiet", "-s", "src_campaigns", "stg_campaigns")
    compiled = fresh.folder / "dbt_project/target/compiled/analytics/models/staging/campaigns"
    assert (
        f"date >= date '{YESTERDAY}' and date < date '{YESTERDAY + timedelta(days=1)}'"
        in (compiled / "stg_campaigns.sql").read_text()
    ), sql
    assert 'partition by _day, "campaign_id", "country", "platform"' in (compiled / "src_campaigns.sql").read_text()


def makes_docs(fresh: Clone) -> None:
    fresh.does("docs", "generate", "--static")
    page = (fresh.folder / "dbt_project/target/static_index.html").read_text()
    assert "exposure.analytics.campaigns" in page
    assert "Identifies a campaign; given by the API." in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.?https?:", page), "it needs no network"


def says_that_there_are_no_rows(fresh: Clone) -> None:
    done = fresh.types("show", "-s", "stg_campaigns")
    assert done.returncode != 0
    assert "`dbt show` reads the warehouse, and there is none yet: type `make demo`" in done.stdout


@pytest.mark.parametrize("command", [parses, lists, compiles, makes_docs, says_that_there_are_no_rows])
def test_on_a_fresh_clone(fresh: Clone, command: Callable[[Clone], None]) -> None:
    command(fresh)
    assert not fresh.data.exists(), "nothing is made beside dbt's own target"


# --------------------------------------------------------------------------------------------- on a project with rows


@dataclass
class Made(Clone):
    """A clone with a settled project, of which nothing may change."""

    project: Project
    parsed: dbt.Parsed
    before: dict[str, str]


OWN = ("parses", "newest_parse", "manifest.fingerprint")
"""What the project keeps in target/ of a parse."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = copy_of_project(tmp_path_factory.mktemp("made"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dbt, "DBT_PROJECT_DIR", folder / "dbt_project")
        project = Project(folder / "data", ONE_DOMAIN)
        rows = [event("a", "1"), event("a", "2"), event("b", "3")]
        project.drop("consent_events", "events-1.csv", ",".join(CONSENT_EVENTS.columns) + "\n" + "".join(rows))
        project.settle()
        parsed = dbt.prepare_manifest(project.settings)
        yield Made(folder, project.settings.data_dir, project, parsed, states(folder, "data", "dbt_project/target"))


def event(identity: str, count: str) -> str:
    values = {
        "EVENT_ID": identity,
        "APIKEY": "shop",
        "TYPE": "pageview",
        "RATE": "0.5",
        "EVENT_TIME": f"{YESTERDAY} 12:00:00",
        "COUNT": count,
    }
    return ",".join(values.get(column, "") for column in CONSENT_EVENTS.columns) + "\n"


def shows(made: Made) -> None:
    said = made.does("show", "--quiet", "-s", "src_consent_events", "--output", "json", "--limit", "50")
    shown = json.loads(said[said.index("{") :])["show"]
    with duckdb.connect(str(made.project.settings.warehouse_file), read_only=True) as connection:
        connection.execute(f"set file_search_path = '{made.project.settings.raw_dir}'")
        held = connection.execute(
            "select event_id, sampled_count, duplicate_rank from staging.src_consent_events order by all"
        ).fetchall()
    found = sorted((row["event_id"], row["sampled_count"], row["duplicate_rank"]) for row in shown)
    assert [rank for _, _, rank in held] != [1, 1, 1], "there is a duplicate"
    assert found == held, "by the dedup order of the source's spec"


def checks_the_newest_day(made: Made) -> None:
    said = made.does("test", "-s", "mart_consent_breakdown_daily")
    assert "WARN 1 companies_are_known" in said
    assert "ERROR=0" in said
    compiled = made.folder / "dbt_project/target/compiled/analytics/models/marts/consent/_marts_consent.yml"
    assert f"event_date >= date '{YESTERDAY}'" in (compiled / "companies_are_known.sql").read_text()


def builds_nothing_in_production(made: Made) -> None:
    done = made.types("build", "-s", "stg_consent_events")
    assert done.returncode != 0
    assert "type `analytics-assets materialize --select MODEL --from DATE --to DATE`" in done.stdout


def cleans_its_own(made: Made) -> None:
    compiled = made.folder / "dbt_project/target/compiled/analytics"
    compiled.mkdir(parents=True, exist_ok=True)
    made.does("clean")
    assert not compiled.exists()


@pytest.mark.parametrize("command", [shows, checks_the_newest_day, builds_nothing_in_production, cleans_its_own])
def test_with_rows_and_without_a_change_to_what_dagster_works_with(
    made: Made, command: Callable[[Made], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    command(made)
    after = states(made.folder, "data", "dbt_project/target")
    assert {name: after.get(name) for name in made.before} == made.before
    assert not [name for name in after.keys() - made.before.keys() if name.startswith("data/")]

    def parses_again(*_: object) -> Path:
        raise AssertionError("what the project keeps of its parse was lost")

    monkeypatch.setattr(dbt, "_parse", parses_again)
    assert dbt.prepare_manifest(made.project.settings) == made.parsed
    assert all((made.folder / "dbt_project/target" / name).exists() for name in OWN)


def test_a_developer_builds_a_schema_of_their_own_as_production_is(made: Made, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(made.data, data)
    own = Clone(made.folder, data)
    assert "ERROR=0" in own.does("build", "--target", "dev", "-s", "+stg_consent_events")
    with duckdb.connect(str(data / "warehouse" / "analytics.duckdb"), read_only=True) as connection:
        ours, theirs = (
            connection.execute(f"from {schema}.stg_consent_events order by all").fetchall()
            for schema in ("dbt_developer", "staging")
        )
    assert ours == theirs
    assert len(ours) == 2
