"""A run is made by the project as it was when its versions were taken, whatever becomes of the files meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics_assets.dbt import project as dbt
from analytics_assets.dbt.project import fingerprint, prepare_manifest
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, SHOP, model, written

SEED = "seeds/shop/lookup_prices.csv"
MODEL = "models/marts/shop/priced.sql"
SQL = """
select order_id, order_date, {{ var('session_gap_seconds') }} as gap,
    (select max(price) from {{ ref('lookup_prices') }}) as price
from {{ ref('stg_orders') }} where {{ in_window('order_date') }}
"""
FILES = {**MODELS, **model("priced", SQL), SEED: "currency,price\neuro,1\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with written(tmp_path / "dbt", FILES) as folder:
        yield folder


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_what_is_edited_after_the_versions_were_taken_makes_no_run(folder: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "data", [SHOP])  # which takes them
    edit(folder, MODEL, "order_id", "'edited' as order_id")
    edit(folder, SEED, "euro,1", "euro,2")
    edit(folder, "dbt_project.yml", "session_gap_seconds: 1800", "session_gap_seconds: 1801")
    edit(
        folder,
        "macros/window.sql",
        "{% macro in_window(column, of=none) -%}",
        "{% macro in_window(column, of=none) -%} 1=0 and",
    )
    project.drop("orders", "orders-1.csv", HEADER + f"a,{day(1)} 12:00:00,1\n")
    project.land()
    runner = project.runner()
    names = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    runner.settle(names)
    assert runner.outcome.failures == []
    assert project.frame("priced").select("order_id", "gap", "price").rows() == [("a", 1800, 1)]
    assert fingerprint(project.settings) != dbt.parsed(project.settings).fingerprint


def test_what_is_edited_and_put_back_while_it_is_parsed_is_parsed_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "data", [SHOP])
    edit(folder, MODEL, "order_id", "'first' as order_id")
    invoke, parses = dbt.invoke, []

    def while_it_is_edited(*arguments: Any, **options: Any) -> Any:
        parses.append(arguments)
        if len(parses) == 1:
            edit(folder, MODEL, "'first'", "'second'")
            found = invoke(*arguments, **options)
            edit(folder, MODEL, "'second'", "'first'")
            return found
        return invoke(*arguments, **options)

    monkeypatch.setattr(dbt, "invoke", while_it_is_edited)
    found = prepare_manifest(project.settings)
    assert len(parses) == 2
    assert b"'first'" in found.manifest and b"'second'" not in found.manifest
    assert b"'first'" in found.own_manifest and b"'second'" not in found.own_manifest
    prepare_manifest(project.settings)
    assert len(parses) == 2, "nothing has changed since"
