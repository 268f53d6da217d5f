"""Whatever comes, in whatever order, and whatever fails meanwhile: once it settles, every table equals a rebuild.

The suite tries a few examples, always the same; with `HYPOTHESIS_PROFILE=full` it tries two hundred new ones.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_assets.dbt import published
from analytics_assets.dbt import step as dbt_step
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.warehouse import raw_day_writer
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import IN_FULL, ONE_DOMAIN, YESTERDAY, Project, day

pytestmark = pytest.mark.models_alone

DAYS = 3
NAMES = ("events-a.csv", "events-b.csv", "sub/events-c.csv")


@dataclass(frozen=True)
class Row:
    identity: str
    at: date
    count: int
    is_good: bool = True

    @property
    def line(self) -> str:
        line = event(self.identity, self.at, self.count)
        return line if self.is_good else line.replace("12:00:00", "noon")


@dataclass(frozen=True)
class Step:
    """A file is dropped, and whatever is out of date is made, but something fails."""

    name: str
    rows: tuple[Row, ...]
    failure: str | None

    @property
    def content(self) -> str:
        return HEADER + "".join(row.line for row in self.rows)


rows = st.builds(
    Row,
    identity=st.sampled_from("pqrst"),
    at=st.sampled_from([day(number, DAYS) for number in range(DAYS)]),
    count=st.integers(0, 3),
    is_good=st.sampled_from([True, True, True, False]),
)
contents = st.lists(rows, max_size=5).map(tuple)
failures = st.sampled_from([None, "raw", "before dbt", "after dbt", "published", "landing only"])


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Files under few names, so that they replace each other, of few contents, so that they are redelivered."""
    some = draw(st.lists(contents, min_size=2, max_size=4, unique=True))
    return draw(
        st.lists(
            st.builds(Step, name=st.sampled_from(NAMES), rows=st.sampled_from(some), failure=failures),
            min_size=3,
            max_size=6,
        )
    )


def take(project: Project, step: Step, patched: pytest.MonkeyPatch) -> None:
    project.drop("consent_events", step.name, step.content)
    runner = project.runner()
    runner.land({"landed_consent_events"})
    if step.failure == "landing only":
        return
    run_dbt = dbt_step.run_dbt

    def crash(*_: object, **__: object) -> None:
        raise DbtError("it was not to be")

    def crash_after_dbt(*arguments: object, **named: object) -> None:
        run_dbt(*arguments, **named)  # type: ignore[arg-type]
        crash()

    places = {
        "raw": (raw_day_writer.ParquetByDay, "_replace", crash),
        "before dbt": (dbt_step, "run_dbt", crash),
        "after dbt": (dbt_step, "run_dbt", crash_after_dbt),
        "published": (published, "publish", crash),
    }
    with patched.context() as failing:
        if step.failure:
            failing.setattr(*places[step.failure])
        runner.settle(set(project.assets))


@settings(max_examples=200 if IN_FULL else 2)
@given(histories())
def test_after_settling_every_table_equals_the_rebuild_and_holds_the_rows_of_the_files(history: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        project = Project(Path(folder) / "data", ONE_DOMAIN, changes={"start_date": day(0, DAYS)})
        for step in history:
            take(project, step, patched)
        project.settle()
        assert project.requested() == {}

        held = {step.name: step for step in history}  # the last under each name
        once = {step.content: step for step in held.values()}.values()  # the same bytes count once
        expected = Counter((row.identity, row.at) for step in once for row in step.rows if row.is_good)
        raw = project.frame("raw_consent_events")
        assert Counter(zip(raw["EVENT_ID"], raw["the_day"], strict=True)) == expected
        staged = project.frame("stg_consent_events")
        assert sorted(zip(staged["event_id"], staged["the_day"], strict=True)) == sorted(expected)

        rebuild = project.copy_to(Path(folder) / "rebuilt")
        rebuild.forget_builds()
        rebuild.settle()
        assert project.tables() == rebuild.tables()
        assert max(day(number, DAYS) for number in range(DAYS)) == YESTERDAY
