"""The check of the volume: how often it is wrong, and what it finds, on histories in which incidents were planted."""

import math
import statistics
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random

import duckdb
import polars as pl
import pytest

from analytics_assets.dbt.runner import run_dbt
from analytics_assets.dbt.step_results import _days_named
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.warehouse.interface import Rows
from analytics_assets_tests.support.project import test_settings

PAGE = (PROJECT_DIR / "docs" / "sessions.md").read_text()
FIRST, DAYS = date(2004, 1, 1), 8_000
WEEKDAYS = (1.0, 1.0, 1.02, 1.0, 0.95, 0.7, 0.65)
GROWTH = 0.2  # a year
INCIDENTS = {"a quarter is lost": 0.75, "a third is lost": 2 / 3, "half is lost": 0.5, "all is lost": 0.0, "twice": 2.0}
INCIDENT_SHARE = 0.04  # of the days; they stay in the baselines of the weeks after them


def history(noise: float) -> tuple[list[int], list[str | None]]:
    """Events a day, with the incident of each day. The noise is the standard deviation of their logarithms."""
    random = Random(2026)
    volumes, incidents = [], []
    for number in range(DAYS):
        usual = 1_500 * (1 + GROWTH) ** (number / 365) * WEEKDAYS[(FIRST + number * ONE_DAY).weekday()]
        incident = random.choice(list(INCIDENTS)) if random.random() < INCIDENT_SHARE else None
        incidents.append(incident)
        volumes.append(round(usual * math.exp(random.gauss(0, noise)) * (INCIDENTS[incident] if incident else 1)))
    return volumes, incidents


def usual(volumes: Sequence[int], number: int) -> float:
    """The median of the same weekdays of the eight weeks before."""
    return statistics.median(volumes[day] for day in range(number - 56, number, 7) if day >= 0 and volumes[day])


def unusual(volumes: Sequence[int], number: int) -> bool:
    """The rule, in a few lines: days without rows are judged, and are in no baseline."""
    before = [volumes[number - 7 * week] for week in range(1, 9) if number >= 7 * week and volumes[number - 7 * week]]
    if len(before) < 4:
        return False
    usual = statistics.median(before)
    deviation = 1.4826 * statistics.median(abs(volume - usual) for volume in before)
    return abs(volumes[number] - usual) > max(3 * deviation, 0.3 * usual)


def alarms(folder: Path, volumes: Sequence[int]) -> dict[int, str]:
    """The days to which the project's own check objects, by their numbers, and what it says of each."""
    settings = test_settings(folder)
    settings.warehouse_file.parent.mkdir(parents=True)
    days = pl.DataFrame({"event_date": [FIRST + number * ONE_DAY for number in range(DAYS)], "events": volumes})
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        connection.register("days", days)
        connection.execute("create schema marts")
        connection.execute("create table marts.mart_session_quality as from days where events > 0")
    window = Window(FIRST, FIRST + DAYS * ONE_DAY)
    run = run_dbt(["test", "--select", "usual_volume_mart_session_quality_events"], settings, SESSIONS.sources, window)
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        ((name, sql),) = run.failing_tests.items()
        found = connection.execute(sql).pl()
    result = next(one for one in run.results if one.name == name)
    said = _days_named(result, {name: Rows(found.columns, found.rows())}, window, "event_date")
    return {(day - FIRST).days: text for day, text in (said or {}).items()}


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_the_false_alarms_and_the_incidents_that_are_found_are_those_of_the_docs(tmp_path: Path, noise: float) -> None:
    volumes, incidents = history(noise)
    found = alarms(tmp_path / "data", volumes)
    assert found.keys() == {number for number in range(DAYS) if unusual(volumes, number)}
    for number, text in found.items():
        little = volumes[number] < usual(volumes, number)
        which = "less than on the same weekdays of the 8 weeks before; is a file missing or cut?"
        if not little:
            which = "more than on the same weekdays of the 8 weeks before; did a file come twice?"
        assert text == f"events {volumes[number]:,}, usually {usual(volumes, number):,.10g}: far {which}"

    judged = range(8 * 7, DAYS)
    shares = {}
    for incident in (None, *INCIDENTS):
        numbers = [number for number in judged if incidents[number] == incident]
        shares[incident] = sum(number in found for number in numbers) / len(numbers)
    assert shares[None] < 0.02
    assert shares["all is lost"] == 1
    row = " | ".join(f"{share:.1%}".replace("%", " %") for share in shares.values())
    assert f"| {noise * 100:.0f} % | {row} |" in PAGE, row
