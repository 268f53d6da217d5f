"""The newest change that staging knows: read from the days that were made anew, and right at any time."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics_assets.defs.campaigns.extracts import CAMPAIGNS_EXTRACT
from analytics_assets.extract.watermark import newest_change
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.model_node import Manifest
from analytics_assets.state.builds import Build, builds_of_model
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.duckdb.warehouse import DuckDBReader
from analytics_assets.warehouse.interface import Rows
from analytics_assets_tests.support.project import day, test_settings

MODEL = "stg_campaigns"
NOON = datetime(2026, 1, 1, 12)
Row = tuple[datetime | None, datetime | None]
"""When it was changed, and when the pull began that brought it."""


@dataclass
class Staging:
    """The table of staging, as far as the watermark knows it, and the record of its days."""

    settings: Settings
    versions: int = 0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        node = {
            "unique_id": f"model.analytics.{MODEL}",
            "name": MODEL,
            "resource_type": "model",
            "relation_name": f"staging.{MODEL}",
            "config": {"meta": {"day": "date"}},
        }
        self.declared = Project(self.settings, (), warehouse_of(self.settings), Manifest({"nodes": {MODEL: node}}))
        self.make()

    def make(self) -> None:
        self.settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
        self.run("create schema if not exists staging")
        columns = f"date date, {CAMPAIGNS_EXTRACT.changed} timestamp, {CAMPAIGNS_EXTRACT.pulled} timestamp"
        self.run(f"create table staging.{MODEL} ({columns})")

    def run(self, sql: str, *values: object) -> list[tuple]:
        with duckdb.connect(str(self.settings.warehouse_file)) as connection:
            return connection.execute(sql, values).fetchall()

    def put(self, the_day: date, *rows: Row) -> None:
        """Makes a day anew."""
        self.run(f"delete from staging.{MODEL} where date = ?", the_day)
        for row in rows:
            self.run(f"insert into staging.{MODEL} values (?, ?, ?)", the_day, *row)
        self.versions += 1
        builds_of_model(MODEL, self.settings).record(MODEL, {the_day: Build(str(self.versions), "code")})

    def forget(self, the_day: date) -> None:
        """Deletes a day, with its record."""
        self.run(f"delete from staging.{MODEL} where date = ?", the_day)
        builds_of_model(MODEL, self.settings).forget(MODEL, [the_day])

    def newest(self) -> datetime | None:
        """By the oracle: over the whole table."""
        changed, pulled = CAMPAIGNS_EXTRACT.changed, CAMPAIGNS_EXTRACT.pulled
        ((found,),) = self.run(
            f"select max(least({changed}, {pulled})) from staging.{MODEL} where {pulled} is not null"
        )
        return found.replace(tzinfo=UTC) if found else None

    def known(self) -> datetime | None:
        return newest_change(CAMPAIGNS_EXTRACT, self.declared)

    def days_asked(self) -> list[set[date]]:
        """The days that each query since the last look names."""
        statements, self.asked[:] = list(self.asked), []
        return [{the_day for the_day in DAYS if _names(sql, the_day)} for sql in statements]

    @property
    def file(self) -> Path:
        return self.settings.lake_dir / "extracts" / "campaigns" / "watermark.json"


DAYS = [day(number) for number in range(5)]


def _names(sql: str, the_day: date) -> bool:
    """Whether a statement would read a row of a day, as DuckDB says."""
    condition = sql.partition("where (")[2].partition(") and")[0]
    return bool(duckdb.execute(f"select {condition} from (select ?::date as date)", [the_day]).fetchall()[0][0])


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Staging:
    found = Staging(test_settings(tmp_path))
    monkeypatch.setattr(DuckDBReader, "rows", listened(DuckDBReader.rows, found.asked))
    return found


def listened(rows: Callable[[DuckDBReader, str], Rows], asked: list[str]) -> Callable[[DuckDBReader, str], Rows]:
    def listening(reader: DuckDBReader, sql: str) -> Rows:
        asked.append(sql)
        return rows(reader, sql)

    return listening


def at(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


def test_at_first_all_days_are_read_and_then_those_that_were_made_anew(staging: Staging) -> None:
    assert staging.known() is None
    assert staging.days_asked() == [], "nothing is made, so nothing is asked"
    for number, the_day in enumerate(DAYS):
        staging.put(the_day, (at(number), at(10)))
    assert staging.known() == at(4).replace(tzinfo=UTC)
    assert staging.days_asked() == [set(DAYS)]
    assert staging.known() == at(4).replace(tzinfo=UTC)
    assert staging.days_asked() == []

    staging.put(DAYS[1], (at(6), at(10)))
    staging.put(DAYS[3], (at(3), at(10)))
    assert staging.known() == at(6).replace(tzinfo=UTC)
    assert staging.days_asked() == [{DAYS[1], DAYS[3]}], "in one query"


def test_a_row_that_is_withdrawn_lowers_it(staging: Staging) -> None:
    staging.put(DAYS[0], (at(1), at(10)))
    staging.put(DAYS[1], (at(2), at(10)), (at(3), at(10)))
    assert staging.known() == at(3).replace(tzinfo=UTC)
    staging.put(DAYS[1], (at(2), at(10)))
    assert staging.known() == at(2).replace(tzinfo=UTC)
    staging.put(DAYS[1])
    assert staging.known() == at(1).replace(tzinfo=UTC)


def test_a_day_that_is_no_longer_recorded_no_longer_counts(staging: Staging) -> None:
    staging.put(DAYS[0], (at(1), at(10)))
    staging.put(DAYS[1], (at(2), at(10)))
    assert staging.known() == at(2).replace(tzinfo=UTC)
    builds_of_model(MODEL, staging.settings).forget(MODEL, [DAYS[1]])
    staging.days_asked()
    assert staging.known() == at(1).replace(tzinfo=UTC), "what such a day holds is not known"
    assert staging.days_asked() == []
    assert set(json.loads(staging.file.read_text())) == {str(DAYS[0])}


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"2025-01-01": 7}', '{"today": ["1", null]}', "\x00"])
def test_what_is_kept_and_damaged_is_read_anew(staging: Staging, damaged: str) -> None:
    staging.put(DAYS[0], (at(1), at(10)))
    staging.put(DAYS[1], (at(2), at(10)))
    staging.known()
    staging.days_asked()
    staging.file.write_text(damaged)
    assert staging.known() == at(2).replace(tzinfo=UTC)
    assert staging.days_asked() == [set(DAYS[:2])]


def test_of_a_table_that_was_dropped_nothing_is_kept(staging: Staging) -> None:
    staging.put(DAYS[0], (at(1), at(10)))
    staging.run("create table staging.another as select range from range(100000)")  # the file is not an empty one
    staging.run(f"drop table staging.{MODEL}")
    assert staging.known() is None
    staging.make()
    staging.versions -= 1
    staging.put(DAYS[0], (at(1), at(10)))
    assert staging.known() == at(1).replace(tzinfo=UTC)


# ------------------------------------------------------------------------------------------------------- the property

TIMES = st.one_of(st.none(), st.integers(0, 20).map(at))
STEPS = st.one_of(
    st.tuples(st.just("made"), st.sampled_from(DAYS), st.lists(st.tuples(TIMES, TIMES), max_size=3)),
    st.tuples(st.just("deleted"), st.sampled_from(DAYS), st.just([])),
    st.tuples(st.just("asked"), st.none(), st.just([])),
    st.tuples(st.just("damaged"), st.none(), st.just([])),
)


@given(st.lists(STEPS, max_size=12))
@example([("made", DAYS[0], [(at(5), at(9))]), ("asked", None, []), ("made", DAYS[0], [(at(4), at(9))])])
@example([("made", DAYS[2], [(at(5), at(3)), (at(8), None)]), ("asked", None, []), ("deleted", DAYS[2], [])])
def test_at_any_time_it_is_what_the_whole_table_says(steps: list[tuple[str, date | None, list[Row]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        staging = Staging(test_settings(Path(folder)))
        for what, the_day, rows in steps:
            if what == "made" and the_day:
                staging.put(the_day, *rows)
            elif what == "deleted" and the_day:
                staging.forget(the_day)
            elif what == "asked":
                assert staging.known() == staging.newest()
            elif staging.file.exists():
                staging.file.write_text(staging.file.read_text()[:-3])
        assert staging.known() == staging.newest()
