"""What a person sees at the prompt; the commands run as programs where a process matters."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analytics_assets.cli import app
from analytics_assets.settings import get_settings
from analytics_assets_tests.conftest import YESTERDAY, day
from analytics_assets_tests.test_automation import HEADER, event

PROGRAM = [sys.executable, "-m", "analytics_assets.cli"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "ANALYTICS_DATA_DIR": str(tmp_path / "data"),
        "ANALYTICS_START_DATE": str(day(0)),
        "ANALYTICS_INBOX_SETTLE_SECONDS": "6",
        "DAGSTER_HOME": str(tmp_path / "home"),
    }


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["materialize"], "say which days"),
        (["materialize", "--from", "2026-01-01"], "say which days"),
        (["materialize", "--new", "--from", "2026-01-01", "--to", "2026-01-02"], "say which days"),
        (["materialize", "--from", "2026-01-02", "--to", "2026-01-01"], "is after --to"),
        (["materialize", "--from", "2000-01-01", "--to", "2026-01-01"], "set ANALYTICS_START_DATE"),
        (["materialize", "--from", str(YESTERDAY), "--to", str(YESTERDAY + timedelta(1))], "is not over yet"),
        (["simulate", "--only", "nothing"], "there is no domain 'nothing'"),
        (["balance"], "materialize --new"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence_that_says_what_to_do(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANALYTICS_START_DATE", str(day(0)))
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, arguments)
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert said in text
    assert "Traceback" not in text


def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_REJECT_RATIO", "seven")
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, ["simulate"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 1
    assert "ANALYTICS_REJECT_RATIO='seven'" in result.output


@pytest.mark.slow
def test_new_files_are_waited_for_landed_and_made_and_then_there_is_nothing_to_do(
    env: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "inbox" / "consent_events"
    folder.mkdir(parents=True)
    (folder / "events-1.csv").write_text(HEADER + event("a", day(1)) + event("a", day(1)))
    first = run(env, "materialize", "--new")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "still being written" in first.stdout
    assert "mart_company_daily" in first.stdout
    second = run(env, "materialize", "--new")
    assert (second.returncode, second.stdout.strip()) == (0, "Nothing was out of date."), second.stdout + second.stderr
    balance = run(env, "balance")
    assert balance.returncode == 0
    assert "yes" in balance.stdout

    (folder / "events-2.csv").write_text("not,the,columns\n1,2,3\n")
    third = run(env, "materialize", "--new")
    assert third.returncode == 1
    assert "events-2.csv" in third.stdout
    assert "it lacks the column EVENT_ID" in " ".join(third.stdout.split())


@pytest.mark.slow
def test_a_range_of_one_asset_leaves_the_others_alone(env: dict[str, str]) -> None:
    assert run(env, "simulate", "--days", "5", "--scale", "0.05").returncode == 0
    made = run(env, "materialize", "--from", str(day(1)), "--to", str(day(2)), "--select", "group:consent")
    assert made.returncode == 0, made.stdout + made.stderr
    one = run(env, "materialize", "--from", str(day(1)), "--to", str(day(1)), "--select", "mart_company_daily")
    assert one.returncode == 0, one.stdout + one.stderr
    assert "stg_consent_events" not in one.stdout
