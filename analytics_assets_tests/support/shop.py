"""A small domain, in a dbt project of its own: the real macros and settings, and the models that a test writes.

To parse a project takes dbt a second or more. What tests parsed is kept by the project's files, and laid beside the
files of the next test that writes the same ones. It is used only if it is of these files: the package looks at that.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from analytics_assets.dbt import project as dbt
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Source
from analytics_assets_tests.support.templates import CACHE, hash_of_code, kept_folder

ORDERS = Source(
    name="orders",
    description="Orders of a shop.",
    patterns=("orders-*.csv",),
    columns={"order_id": pl.String, "ordered_at": pl.Datetime("us"), "amount": pl.Int64},
    time="ordered_at",
    primary_key=("order_id",),
)

SHOP = Domain(name="shop", owner="team:shop", sources=(ORDERS,))

HEADER = "order_id,ordered_at,amount\n"

PAGE = "models/staging/shop/_staging_shop.yml"

MODELS: Mapping[str, str] = {
    "models/staging/shop/src_orders.sql": """{{ config(materialized='view') }}
select order_id, amount, _day as order_date, {{ duplicate_rank('orders') }} as duplicate_rank from {{ raw('orders') }}
""",
    "models/staging/shop/stg_orders.sql": """
select order_id, amount, order_date from {{ ref('src_orders') }}
where {{ in_window('order_date') }} and duplicate_rank = 1
""",
    PAGE: """version: 2
sources: [{name: raw, tables: [{name: orders}]}]
models:
  - name: src_orders
    config: {meta: {day: order_date, adds_up: {rows_of_raw: orders}}}
    data_tests: [adds_up]
  - name: stg_orders
    config: {meta: {day: order_date, adds_up: {keys_of_raw: orders}}}
    data_tests: [adds_up]
""",
}


def model(name: str, sql: str, meta: str = "{day: order_date}", config: str = "") -> dict[str, str]:
    """The files of one more model and its page."""
    folder = "models/marts/shop"
    page = f"version: 2\nmodels:\n  - name: {name}\n    config: {{meta: {meta}{config}}}\n"
    return {f"{folder}/{name}.sql": sql, f"{folder}/_{name}.yml": page}


@contextmanager
def written(folder: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """The dbt project with nothing but some files beside its macros and settings, for as long as the block lasts."""
    for name in ("dbt_project.yml", "profiles.yml"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(dbt.DBT_PROJECT_DIR / name, folder / name)
    shutil.copytree(dbt.DBT_PROJECT_DIR / "macros", folder / "macros")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    sha = hashlib.sha256(hash_of_code().encode())
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        sha.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    parse = CACHE / "parsed" / sha.hexdigest()[:32]
    with kept_folder(parse) as is_kept:
        if is_kept:
            shutil.copytree(parse / "target", folder / "target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt, "DBT_PROJECT_DIR", folder)
        yield folder
    with kept_folder(parse) as is_kept:
        if not is_kept and (folder / "target" / "parses").exists():
            shutil.copytree(folder / "target", parse / "target")
