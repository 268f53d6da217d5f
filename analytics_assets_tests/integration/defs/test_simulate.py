from collections import Counter
from pathlib import Path
from random import Random

import polars as pl
import pytest

from analytics_assets.operations.runner import Outcome
from analytics_assets.partitions import Window
from analytics_assets_tests.support.project import IN_FULL, YESTERDAY, Project, day

DAYS = 30 if IN_FULL else 8


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A month of everything, or in the suite a week."""
    project = Project(tmp_path_factory.mktemp("month") / "data", changes={"start_date": day(0, days=DAYS)})
    project.simulate(scale=1.0)
    project.land()
    return project


def landed(project: Project, source: str) -> pl.DataFrame:
    files = (project.settings.landed_dir / source).glob("*/*.parquet")
    return pl.concat([pl.read_parquet(file).with_columns(day=pl.lit(file.parent.name)) for file in files])


def test_the_same_seed_makes_the_same_bytes_and_another_seed_makes_others(tmp_path: Path) -> None:
    window = Window.of_days(day(0), YESTERDAY)

    def contents(name: str, seed: int) -> dict[str, bytes]:
        for domain in Project(tmp_path / "x").domains:
            domain.simulate(tmp_path / name, window, 0.1, Random(seed))
        return {str(f.relative_to(tmp_path / name)): f.read_bytes() for f in (tmp_path / name).rglob("*.*")}

    assert contents("a", 1) == contents("b", 1)
    assert contents("c", 2) != contents("a", 1)


def test_a_month_at_scale_1_holds_every_defect_that_the_chain_must_survive(month: Project) -> None:
    events = landed(month, "consent_events")
    assert 1_200 < events.height / DAYS < 1_800
    delivered = events["_source_file"].str.extract(r"(\d{4}-\d{2}-\d{2})")
    late = events.filter(delivered > events["day"])
    assert 0.01 < late.height / events.height < 0.05
    copies = Counter(events["EVENT_ID"].to_list())
    assert 0.005 < sum(n - 1 for n in copies.values()) / events.height < 0.03
    changed = events.group_by("EVENT_ID").agg(pl.col("WINDOW_START").n_unique().alias("n")).filter(pl.col("n") > 1)
    assert changed.height > DAYS / 3
    rate = events["RATE"]
    assert rate.is_null().any() and (rate == 0).any() and (rate > 1).any() and (rate == 0.1000000015).any()
    assert events["PARAMETERS"].str.contains("\n").any()
    assert events["COUNTRY"].str.contains(",").any()
    assert (events["TYPE"] == "sdk.error").any() and (events["CONSENT"] == "expired").any()
    assert events["_extra"].drop_nulls().to_list()[0] == '{"TRACKER_VERSION":"2.1"}'
    reasons = {
        column
        for file in (month.settings.rejects_dir / "consent_events").glob("*.parquet")
        for column in pl.read_parquet(file)["column"].to_list()
    }
    assert reasons == {"COUNT", "EVENT_TIME", "EVENT_ID"}
    endings = {Path(name).name.split(".", 1)[1] for name in events["_source_file"].unique()}
    assert endings == {"csv", "csv.gz", "parquet", "jsonl"}


def test_one_company_sends_events_and_is_in_no_list(month: Project) -> None:
    senders = set(landed(month, "consent_events")["APIKEY"].to_list())
    listed = set(landed(month, "companies")["PUBLIC_API_KEY"].to_list())
    assert len(senders - listed) == 1


@pytest.fixture(scope="module")
def outcome(month: Project) -> Outcome:
    return month.settle().outcome


def test_the_checks_of_a_simulated_month_are_green_and_warn_of_what_is_odd(outcome: Outcome) -> None:
    assert outcome.failures == []
    for check in ("counts_are_of_the_sample", "sampling_rates_are_valid"):
        assert any(check in warning for warning in outcome.warnings), outcome.warnings


def test_questions_are_answered_some_by_users_that_are_known_and_some_after_midnight(
    month: Project, outcome: Outcome
) -> None:
    answers = month.frame("int_consent_answers")
    pairs = answers.filter(pl.col("seconds_asked_to_given") > 0)
    assert pairs.height > 100 * DAYS
    assert pairs.filter("is_by_user")["seconds_asked_to_given"].cast(pl.Float64).is_between(2, 90).mean() > 0.99
    events = month.frame("stg_consent_events").select("event_id", "event_date", "event_at")
    asked_at = pl.col("event_at") - pl.duration(milliseconds=pl.col("seconds_asked_to_given").cast(pl.Float64) * 1000)
    joined = pairs.join(events, on=["event_id", "event_date"])
    assert joined.filter(asked_at.dt.date() < pl.col("event_date")).height > DAYS / 6


def test_one_company_counts_all_its_events_already(month: Project, outcome: Outcome) -> None:
    sampled = month.frame("stg_consent_events").filter(pl.col("sampling_rate") < 1)
    close = ((pl.col("sampled_count") * pl.col("sampling_rate") - 1).abs() < 0.1).mean()
    shares = sampled.group_by("company_id").agg(close.alias("share"))["share"].sort().to_list()
    assert shares[-1] == 1
    assert shares[-2] < 0.1
