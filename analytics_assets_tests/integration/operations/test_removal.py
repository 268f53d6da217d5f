"""A domain is removed: nothing of it is left, the others are as they were, and it can come back."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from analytics_assets.operations import removal
from analytics_assets.operations.removal import code_of, remove_data, switch_off
from analytics_assets.partitions import EVER
from analytics_assets.reports.index_asset import index_file
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.report import Chart, Dataset, Format, Measure, Report, Sum, Table
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import builds_of
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, ORDERS, model, written

pytestmark = pytest.mark.models_alone

SALES = Report(
    "sales",
    "Sales",
    days=7,
    datasets=(Dataset("mart_orders", (), ("orders",)),),
    dimensions=(),
    measures=(Measure("orders", "Orders", Sum("mart_orders", "orders"), Format.COUNT, "How many orders."),),
    key_figures=("orders",),
    charts=(Chart("Orders", "orders"),),
    tables=(Table("days", "Days", ("day",), ("orders",)),),
)
SHOP = Domain("shop", "team:shop", sources=(ORDERS,), reports=(SALES,))
KIOSK = Domain("kiosk", "team:kiosk", sources=(replace(ORDERS, name="till", patterns=("*.csv",)),))
FILES = {
    **MODELS,
    **model(
        "mart_orders",
        "select order_date, cast(count(*) as bigint) as orders from {{ ref('stg_orders') }}"
        " where {{ in_window('order_date') }} group by order_date",
        config=", access: public",
    ),
    **model("rpt_orders", "select * from {{ ref('mart_orders') }}", "{}", ", materialized: view, access: public"),
    **{
        name.replace("shop", "kiosk").replace("orders", "till"): text.replace("orders", "till")
        for name, text in MODELS.items()
    },
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with written(tmp_path / "dbt_project", FILES):
        project = Project(tmp_path / "data", (SHOP, KIOSK), on=False)
        drop(project)
        project.settle()
        yield project


def drop(project: Project) -> None:
    for source in ("orders", "till"):
        folder = project.settings.inbox_dir / source
        folder.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{n},{day(n)} 10:00:00,{n}\n" for n in range(5)) + "6,never,1\n"
        (folder / "orders-1.csv").write_text(HEADER + rows)


def left_of(project: Project, words: tuple[str, ...]) -> list[str]:
    """The files, tables and records whose names hold one of some words."""
    data = project.settings.data_dir
    paths = [
        Path(folder, name).relative_to(data) for folder, *parts in os.walk(data) for part in parts for name in part
    ]
    found = [str(path) for path in paths if any(word in str(path) for word in words)]
    for file in (project.settings.warehouse_file, project.settings.published_file):
        with duckdb.connect(str(file), read_only=True) as connection:
            tables = connection.execute("select table_name from information_schema.tables").fetchall()
        found += [name for (name,) in tables if any(word in name for word in words)]
    catalog = project.declared.catalog
    records = [name for name in catalog if builds_of(catalog[name], project.settings).read(name, EVER)]
    records += [name for name in catalog if Attempts(project.settings.lake_dir).read(name, EVER)]
    return found + [name for name in records if any(word in name for word in words)]


def test_nothing_of_it_is_left_and_the_others_are_as_they_were(project: Project) -> None:
    of_shop = ("orders", "sales", "published_shop")
    before = {key: rows for key, rows in project.tables().items() if "till" in key[0]}
    assert before
    assert len(left_of(project, of_shop)) > 20
    assert "Sales" in index_file(project.settings).read_text()
    remove_data(project.declared, SHOP)
    assert [one for one in left_of(project, of_shop) if not one.endswith("orders-1.csv")] == []
    assert not Ledger(project.settings.lake_dir).has_landed(ORDERS)
    assert (project.settings.inbox_dir / "till" / "orders-1.csv").exists()
    assert "Sales" not in index_file(project.settings).read_text()
    again = Project(project.folder, (KIOSK,), on=False)
    assert {key: rows for key, rows in again.tables().items() if "till" in key[0]} == before


def test_a_removal_that_was_cut_off_is_ended_by_the_next(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = removal.delete, []

    def stop(paths: object) -> None:
        calls.append(paths)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(paths)  # type: ignore[arg-type]

    monkeypatch.setattr(removal, "delete", stop)
    with pytest.raises(KeyboardInterrupt):
        remove_data(project.declared, SHOP)
    monkeypatch.setattr(removal, "delete", real)
    remove_data(project.declared, SHOP)
    assert not [one for one in left_of(project, ("orders", "sales")) if not one.endswith("orders-1.csv")]


def test_it_can_come_back(project: Project) -> None:
    before = project.tables(without=["_landed_at"])
    remove_data(project.declared, SHOP)
    drop(project)
    Project(project.folder, (SHOP, KIOSK), on=False).settle()
    after = Project(project.folder, (SHOP, KIOSK), on=False).tables(without=["_landed_at"])
    assert after == before


def test_its_code_is_found_and_that_of_the_demo_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "PROJECT_DIR", tmp_path)
    kept = ["analytics_assets/defs/shops", "dbt_project/models/marts/kiosk"]
    its = ["analytics_assets/defs/shop", "dbt_project/models/marts/shop", "dbt_project/seeds/shop"]
    for folder in (*kept, *its):
        (tmp_path / folder).mkdir(parents=True)
    assert [str(path.relative_to(tmp_path)) for path in code_of("shop")] == its
    (tmp_path / ".env").write_text("A=1\nANALYTICS_DOMAINS_OFF=kiosk\nB=2\n")
    switch_off(["shop", "kiosk"])
    switch_off(["shop"])
    assert (tmp_path / ".env").read_text() == "A=1\nB=2\nANALYTICS_DOMAINS_OFF=kiosk,shop\n"
