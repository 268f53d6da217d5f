"""The intervals, held to what they say: of 1,000 samples from a known population, 95 % hold the truth.

Each sample is the one day of a company of its own, so that one run of the project takes them all.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from random import Random

import polars as pl
import pytest

from analytics_assets.dbt import runner
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.settings import PROJECT_DIR
from analytics_assets_tests.support.project import ONE_DOMAIN, YESTERDAY, Project

pytestmark = pytest.mark.models_alone

PAGE = (PROJECT_DIR / "docs" / "consent.md").read_text()
SAMPLES = 1_000
CELLS = (
    100  # into which a tracker gathers the events that it sampled; a cell with some is a row, their number its COUNT
)


@dataclass(frozen=True)
class Stratum:
    """The events of one type that are sampled at one rate."""

    event_type: str
    rate: float
    events: int

    def draw(self, random: Random) -> int:
        """How many of the events come into a sample, each by itself with the probability `rate`."""
        return sum(random.random() < self.rate for _ in range(self.events))


POPULATION = (
    Stratum("pageview", 0.05, 2_000),
    Stratum("ui.action", 1.0, 250),
    Stratum("consent.asked", 0.1, 600),
    Stratum("consent.asked", 0.2, 300),
    Stratum("consent.given", 0.2, 400),
    Stratum("consent.given", 1.0, 100),
)


def events_of(event_type: str | None = None) -> int:
    return sum(s.events for s in POPULATION if event_type in (None, s.event_type))


TRUTH = {
    "total_events": events_of(),
    "asked": events_of("consent.asked"),
    "conversion_rate": events_of("consent.given") / events_of("consent.asked"),
}


def rows_of(company: str, event_type: str, rate: float, counts: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"COUNT": counts}, schema={"COUNT": pl.Int64}).with_columns(
        EVENT_ID=pl.format(f"{company} {event_type} {rate} {{}}", pl.int_range(pl.len())),
        APIKEY=pl.lit(company),
        TYPE=pl.lit(event_type),
        RATE=pl.lit(rate),
        EVENT_TIME=pl.lit(datetime.combine(YESTERDAY, time(12))),
    )


def samples_that_count_what_was_sampled() -> Iterator[pl.DataFrame]:
    """A row is a cell of sampled events, and COUNT says how many."""
    random = Random(1952)
    for number in range(SAMPLES):
        for stratum in POPULATION:
            cells = Counter(random.randrange(CELLS) for _ in range(stratum.draw(random)))
            yield rows_of(f"sample-{number}", stratum.event_type, stratum.rate, list(cells.values()))


def samples_that_count_all() -> Iterator[pl.DataFrame]:
    """A row is a sampled event, and COUNT says how many events it stands for."""
    random = Random(1977)
    for number in range(SAMPLES):
        for stratum in POPULATION:
            counts = [round(1 / stratum.rate)] * stratum.draw(random)
            yield rows_of(f"sample-{number}", stratum.event_type, stratum.rate, counts)


def estimates(folder: Path, frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Drops the rows as one file, makes the day, and reads what the marts say of each company."""
    project = Project(folder, ONE_DOMAIN, changes={"start_date": YESTERDAY})
    content = io.BytesIO()
    rows = pl.concat(frames)
    missing = [pl.lit(None, dtype).alias(c) for c, dtype in CONSENT_EVENTS.columns.items() if c not in rows.columns]
    rows.with_columns(missing).select(*CONSENT_EVENTS.columns).write_parquet(content)
    project.drop("consent_events", "events-samples.parquet", content.getvalue())
    project.settle()
    company, consent = project.frame("mart_company_daily"), project.frame("mart_consent_daily")
    return company.join(consent, on=["company_id", "event_date"])


def shares_that_hold_the_truth(found: pl.DataFrame) -> dict[str, float]:
    bounds = [f"{name}_{end}" for name in TRUTH for end in ("low", "high")]
    assert found.select(bounds).drop_nulls().height == SAMPLES
    held = {
        name: pl.lit(truth).is_between(pl.col(f"{name}_low"), pl.col(f"{name}_high")).mean().alias(name)
        for name, truth in TRUTH.items()
    }
    return found.select(**held).row(0, named=True)


def test_95_percent_of_the_intervals_hold_the_truth(tmp_path: Path) -> None:
    frames = list(samples_that_count_what_was_sampled())
    found = estimates(tmp_path / "data", frames)
    assert (pl.concat(frames)["COUNT"] > 1).mean() > 0.2
    shares = shares_that_hold_the_truth(found)
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares
    assert all(f"{share * 100:.1f}" in PAGE for share in shares.values()), f"docs/consent.md should say {shares}"
    # and the estimates are those of the truth, on the average over the samples
    for name, truth in TRUTH.items():
        assert found[name].cast(pl.Float64).mean() == pytest.approx(truth, rel=0.02), name


def test_95_percent_of_the_intervals_hold_the_truth_where_counts_are_extrapolated_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_vars = runner.project_vars
    monkeypatch.setattr(runner, "project_vars", lambda *args: project_vars(*args) | {"count_is_extrapolated": True})
    found = estimates(tmp_path / "data", list(samples_that_count_all()))
    shares = shares_that_hold_the_truth(found)
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares
    assert all(f"{share * 100:.1f}" in PAGE for share in shares.values()), f"docs/consent.md should say {shares}"


def test_below_30_sampled_rows_there_is_no_interval(tmp_path: Path) -> None:
    found = estimates(
        tmp_path / "data",
        [
            *(rows_of("enough", kind, 0.1, [2] * 30) for kind in ("consent.asked", "consent.given")),
            *(rows_of("few", kind, 0.1, [2] * 29) for kind in ("consent.asked", "consent.given")),
            rows_of("few answers", "consent.asked", 0.1, [2] * 30),
            rows_of("few answers", "consent.given", 0.1, [2] * 29),
        ],
    ).sort("company_id")
    has_interval = {
        name: found[f"{name}_low"].is_not_null().to_list() for name in ("asked", "given", "conversion_rate")
    }
    assert found["company_id"].to_list() == ["enough", "few", "few answers"]
    assert has_interval == {
        "asked": [True, False, True],
        "given": [True, False, False],
        "conversion_rate": [True, False, False],
    }
    assert found["asked_low"].is_null().to_list() == found["asked_high"].is_null().to_list()
    assert found["asked"].to_list() == [600, 580, 600]
    assert found["conversion_rate"].is_null().sum() == 0
