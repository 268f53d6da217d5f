"""The real files of an app's marketing, with simulated touches and revenue. Skipped where they are not at hand."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import duckdb
import polars as pl
import pytest
from mam import MAM

from analytics_assets.defs.attribution import DOMAIN as ATTRIBUTION
from analytics_assets.defs.attribution.given_users import write_activity
from analytics_assets.defs.attribution.sources import MARKETING_SPEND, USERS
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Window
from analytics_assets.state.builds import newest_export
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.project import IN_FULL, REAL_DATA, Project

FILES = REAL_DATA / "attribution"

pytestmark = [
    pytest.mark.skipif(not FILES.exists(), reason="the real files are not at hand"),
    pytest.mark.models_alone,
]
YEAR = Window.of_days(date(2023, 1, 1), date(2023, 12, 31))
DAYS = YEAR if IN_FULL else Window.of_days(date(2023, 1, 1), date(2023, 1, 7))
CELL = ["channel", "campaign", "event_date"]


def file_of(source: str) -> pl.DataFrame:
    """A real file as text, for oracles of their own."""
    return pl.read_csv(FILES / f"{source}.csv", infer_schema=False)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The files of the whole year; the days of a week are made, or in full all of them."""
    folder = tmp_path_factory.mktemp("real") / "data"
    changes = {"start_date": DAYS.start, "end_date": max(DAYS.days())}
    project = Project(folder, [replace(ATTRIBUTION, reports=())], changes)
    for source in (MARKETING_SPEND, USERS):
        target = project.settings.inbox_dir / source.name / f"{source.name}.csv"
        target.parent.mkdir(parents=True)
        shutil.copy(FILES / target.name, target)
    some = file_of("users").filter(pl.col("installed_at").str.slice(0, 10) <= str(max(DAYS.days())))
    some.write_csv(users := folder / "some_users.csv")
    write_activity(users, project.settings.inbox_dir, max(DAYS.days()), seed=1)
    project.settle()
    return project


def test_every_row_lands_on_its_day_and_none_is_rejected(real: Project) -> None:
    for source, column, rows in ((MARKETING_SPEND, "date", 9_125), (USERS, "installed_at", 34_697)):
        found = {
            day: sum(piece.rows for piece in pieces)
            for day, pieces in Ledger(real.settings.lake_dir).pieces(source, YEAR).items()
        }
        day = pl.col(column).str.slice(0, 10).str.to_date()
        assert found == dict(file_of(source.name).group_by(day).len().rows())
        assert (len(found), sum(found.values())) == (365, rows)
    for source in real.sources:
        told = reconcile(source, real.declared, datetime.now(UTC))
        assert (told.faults, told.rejected) == ([], 0)


def test_spend_and_users_are_those_of_the_real_files(real: Project) -> None:
    named = {"date": "event_date"}
    numbers = [pl.col("spend").cast(pl.Float64), pl.col("impressions", "clicks", "installs").cast(pl.Int64)]
    spend = file_of("marketing_spend").with_columns(pl.col("date").str.to_date(), *numbers).rename(named)
    day = pl.col("installed_at").str.slice(0, 10).str.to_date()
    users = file_of("users").group_by("channel", "campaign", day.alias("event_date")).len("users")
    expected = spend.join(users, on=CELL, how="full", coalesce=True).filter(pl.col("event_date") <= max(DAYS.days()))
    found = real.frame("campaign_performance_daily").filter(~pl.col("channel").is_in(["email", "organic"]))
    joined = found.join(expected, on=CELL, how="full", suffix="_expected")
    assert joined.height == found.height == expected.height == 25 * len(DAYS)
    for name in ("impressions", "clicks", "installs", "users"):
        assert joined[name].to_list() == joined[f"{name}_expected"].to_list(), name
    assert (joined["installs_less_users"] == 0).all(), "in these files, each billed install is a user"
    by_channel = found.group_by("channel").agg(pl.col("spend").sum().cast(pl.Float64).round(2))
    in_file = expected.group_by("channel").agg(pl.col("spend").sum().round(2))
    assert dict(by_channel.rows()) == dict(in_file.rows())


def test_channels_that_nobody_pays_for_keep_their_touches_and_all_revenue_has_a_user(real: Project) -> None:
    channels = real.frame("channel_performance_daily").group_by("channel").agg(pl.col("spend", "touchpoints").sum())
    unpaid = {channel for channel, spend, touches in channels.rows() if spend == 0 and touches > 0}
    assert unpaid == {"email", "organic"}
    assert real.frame("int_revenue")["is_known_user"].all()
    raw = pl.read_csv(real.settings.inbox_dir / "revenue_and_rewards" / "revenue_and_rewards-simulated.csv")
    revenue = real.frame("channel_performance_daily")["revenue"].sum()
    assert float(revenue) == pytest.approx(raw["revenue"].sum(), abs=1e-6)


def test_each_model_of_attribution_credits_all_conversions_and_all_revenue_of_each_day(real: Project) -> None:
    daily, performance = real.frame("attribution_daily"), real.frame("channel_performance_daily")
    whole = performance.group_by("event_date").agg(pl.col("conversions", "revenue", "spend", "touchpoints").sum())
    assert (whole["conversions"] > 0).any()
    by_model = daily.group_by("event_date", "model").agg(
        pl.col("credited_conversions", "credited_revenue", "spend", "touchpoints").sum()
    )
    models = by_model.drop_nulls("model").join(whole, on="event_date", how="full", coalesce=True)
    assert set(models["model"].drop_nulls()) >= {"first_touch", "linear", "shapley"}
    said = models.filter((pl.col("conversions") > 0) | (pl.col("revenue") != 0))
    assert said["credited_conversions"].cast(pl.Float64).to_list() == said["conversions"].to_list()
    assert said["credited_revenue"].to_list() == said["revenue"].to_list()
    once = by_model.filter(pl.col("model").is_null()).join(whole, on="event_date", suffix="_whole")
    assert once["spend"].to_list() == once["spend_whole"].to_list()
    assert once["touchpoints"].to_list() == once["touchpoints_whole"].to_list()
    assert once["spend"].sum() == performance["spend"].sum()
    cells = daily.filter(pl.col("model").is_null() & (pl.col("spend") != 0)).select(CELL)
    spent = real.frame("campaign_performance_daily").filter(pl.col("spend") != 0).select(CELL)
    assert sorted(cells.rows()) == sorted(spent.rows()), "spend that nobody answers stays"


def rows_of_function(real: Project, sql: str) -> pl.DataFrame:
    with duckdb.connect(str(real.settings.published_file), read_only=True) as connection:
        return connection.execute(sql).pl()


def test_paths_are_those_of_all_conversions_and_of_all_users_since(real: Project) -> None:
    """Against the touches themselves, user by user."""
    counts: Counter[tuple[str, bool]] = Counter()
    touches = real.frame("int_path_touches").sort("user_id", "touched_at", "is_conversion", "touch_id")
    for of_user in touches.partition_by("user_id"):
        rows = of_user.select("channel", "is_conversion", "is_touch").rows()
        last = max((place for place, (_, converted, _) in enumerate(rows) if converted), default=-1)
        if since := [channel for channel, _, is_touch in rows[last + 1 :] if is_touch]:
            counts[" > ".join(since), False] += 1
    credit = real.frame("attribution_credit").sort("touch_number")
    for of_conversion in credit.partition_by("conversion_id"):
        counts[" > ".join(of_conversion["channel"]), True] += 1
    found = rows_of_function(real, f"from reporting.rpt_paths(date '{DAYS.start}', date '{max(DAYS.days())}')")
    assert {(path, is_converting): number for path, is_converting, number, _ in found.rows()} == counts
    assert found["conversions"].sum() == credit["conversion_id"].n_unique() > 0


def test_all_models_divide_the_same_conversions_and_revenue(real: Project) -> None:
    table = pl.read_csv(newest_export(real.settings, "attribution_models_report", "csv"))
    performance = real.frame("channel_performance_daily")
    conversions, revenue = performance["conversions"].sum(), float(performance["revenue"].sum())
    sums = table.group_by("model").agg(pl.col("share", "credited_conversions", "credited_revenue").sum())
    assert sums.height == 12
    for model, share, credited, credited_revenue in sums.rows():
        assert (share, credited, credited_revenue) == pytest.approx((1, conversions, revenue)), model
    assert (table["credited_conversions"] >= 0).all()
    assert (table["conversions_low"] <= table["credited_conversions"]).all()
    assert (table["credited_conversions"] <= table["conversions_high"]).all()
    assert set(table["supported_by"]) == {"no test supports this"}


def test_another_package_credits_the_same_by_the_same_rules(real: Project) -> None:
    paths = rows_of_function(real, f"from reporting.rpt_paths(date '{DAYS.start}', date '{max(DAYS.days())}')")
    theirs = MAM(paths, "grouped_journey", "path", "is_converting", occurrences_colname="paths")
    daily = real.frame("attribution_daily").drop_nulls("model")
    for model, said in {
        "first_touch": theirs.run_first_click(),
        "last_touch": theirs.run_last_click(),
        "linear": theirs.run_linear(),
        "position_based": theirs.run_position_based(),
    }.items():
        expected = {str(channel): credit for channel, credit in said.to_polars().rows() if credit}
        ours = daily.filter(pl.col("model") == model).group_by("channel").agg(pl.col("credited_conversions").sum())
        found = {channel: float(credit) for channel, credit in ours.rows() if credit}
        assert found == pytest.approx(expected, abs=1e-6), model


def test_weeks_hold_all_spend_and_revenue(real: Project) -> None:
    weeks, performance = rows_of_function(real, "from reporting.mmm_input"), real.frame("channel_performance_daily")
    for column in ("spend", "impressions", "clicks", "conversions", "revenue"):
        assert weeks[column].sum() == performance[column].sum(), column
    assert {week.weekday() for week in weeks["week"]} == {0}
    assert weeks.unique("week")["days"].sum() == len(DAYS)
    assert weeks.height == weeks["week"].n_unique() * performance["channel"].n_unique()


def test_the_variance_of_a_sum_is_that_of_its_parts(real: Project) -> None:
    daily = real.frame("attribution_daily").filter(pl.col("model") == "linear")
    credit = (
        real.frame("attribution_credit").group_by("conversion_id", "channel", "campaign").agg(pl.col("linear").sum())
    )
    squares = credit.group_by("channel").agg((pl.col("linear").cast(pl.Float64) ** 2).sum(), pl.len())
    found = daily.group_by("channel").agg(
        pl.col("credited_conversions_variance").sum().cast(pl.Float64), pl.col("credited_conversions_rows").sum()
    )
    told = {channel: (variance, rows) for channel, variance, rows in found.rows() if rows}
    assert told == {channel: (pytest.approx(square, abs=1e-6), rows) for channel, square, rows in squares.rows()}
