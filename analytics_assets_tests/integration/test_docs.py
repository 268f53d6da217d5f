"""The documents, held to what they say."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl

from analytics_assets.dbt.project import load_manifest
from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.figures import figures
from analytics_assets.settings import PROJECT_DIR, Api, BigQuery, Settings, Sheets
from analytics_assets_tests.support.project import test_settings as settings_in

PAGE = PROJECT_DIR / "docs" / "add-a-source.md"
FOR_EVERY_DOMAIN = (
    "analytics_assets_tests/unit/test_docs.py",
    "analytics_assets_tests/unit/test_layout.py",
    "analytics_assets_tests/integration/test_definitions.py::test_every_asset_and_column_is_described",
    "analytics_assets_tests/integration/test_definitions.py::test_the_shared_rooms_know_no_domain",
    "analytics_assets_tests/integration/dbt/test_erd.py",
    "analytics_assets_tests/integration/dbt/test_exposures.py::"
    "test_every_report_and_analysis_is_an_exposure_of_its_domain_and_reads_what_that_says",
    "analytics_assets_tests/integration/dbt/test_sql_lint.py::test_every_kind_of_test_is_sql_without_a_fault",
)
"""The tests that go over all domains, beside the laws; a new domain must not fail them."""

VENV = Path(sys.executable).parent
PAGE_ON_MARTS = PROJECT_DIR / "docs" / "write-a-mart.md"


def blocks(page: Path) -> dict[str, str]:
    """The code of a page by the file that it is to be saved as."""
    return dict(re.findall(r"this as\s+`([^`]+)`:\s+```\w+\n(.*?)```", page.read_text(), re.S))


def copy_of_the_project(folder: Path) -> Path:
    """The project without what it made."""
    ignored = shutil.ignore_patterns(".*", "data", "target", "logs", "__pycache__", "docs")
    shutil.copytree(PROJECT_DIR, folder, ignore=ignored)
    return folder


def test_a_real_file_becomes_a_dashboard_and_a_tested_domain_as_the_page_says(tmp_path: Path) -> None:
    copy = copy_of_the_project(tmp_path / "project")
    package = find_spec("vega_datasets")
    assert package is not None and package.origin is not None
    file = Path(package.origin).parent / "_data" / "seattle-weather.csv"
    for needed in (file, PROJECT_DIR / ".yamllint.yml", PROJECT_DIR / ".gitignore"):
        shutil.copy(needed, copy)
    for folder in ("docs", ".ci", ".github"):
        shutil.copytree(PROJECT_DIR / folder, copy / folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")}
    env |= {"PYTHONPATH": str(copy), "DAGSTER_HOME": str(tmp_path / "home"), "ANALYTICS_INBOX_SETTLE_SECONDS": "0"}

    def run(command: str) -> None:
        """Runs a command of the page: the programs are those of this venv, and know the copy."""
        words = [
            str(VENV / word.removeprefix(".venv/bin/")) if word.startswith(".venv/") else word
            for word in shlex.split(command)
        ]
        if words[0].endswith("/analytics-assets"):
            words[:1] = [sys.executable, "-m", "analytics_assets.cli"]
        done = subprocess.run(
            ["env", *words], cwd=copy, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}{done.stderr[-5000:]}"

    page = PAGE.read_text().replace("\\\n", "").partition("## 2.")[0]
    first, query, accepted, laws = re.findall(r"^```\n(.*?)^```", page, re.S | re.M)
    for command in (*first.splitlines(), query):
        run(command)
    assert (copy / "data" / "exports" / "weather_dashboard.html").is_file()
    rows = pl.read_csv(file).with_columns(pl.col("date").str.to_date("%Y/%m/%d"))
    with duckdb.connect(str(copy / "data/published/analytics.duckdb"), read_only=True) as connection:
        mart = connection.execute("select * from marts.mart_weather_daily order by date").pl()
    assert mart["date"].to_list() == rows["date"].to_list()
    assert mart["weather"].to_list() == rows["weather"].to_list()
    for column in ("precipitation", "temp_max", "temp_min", "wind"):
        assert mart[f"total_{column}"].cast(pl.Float64).to_list() == rows[column].to_list()

    written = re.findall(r"^\| `((?:analytics|dbt)_[^`]*weather[^`]*)` \|", page, re.M)
    assert len(written) == 7
    assert [name for name in written if not (copy / name).exists()] == []
    models = " ".join(name for name in written if name.startswith("dbt_project"))
    python = " ".join(name for name in written if name.endswith(".py"))
    for linter in ("ruff check", "ruff format --check"):
        run(f".venv/bin/{linter} {python}")
    for linter in ("yamllint --strict", "sqlfluff lint"):
        run(f".venv/bin/{linter} {models}")
    for command in (*accepted.splitlines(), laws):
        run(command)
    run(f"TEST_DOMAINS=weather .venv/bin/pytest -q {' '.join(FOR_EVERY_DOMAIN)}")
    assert "mart_weather_daily" in (copy / "docs" / "erd.md").read_text()


def test_adding_a_source_works_as_its_page_says(tmp_path: Path) -> None:
    copy = copy_of_the_project(tmp_path / "project")
    for name, code in (blocks(PAGE) | blocks(PAGE_ON_MARTS)).items():
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
