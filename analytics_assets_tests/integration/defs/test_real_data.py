"""The real files, through the whole chain. Skipped where they are not at hand."""

import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from analytics_assets.automation.run_grouping import group_into_runs, tied_windows
from analytics_assets.cli.app import app
from analytics_assets.dbt import runner
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.operations.runner import Outcome
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR, get_settings
from analytics_assets_tests.support.project import ONE_DOMAIN, REAL_DATA, Project

pytestmark = pytest.mark.skipif(not (REAL_DATA / "consent").exists(), reason="the real files are not at hand")
DAYS = Window.of_days(date(2025, 9, 5), date(2025, 9, 10))


def make_all(folder: Path) -> tuple[Project, Outcome]:
    project = Project(folder, ONE_DOMAIN, changes={"start_date": DAYS.start})
    for source, folder in (("consent_events", "events"), ("companies", "companies")):
        shutil.copytree(REAL_DATA / "consent" / folder, project.settings.inbox_dir / source)
    runner = project.runner()
    runner.land({"landed_consent_events", "landed_companies"})
    windows = tied_windows(runner.upstream, set(project.assets), DAYS, lambda _: project.window)
    runner.make(group_into_runs(runner.upstream, {name: [window] for name, window in windows.items()}))
    assert runner.outcome.failures == []
    return project, runner.outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    return make_all(tmp_path_factory.mktemp("real") / "data")


@pytest.fixture(scope="module")
def real(made: tuple[Project, Outcome]) -> Project:
    return made[0]


@pytest.fixture(scope="module")
def files() -> pl.DataFrame:
    """All event files as text, for oracles of their own, with the day and the volume that a row stands for."""
    frames = []
    for file in sorted((REAL_DATA / "consent" / "events").iterdir()):
        frame = pl.read_csv(file, infer_schema=False) if file.suffix == ".csv" else pl.read_parquet(file)
        frames.append(frame.select(pl.all().cast(pl.String)))
    return pl.concat(frames).with_columns(
        pl.col("COUNTRY", "REGION").str.strip_chars('"'),
        day=pl.col("EVENT_TIME").str.slice(0, 10).str.to_date(),
        volume=pl.col("COUNT").cast(pl.Float64) / pl.col("RATE").cast(pl.Float64).round(6),
    )


def test_every_real_row_is_somewhere(real: Project) -> None:
    events, companies = (reconcile(source, real.declared, datetime.now(UTC)) for source in real.sources)
    assert events.faults == companies.faults == []
    assert (events.accepted, events.raw, events.rejected) == (4758, 4758, 0)
    assert (companies.accepted, companies.raw) == (40, 40 * 6)


def compared(mart: pl.DataFrame, oracle: pl.DataFrame) -> None:
    """Every column of the oracle equals the mart's column of its name, for each company and day."""
    assert mart.height == oracle.height == 19
    joined = mart.join(oracle, left_on=["company_id", "event_date"], right_on=["APIKEY", "day"], suffix="_expected")
    assert joined.height == 19
    for name in oracle.columns[2:]:
        found, expected = (joined[column].cast(pl.Float64).to_list() for column in (name, f"{name}_expected"))
        assert found == pytest.approx(expected, abs=1e-6, rel=1e-9), name


def test_the_companies_figures_are_those_of_the_real_files(real: Project, files: pl.DataFrame) -> None:
    oracle = files.group_by("APIKEY", "day").agg(
        total_events=pl.col("volume").sum(),
        pageview_events=pl.col("volume").filter(pl.col("TYPE") == "pageview").sum(),
        ui_action_events=pl.col("volume").filter(pl.col("TYPE") == "ui.action").sum(),
        other_events=pl.lit(0),
        countries=pl.col("COUNTRY").n_unique(),
        sampled_rows=pl.len(),
    )
    compared(real.frame("mart_company_daily"), oracle)


def test_the_figures_of_consent_are_those_of_the_real_files(real: Project, files: pl.DataFrame) -> None:
    asked, given = (pl.col("volume").filter(pl.col("TYPE") == f"consent.{word}").sum() for word in ("asked", "given"))
    shares = {
        f"{name}_share": pl.col("volume").filter(pl.col("CONSENT") == status).sum() / pl.col("volume").sum()
        for name, status in (
            ("full_opt_in", "full opt-in"),
            ("partial_opt_in", "partial opt-in"),
            ("opt_out", "opt-out"),
            ("empty_status", "empty"),
        )
    }
    oracle = files.group_by("APIKEY", "day").agg(
        asked=asked, given=given, conversion_rate=(given / asked).round(6), other_status_share=pl.lit(0), **shares
    )
    compared(real.frame("mart_consent_daily"), oracle.with_columns(pl.col(*shares).round(6)))


def test_answers_are_paired_with_the_questions_of_the_real_files(real: Project, files: pl.DataFrame) -> None:
    device = ("APIKEY", "DEPLOYMENT_ID", "DOMAIN", "SDK_TYPE", "COUNTRY", "REGION", "BROWSER_FAMILY", "DEVICE_TYPE")
    open_questions: dict[tuple, datetime] = {}
    expected = {}
    events = files.filter(pl.col("TYPE").str.starts_with("consent.")).sort("EVENT_TIME", "TYPE", "EVENT_ID")
    for row in events.rows(named=True):
        key, at = tuple(row[column] for column in device), datetime.fromisoformat(row["EVENT_TIME"])
        if row["TYPE"] == "consent.asked":
            open_questions[key] = at
        else:
            asked_at = open_questions.pop(key, None)
            seconds = (at - asked_at).total_seconds() if asked_at else None
            expected[row["EVENT_ID"]] = seconds if seconds is not None and seconds <= 30 * 60 else None
    answers = real.frame("int_consent_answers").with_columns(pl.col("seconds_asked_to_given").cast(pl.Float64))
    assert dict(answers.select("event_id", "seconds_asked_to_given").rows()) == expected
    assert len(expected) == 2835
    assert sum(seconds is not None for seconds in expected.values()) == 215
    by_country = real.frame("mart_consent_answers_daily")
    assert (by_country["answers"].sum(), by_country["pairs"].sum()) == (2835, 215)


def test_counts_that_are_extrapolated_already_are_told_with_their_days(
    made: tuple[Project, Outcome], files: pl.DataFrame
) -> None:
    real, outcome = made
    check = "counts_are_of_the_sample"
    assert any(check in warning and "the_day 2025-09-05" in warning for warning in outcome.warnings)
    run = run_dbt(["test", "--select", f"{check}*"], real.settings, real.sources, DAYS)
    (sql,) = run.failing_tests.values()
    with duckdb.connect(str(real.settings.warehouse_file), read_only=True) as connection:
        named = connection.execute(f"select the_day, company_id from ({sql})").fetchall()
    sampled = files.filter(pl.col("RATE").cast(pl.Float64) < 1).group_by("day", "APIKEY").len()
    assert sorted(named) == sorted(sampled.filter(pl.col("len") >= 30).select("day", "APIKEY").rows())
    assert len(named) == 12


def test_all_real_companies_are_known_and_seven_have_no_headquarters(real: Project) -> None:
    assert real.frame("mart_company_daily").filter(pl.col("industry_front") == "unknown").height == 0
    one_day = real.frame("stg_companies").filter(pl.col("snapshot_date") == DAYS.start)
    assert one_day.filter(pl.col("hq_country") == "unknown").height == 7


def test_a_folder_of_the_real_files_is_left_as_it_was(real: Project) -> None:
    names = {file.name for file in (Path(real.settings.inbox_dir) / "consent_events").iterdir()}
    assert names == {file.name for file in (REAL_DATA / "consent" / "events").iterdir()}


@pytest.fixture(scope="module")
def extrapolated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same files, with COUNT taken for all events."""
    project_vars = runner.project_vars
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner, "project_vars", lambda *args: project_vars(*args) | {"count_is_extrapolated": True})
        return make_all(tmp_path_factory.mktemp("extrapolated") / "data")[0]


FINDINGS = re.findall(
    r"```\n(# count_is_extrapolated: true\n)?\.venv/bin/analytics-assets sql \"([^\"]+)\"\n(┏.*?)```",
    (PROJECT_DIR / "docs" / "consent.md").read_text(),
    re.DOTALL,
)


@pytest.mark.parametrize(("reading", "statement", "printed"), FINDINGS, ids=range(len(FINDINGS)))
def test_each_finding_of_the_page_is_what_its_command_prints(
    real: Project, extrapolated: Project, monkeypatch: pytest.MonkeyPatch, reading: str, statement: str, printed: str
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str((extrapolated if reading else real).folder))
    monkeypatch.setenv("ANALYTICS_START_DATE", str(DAYS.start))  # `sql` warns of other days, which are not made
    monkeypatch.setenv("ANALYTICS_END_DATE", str(max(DAYS.days())))
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, ["sql", statement])
    finally:
        get_settings.cache_clear()
    assert result.output == printed


def test_the_page_has_findings_in_both_readings_of_the_count() -> None:
    assert len(FINDINGS) >= 4
    assert len({reading for reading, _, _ in FINDINGS}) == 2
