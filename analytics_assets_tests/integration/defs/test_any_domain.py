"""What any domain may bring along and be called: nothing of the project has to know of it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
import typer
from dagster import (
    AssetCheckResult,
    AssetKey,
    Definitions,
    ResourceParam,
    ScheduleDefinition,
    asset,
    asset_check,
    define_asset_job,
)
from typer.testing import CliRunner

from analytics_assets import defs as domains
from analytics_assets import project as package
from analytics_assets.build import build_definitions
from analytics_assets.cli.app import commands_of_domains
from analytics_assets.spec.asset import AssetKind
from analytics_assets.spec.domain import Domain
from analytics_assets.warehouse.bigquery.warehouse import BigQueryWarehouse
from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from analytics_assets_tests.support.project import ONE_DOMAIN, Project, day, test_settings
from analytics_assets_tests.support.shop import HEADER, MODELS, ORDERS, SHOP, model, written

pytestmark = pytest.mark.models_alone


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One more folder of domains."""
    found = tmp_path / "defs"
    found.mkdir()
    before = set(sys.modules)
    monkeypatch.setattr(domains, "__path__", [*domains.__path__, str(found)])
    domains.find_domains.cache_clear()
    yield found
    domains.find_domains.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith(f"{domains.__name__}.small"):
            del sys.modules[name]


def test_a_new_folder_is_a_domain(folder: Path) -> None:
    (folder / "small").mkdir()
    (folder / "small" / "__init__.py").write_text(
        "from analytics_assets.spec.domain import Domain\nDOMAIN = Domain('small', 'team:small')\n"
    )
    assert "small" in {domain.name for domain in domains.find_domains()}


def test_a_folder_that_names_no_domain_is_said(folder: Path) -> None:
    (folder / "small").mkdir()
    (folder / "small" / "__init__.py").write_text("")
    with pytest.raises(AttributeError, match="DOMAIN"):
        domains.find_domains()


def test_its_commands_are_found_and_its_package_is_not_imported(folder: Path) -> None:
    (folder / "small").mkdir()
    (folder / "small" / "__init__.py").write_text("raise AssertionError('it takes seconds to import')")
    (folder / "small" / "commands.py").write_text(
        "import typer\ncommands = typer.Typer()\n\n\n"
        "@commands.command()\ndef greet() -> None:\n    typer.echo('good day')\n"
    )
    app = typer.Typer()
    app.callback()(lambda: None)
    for commands in commands_of_domains(folder):
        app.add_typer(commands)
    assert CliRunner().invoke(app, ["greet"]).output == "good day\n"


# ------------------------------------------------------------------------------------------------- names that mislead

AWKWARD = Domain("published", "team:shop", sources=(replace(ORDERS, name="dashboard", patterns=("*.csv",)),))
"""Its own name begins as those of other assets do, and that of its source ends so."""


def awkward_models() -> dict[str, str]:
    """Models whose names begin or end as the assets of other kinds do."""
    day_of = "select order_id, amount, order_date from {{ ref('stg_dashboard') }} where {{ in_window('order_date') }}"
    named = {
        **MODELS,
        **model("sales_dashboard", day_of),
        **model("raw_totals", day_of.replace("stg_dashboard", "sales_dashboard")),
        **model("published_sales_workbook", day_of.replace("stg_dashboard", "raw_totals")),
        **model("landed_overview", "select count(*) as orders from {{ ref('sales_dashboard') }}", "{}", VIEW),
    }
    return {
        name.replace("shop", "published").replace("orders", "dashboard"): text.replace("src_orders", "src_dashboard")
        .replace("stg_orders", "stg_dashboard")
        .replace("'orders'", "'dashboard'")
        .replace("name: orders", "name: dashboard")
        .replace("raw: orders", "raw: dashboard")
        for name, text in named.items()
    }


VIEW = ", materialized: view"


def test_what_an_asset_is_does_not_hang_on_its_name(tmp_path: Path) -> None:
    with written(tmp_path / "dbt", awkward_models()):
        project = Project(tmp_path / "data", [AWKWARD])
        kinds = {name: asset.kind for name, asset in project.declared.catalog.items()}
        assert kinds == {
            "landed_dashboard": AssetKind.LANDED,
            "raw_dashboard": AssetKind.RAW,
            **dict.fromkeys(("src_dashboard", "stg_dashboard", "sales_dashboard"), AssetKind.MODEL),
            **dict.fromkeys(("raw_totals", "published_sales_workbook"), AssetKind.MODEL),
            "landed_overview": AssetKind.VIEW,
            **{name: kind for name, kind in kinds.items() if kind is AssetKind.PUBLISHED},
        }
        days = [day(number) for number in range(5)]
        project.drop("dashboard", "1.csv", HEADER + "".join(f"{at},{at} 12:00:00,1\n" for at in days))
        made = project.settle().outcome.made
        assert {name: set(its_days) for name, its_days in made.items()} == {name: set(days) for name in project.assets}
        project.drop("dashboard", "2.csv", f"{HEADER}late,{day(1)} 12:00:00,7\n")
        made = project.settle().outcome.made
        assert {name: set(its_days) for name, its_days in made.items()} == {name: {day(1)} for name in project.assets}
        held = project.frame("published_sales_workbook").filter(pl.col("the_day") == day(1))
        assert sorted(held["amount"]) == [1, 7]
        with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
            assert connection.execute("select orders from marts.landed_overview").fetchall() == [(6,)]
        assert project.requested() == {}


# ------------------------------------------------------------------------------------------------- another warehouse


def test_an_override_gives_all_assets_another_warehouse(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN)
    other = test_settings(tmp_path / "other", warehouse="bigquery", bigquery={"project": "a-project"})
    definitions = build_definitions(project.declared, resource_overrides={"warehouse": BigQueryWarehouse(other)})
    resources = definitions.get_repository_def().get_top_level_resources()
    assert type(resources["lake"]).__name__ != type(project.definitions.resources["lake"]).__name__
    pools = {step.pool for asset in definitions.assets or () for step in [getattr(asset, "op", None)] if step}
    assert "warehouse_consent" in pools and "warehouse" not in pools
    names = {key.path[-1] for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert "published_consent" not in names, "people read BigQuery itself"


def test_an_override_is_where_a_run_writes(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN)
    other = DuckDBWarehouse(test_settings(tmp_path / "other"))
    definitions = build_definitions(project.declared, resource_overrides={"warehouse": other})
    ran = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance,
        partition_key=str(day(1)),
        asset_selection=[AssetKey("raw_consent_events"), AssetKey("src_consent_events")],
    )
    assert ran.success
    with other.reading() as reader:
        assert reader.rows("select count(*) from staging.src_consent_events").rows == [(0,)]
    assert not project.settings.warehouse_file.exists()


# ------------------------------------------------------------------------------------------------- what is its own


def test_a_domain_brings_assets_checks_resources_and_schedules_of_its_own(tmp_path: Path) -> None:
    given: list[package.Project] = []

    def own(project: package.Project) -> Definitions:
        given.append(project)

        @asset(group_name="shop", partitions_def=project.partitions(), deps=["raw_orders"])
        def letters(stamp: ResourceParam[str]) -> None:
            sent.append(stamp)

        @asset_check(asset=letters)
        def letters_are_stamped() -> AssetCheckResult:
            return AssetCheckResult(passed=bool(sent))

        job = define_asset_job("send_letters", selection=[letters])
        return Definitions(
            assets=[letters],
            asset_checks=[letters_are_stamped],
            resources={"stamp": "first class"},
            schedules=[ScheduleDefinition(name="send_letters_daily", job=job, cron_schedule="0 6 * * *")],
        )

    sent: list[str] = []
    with written(tmp_path / "dbt", MODELS):
        project = Project(tmp_path / "data", [replace(SHOP, definitions=own)])
    assert [one.domains[0].name for one in given] == ["shop"]
    assert project.definitions.resolve_schedule_def("send_letters_daily").cron_schedule == "0 6 * * *"
    ran = project.definitions.resolve_job_def("send_letters").execute_in_process(
        instance=project.instance, partition_key=str(day(1))
    )
    assert ran.success and sent == ["first class"]
    assert [check.check_name for check in ran.get_asset_check_evaluations()] == ["letters_are_stamped"]
    assert AssetKey("letters") in project.definitions.resolve_asset_graph().get_all_asset_keys()
