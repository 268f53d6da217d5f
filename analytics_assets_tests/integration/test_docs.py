"""The documents, held to what they say."""

import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from analytics_assets.dbt.project import load_manifest
from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.figures import figures
from analytics_assets.settings import PROJECT_DIR, Api, BigQuery, Settings, Sheets
from analytics_assets_tests.support.project import test_settings as settings_in

PAGE = PROJECT_DIR / "docs" / "add-a-source.md"


def blocks(page: Path) -> dict[str, str]:
    """The code of a page by the file that it is to be saved as."""
    return dict(re.findall(r"this as\s+`([^`]+)`:\s+```\w+\n(.*?)```", page.read_text(), re.S))


def test_adding_a_source_works_as_its_page_says(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns(".*", "data", "target", "logs", "__pycache__", "docs")
    shutil.copytree(PROJECT_DIR, copy, ignore=ignored)
    for name, code in blocks(PAGE).items():
        file = copy / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)

    env = {name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")}
    env |= {
        "PYTHONPATH": str(copy),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "ANALYTICS_START_DATE": "2026-01-04",
        "ANALYTICS_INBOX_SETTLE_SECONDS": "0",
    }
    days = ["--from", "2026-01-04", "--to", "2026-01-06"]
    command = [sys.executable, "-m", "analytics_assets.cli", "materialize", *days]
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
    assert "check rejects_within_limit of landed_shop_orders" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1

    query = (
        "import duckdb; print(duckdb.connect('data/warehouse/analytics.duckdb').sql("
        "'select order_id, order_date::varchar, amount::double, coupon from staging.stg_shop_orders'"
        "' order by order_id').fetchall())"
    )
    rows = subprocess.run([sys.executable, "-c", query], cwd=copy, capture_output=True, text=True, check=True).stdout
    assert rows.strip() == "[('1', '2026-01-05', 10.0, 'WINTER'), ('2', '2026-01-05', 7.0, None)]"
    query = (
        "import polars, glob; frame = polars.read_parquet(glob.glob('data/lake/rejects/shop_orders/*.parquet')[0]);"
        "print(frame['column'][0] + ': ' + frame['reason'][0])"
    )
    reason = subprocess.run([sys.executable, "-c", query], cwd=copy, capture_output=True, text=True, check=True).stdout
    assert f"`{reason.strip()}`" in PAGE.read_text()


def test_the_page_on_settings_names_every_variable_with_its_default() -> None:
    page = (PROJECT_DIR / "docs" / "settings.md").read_text()
    settings = {
        "DAGSTER_HOME" if name == "dagster_home" else f"ANALYTICS_{name.upper()}": setting
        for name, setting in Settings.model_fields.items()
    }
    settings |= {f"ANALYTICS_API__CAMPAIGNS__{name.upper()}": setting for name, setting in Api.model_fields.items()}
    settings |= {f"ANALYTICS_BIGQUERY__{name.upper()}": setting for name, setting in BigQuery.model_fields.items()}
    settings |= {f"ANALYTICS_SHEETS__{name.upper()}": setting for name, setting in Sheets.model_fields.items()}
    for variable, setting in settings.items():
        row = next((line for line in page.splitlines() if line.startswith(f"| `{variable}`")), "")
        default = "none" if setting.default in (None, "") or setting.is_required() else f"`{setting.default}`"
        assert f"| {default} |" in row, f"docs/settings.md lacks {variable} with its default {default}"
        assert str(setting.description) in row


BIGQUERY_TYPES = {
    "STRING": ("varchar", "string", "text"),
    "INT64": ("bigint", "int64"),
    "NUMERIC": ("decimal(38, 9)", "numeric"),
    "FLOAT64": ("double", "float64"),
    "DATE": ("date",),
}
"""What BigQuery calls a type, and what it may be called in a model's yml."""


def test_the_page_on_bigquery_tells_the_schema_of_the_summary_as_its_contract_does(tmp_path: Path) -> None:
    node = load_manifest(settings_in(tmp_path)).raw["nodes"]["model.analytics.daily_campaign_summary"]
    assert node["config"]["contract"]["enforced"]
    names = {alias: name for name, aliases in BIGQUERY_TYPES.items() for alias in aliases}
    expected = [
        (
            f"`{column['name']}`",
            names[column["data_type"].lower()],
            "REQUIRED" if any(c["type"] == "not_null" for c in column["constraints"]) else "NULLABLE",
            column["description"],
        )
        for column in node["columns"].values()
    ]
    page = (PROJECT_DIR / "docs" / "bigquery.md").read_text()
    (table,) = re.findall(r"\| column \| type \| mode \| meaning \|\n\|[-|]+\|\n((?:\|.*\n)+)", page)
    assert [tuple(row.strip("| ").split(" | ")) for row in table.splitlines()] == expected
    partition = re.findall(r"^partition by (\w+)$", page, re.M)
    assert partition == [node["config"]["meta"]["day"]]


def test_the_report_of_the_page_on_reports_can_be_drawn() -> None:
    code, _ = re.findall(r"```python\n(.*?)```", (PROJECT_DIR / "docs" / "reports.md").read_text(), re.S)
    held: dict[str, Any] = {}
    exec(code, held)
    report, window = held["SHOP_REPORT"], Window.of_days(date(2026, 1, 4), date(2026, 1, 5))
    rows = {"day": [date(2026, 1, 5)], "coupon": ["WINTER"], "orders": [2.0], "amount": [17.0]}
    frames = {"mart_shop_daily": pl.DataFrame(rows)}
    assert "The shop" in dashboard.render(report, frames, window, [])
    assert workbook.render(report, frames, window, []).startswith(b"PK")
    assert figures(frames, report.measure("basket"), ())[()].value == 8.5


def test_the_analysis_of_the_page_on_reports_can_be_computed() -> None:
    _, code = re.findall(r"```python\n(.*?)```", (PROJECT_DIR / "docs" / "reports.md").read_text(), re.S)
    held: dict[str, Any] = {}
    exec(code, held)
    rows = pl.DataFrame({"coupon": ["b", "a", "b", "b"], "amount": [1, 7, 5, 2]})
    table = held["COUPONS"].compute(SimpleNamespace(rows={"mart_shop_daily": rows}.__getitem__))
    assert held["COUPONS"].checked(table).rows() == [("a", 7.0), ("b", 2.0)]
