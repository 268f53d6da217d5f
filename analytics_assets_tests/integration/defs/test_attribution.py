"""Marketing by real runs: every figure equals an oracle over the files, whenever the users are told."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from pathlib import Path
from random import Random

import duckdb
import polars as pl
import pytest

from analytics_assets.dbt import runner
from analytics_assets.dbt.code_versions import code_versions
from analytics_assets.dbt.project import load_manifest
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.dbt.variables import project_vars
from analytics_assets.defs.attribution import DOMAIN as ATTRIBUTION
from analytics_assets.spec.model_node import Manifest
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets_tests.support.project import IN_FULL, WHEN_LANDED, Project, day
from analytics_assets_tests.support.project import test_settings as settings_in

pytestmark = pytest.mark.models_alone

DAYS = 10
DOMAIN = replace(ATTRIBUTION, reports=())
SPEND = ("spend", "impressions", "clicks", "installs")
SUMS = (*SPEND, "users", "touchpoints", "orphan_touchpoints", "conversions", "revenue", "rewards")
SUMS += ("rewards_original", "rewards_without_rate")
RATIOS = {
    "cpm": (1000, "spend", "impressions"),
    "cpc": (1, "spend", "clicks"),
    "ctr": (1, "clicks", "impressions"),
    "cpi": (1, "spend", "installs"),
    "cac": (1, "spend", "users"),
    "roas": (1, "revenue", "spend"),
}

FIGURES = (
    "campaign_performance_daily",
    "channel_performance_daily",
    "int_user_daily",
    "mart_cohort_daily",
    "int_users",
)
"""What `figures_agree` looks at: half of the domain, the other half credits conversions."""

Cell = tuple[str, str, date]
"""A channel, a campaign and a day."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "data", [DOMAIN])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Ten days of simulated marketing; no test changes them."""
    folder = tmp_path_factory.mktemp("marketing") / "data"
    project = Project(folder, [DOMAIN], {"start_date": day(0, days=DAYS)})
    project.simulate(scale=0.5)
    project.settled()
    return project


def query(project: Project, sql: str) -> pl.DataFrame:
    """The rows of a query on the published copy."""
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(sql).pl()


# ------------------------------------------------------------------------------------------------------ the oracle


def newest_users(project: Project) -> dict[str, dict]:
    """Each user in the version that was updated last, by the raw rows."""
    rows = project.frame("raw_users").sort("updated_at").rows(named=True)
    return {row["user_id"]: row for row in rows}


def acquired_by(user: dict) -> tuple[str, str]:
    """The channel and campaign that a user is credited to."""
    return user["channel"] or "unknown", user["campaign"] or "none"


def cohort_of(user: dict) -> Cell:
    return (*acquired_by(user), user["installed_at"].date())


def once(project: Project, source: str, key: Sequence[str]) -> list[dict]:
    """The raw rows of a source, those that were delivered again left out."""
    return project.frame(f"raw_{source}").unique(["the_day", *key, "_repeat"]).rows(named=True)


def rate_of(rates: list[dict], currency: str, at: date) -> Decimal | None:
    """What one unit of the reward is worth on a day: the newest rate of it and the seven days before."""
    if currency == "EUR":
        return Decimal(1)
    known = [row for row in rates if row["currency"] == currency and 0 <= (at - row["the_day"]).days <= 7]
    return max(known, key=lambda row: row["the_day"])["rate"] if known else None


def expected_of(project: Project, currency: str = "EUR") -> dict[Cell, dict[str, Decimal]]:
    """The sums of each channel, campaign and day, from the raw rows with plain Python.

    Args:
        currency: of the rewards.
    """
    found: dict[Cell, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(SUMS, Decimal(0)))
    users, rates = newest_users(project), project.frame("raw_exchange_rates").rows(named=True)
    for row in project.frame("raw_marketing_spend").unique(["the_day", "channel", "campaign"]).rows(named=True):
        for name in SPEND:
            found[row["channel"], row["campaign"], row["the_day"]][name] += row[name]
    for user in users.values():
        found[cohort_of(user)]["users"] += 1
    for row in once(project, "user_touchpoints", ["user_id", "touchpoint_date", "channel", "touchpoint_type"]):
        cell = found[row["channel"], row["campaign"] or "none", row["the_day"]]
        cell["touchpoints"] += 1
        cell["orphan_touchpoints"] += row["user_id"] not in users
        cell["conversions"] += bool(row["conversion"])
    for row in once(project, "revenue_and_rewards", ["user_id", "date", "revenue", "reward_to_user"]):
        user = users.get(row["user_id"])
        channel, campaign = acquired_by(user) if user else ("unknown", "unknown")
        cell, reward = found[channel, campaign, row["the_day"]], row["reward_to_user"]
        rate = rate_of(rates, currency, row["the_day"]) if reward else Decimal(0)
        cell["revenue"] += row["revenue"]
        cell["rewards_original"] += reward
        cell["rewards"] += (reward * (rate or 0)).quantize(Decimal("1e-9"), ROUND_HALF_UP)
        cell["rewards_without_rate"] += rate is None
    return found


def is_ratio(row: dict, name: str) -> bool:
    times, over, under = RATIOS[name]
    if row[under] == 0:
        return row[name] is None
    return row[name] == pytest.approx(float(times * row[over] / row[under]), abs=1e-6)


def figures_agree(project: Project, currency: str = "EUR") -> None:
    """All stored figures are those of the oracle, to the last digit."""
    expected = expected_of(project, currency)
    campaigns = project.frame("campaign_performance_daily").rows(named=True)
    found = {(row["channel"], row["campaign"], row["event_date"]): row for row in campaigns}
    assert len(found) == len(campaigns)
    assert {cell: {name: row[name] for name in SUMS} for cell, row in found.items()} == expected
    for row in campaigns:
        assert row["installs_less_users"] == row["installs"] - row["users"]
        assert row["margin"] == row["revenue"] - row["rewards"]
        assert all(is_ratio(row, name) for name in RATIOS)
    total = {name: sum(cell[name] for cell in expected.values()) for name in SUMS}
    channels, users = project.frame("channel_performance_daily"), project.frame("int_user_daily")
    cohorts = project.frame("mart_cohort_daily")
    assert {name: channels[name].sum() for name in SUMS} == total
    paid = ("revenue", "rewards", "rewards_original", "rewards_without_rate")
    for name in ("touchpoints", "conversions", *paid):
        assert users[name].sum() == total[name]
    for name in paid:
        assert cohorts[name].sum() == total[name]
    assert project.frame("int_users")["is_current"].sum() == total["users"]


def test_every_figure_of_a_simulated_week_is_that_of_its_files(made: Project) -> None:
    figures_agree(made)
    total = query(made, "select * from marts.channel_performance_daily").select(pl.col(SUMS).sum()).row(0, named=True)
    assert all(total[name] > 0 for name in SUMS if name not in ("orphan_touchpoints", "rewards_without_rate")), total
    channels = set(made.frame("channel_performance_daily")["channel"])
    assert {"email", "organic"} <= channels, "nobody pays for them, and they are there"


@pytest.mark.parametrize("view", ["rpt_channels", "rpt_campaigns"])
def test_over_a_span_ratios_are_those_of_the_sums(made: Project, view: str) -> None:
    first, last = day(2, days=DAYS), day(7, days=DAYS)
    rows = query(made, f"from reporting.{view}(date '{first}', date '{last}')").rows(named=True)
    by = ("channel",) if view == "rpt_channels" else ("channel", "campaign")
    expected: dict[tuple, dict] = defaultdict(lambda: dict.fromkeys(SUMS, Decimal(0)))
    for (channel, campaign, at), cell in expected_of(made).items():
        if first <= at <= last:
            for name in SUMS:
                expected[(channel, campaign)[: len(by)]][name] += cell[name]
    assert {tuple(row[name] for name in by): {name: row[name] for name in SUMS} for row in rows} == expected
    assert all(is_ratio(row, name) for row in rows for name in RATIOS)


def test_the_ltv_of_a_cohort_is_the_margin_of_its_first_days(made: Project) -> None:
    users = newest_users(made)
    margins: dict[Cell, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    sizes = Counter(map(cohort_of, users.values()))
    for row in once(made, "revenue_and_rewards", ["user_id", "date", "revenue", "reward_to_user"]):
        user = users[row["user_id"]]
        age = (row["the_day"] - user["installed_at"].date()).days
        margins[cohort_of(user)][age] += row["revenue"] - row["reward_to_user"]
    spend = {cell: sums["spend"] for cell, sums in expected_of(made).items()}
    rows = query(made, "from reporting.ltv_cohorts").rows(named=True)
    found = {(row["channel"], row["campaign"], row["install_date"]): row for row in rows}
    assert {cell: row["users"] for cell, row in found.items()} == dict(sizes)
    paid_back = 0
    for cell, row in found.items():
        observed = (day(DAYS - 1, days=DAYS) - cell[2]).days + 1
        by_age = margins[cell]
        assert row["days_observed"] == observed
        assert row["margin"] == sum(by_age.values())
        first_week = sum(margin for age, margin in by_age.items() if 0 <= age < 7)
        assert row["margin_7d"] == (first_week if observed >= 7 else None)
        assert row["ltv_7d"] == (pytest.approx(float(first_week / sizes[cell]), abs=1e-6) if observed >= 7 else None)
        assert row["ltv_30d"] is row["margin_30d"] is row["users_30d"] is None
        so_far = {age: sum(by_age[other] for other in by_age if other <= age) for age in by_age}
        ages = [age for age, margin in so_far.items() if margin >= spend[cell] > 0]
        assert row["payback_age"] == min(ages, default=None)
        paid_back += bool(ages)
    assert paid_back > 0
    reached = [cell for cell in sizes for _ in range((day(DAYS - 1, days=DAYS) - cell[2]).days + 1)]
    points = query(made, "from reporting.ltv_by_age").rows(named=True)
    curve = {(row["channel"], row["campaign"], row["install_date"], row["age"]): row for row in points}
    assert len(curve) == len(points) and len(curve) > len(sizes)
    for channel, campaign, at, age in curve:
        row, cell = curve[channel, campaign, at, age], (channel, campaign, at)
        assert row["users"] == sizes[cell] and reached.count(cell) >= age, "none is too young"
        assert row["margin"] == sum(margin for lived, margin in margins[cell].items() if 0 <= lived < age)
    ages = {cell: {age for *of, age in curve if tuple(of) == cell} for cell in sizes}
    assert all(ages[cell] == {age for age in (*range(1, 8), 10) if age <= reached.count(cell)} for cell in sizes)


def test_a_user_of_the_report_is_the_sum_of_their_rows(made: Project) -> None:
    users = newest_users(made)
    rows = {row["user_id"]: row for row in query(made, "from reporting.rpt_users").rows(named=True)}
    assert {user: (row["channel"], row["campaign"]) for user, row in rows.items()} == {
        user: acquired_by(row) for user, row in users.items()
    }
    touches = Counter(
        row["user_id"]
        for row in once(made, "user_touchpoints", ["user_id", "touchpoint_date", "channel", "touchpoint_type"])
    )
    assert {user: row["touchpoints"] for user, row in rows.items() if row["touchpoints"]} == touches
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    for row in once(made, "revenue_and_rewards", ["user_id", "date", "revenue", "reward_to_user"]):
        revenue[row["user_id"]] += row["revenue"]
    assert {user: row["revenue"] for user, row in rows.items() if user in revenue} == revenue
    assert query(made, "from reporting.rpt_orphans").is_empty()


# -------------------------------------------------------------------------------------------- when users are told

USERS = "user_id,installed_at,created_at,updated_at,channel,campaign\n"
TOUCHES = "user_id,touchpoint_date,channel,campaign,touchpoint_type,source,medium,conversion\n"
REVENUE = "user_id,date,revenue,reward_to_user\n"


def user(name: str, at: date, channel: str = "twitter", updated: int = 0) -> str:
    updated_at = datetime.combine(at, datetime.min.time()) + timedelta(hours=updated)
    return f"{name},{at} 10:00:00,{at} 10:00:00,{updated_at},{channel},sale\n"


def touch(name: str, at: date, channel: str = "email", conversion: str = "false") -> str:
    return f"{name},{at} 12:00:00,{channel},,email_open,,email,{conversion}\n"


def paid(name: str, at: date, revenue: str = "5", reward: str = "1") -> str:
    return f"{name},{at},{revenue},{reward}\n"


def drop(project: Project, source: str, name: str, header: str, rows: Iterable[str]) -> None:
    project.drop(source, f"{source}-{name}.csv", header + "".join(rows))


@pytest.mark.parametrize("seed", range(10 if IN_FULL else 1))
def test_users_who_are_told_after_their_revenue_end_in_the_tables_of_those_told_before_it(
    tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    some_day = partial(random.randrange, 5)
    names = [f"u{number}" for number in range(8)]
    users = [user(name, day(some_day()), random.choice(["twitter", "email", ""])) for name in names]
    users += [user(name, day(some_day()), "moved", updated=200) for name in names[:3]]
    touched = [(random.choice([*names, "nobody"]), day(some_day())) for _ in range(6)] + [("nobody", day(1))]
    payers = [(random.choice([*names, "nobody"]), day(some_day())) for _ in range(6)] + [("nobody", day(2))]
    payments = [paid(name, at, random.choice(["5", "-5", "0.01"])) for name, at in payers]

    def drop_users(project: Project) -> None:
        for number, some in enumerate((users[:4], users[4:])):
            drop(project, "users", str(number), USERS, some)

    def drop_the_others(project: Project) -> None:
        drop(project, "user_touchpoints", "1", TOUCHES, [touch(*one) for one in touched])
        drop(project, "revenue_and_rewards", "1", REVENUE, payments)

    def orphans(project: Project) -> set[str]:
        rows = query(project, "select user_id, touchpoints, payments from reporting.rpt_orphans")
        assert rows.filter(pl.sum_horizontal("touchpoints", "payments") == 0).is_empty()
        return set(rows["user_id"])

    before, after = (Project(tmp_path / name, [DOMAIN]) for name in ("before", "after"))
    drop_users(before)
    drop_the_others(before)
    before.settle()
    figures_agree(before)

    drop_the_others(after)
    after.settle()
    figures_agree(after)
    assert set(after.frame("int_revenue")["channel"]) == {"unknown"}
    assert orphans(after) == {name for name, _ in touched + payers}

    drop_users(after)
    made = {asset: set(days) for asset, days in after.settle().outcome.made.items()}
    assert after.tables(WHEN_LANDED) == before.tables(WHEN_LANDED)
    assert orphans(after) == orphans(before) == {"nobody"}
    assert made["int_revenue"] == {at for name, at in payers if name != "nobody"}, "the days on which they occur"
    assert made["int_touchpoints"] == {at for name, at in touched if name != "nobody"}
    assert after.requested() == {}


@pytest.mark.with_checks
def test_a_corrected_user_counts_once_equal_payments_count_each_and_a_refund_is_negative(project: Project) -> None:
    drop(project, "users", "1", USERS, [user("ann", day(1)), user("bob", day(1))])
    drop(project, "users", "2", USERS, [user("ann", day(2), "email", updated=99)])
    twice = [paid("ann", day(3)), paid("ann", day(3)), paid("bob", day(2), "-5", "0")]
    drop(project, "revenue_and_rewards", "1", REVENUE, twice)
    drop(project, "revenue_and_rewards", "again", REVENUE, [*twice, paid("bob", day(4), "7", "0")])
    drop(project, "revenue_and_rewards", "orphan", REVENUE, [paid("nobody", day(0), "0", "0")])
    drop(project, "user_touchpoints", "1", TOUCHES, [touch("nobody", day(0))])
    said = project.settle(*FIGURES).outcome.warnings
    figures_agree(project)
    checks = {"users_stay_on_their_day": day(1), "touchpoints_have_a_user": day(0), "revenue_has_a_user": day(0)}
    for check, at in checks.items():
        assert any(check in one and f"the_day {at}" in one for one in said), said
    cells = project.frame("channel_performance_daily")
    users = cells.filter(pl.col("users") > 0).select("event_date", "channel", "users").rows()
    assert sorted(users) == [(day(1), "twitter", 1), (day(2), "email", 1)]
    revenue = cells.filter(pl.col("revenue") != 0).select("event_date", "channel", "revenue").rows()
    assert sorted(revenue) == [(day(2), "twitter", -5), (day(3), "email", 10), (day(4), "twitter", 7)]
    cohorts = (
        project.frame("mart_cohort_daily")
        .filter(pl.col("channel") != "unknown")
        .select("channel", "install_date", "age_days", "payers")
        .rows()
    )
    assert sorted(cohorts) == [("email", day(2), 1, 1), ("twitter", day(1), 1, 0), ("twitter", day(1), 3, 1)]


# ------------------------------------------------------------------------------------- what a reward is worth

RATES = "date,currency,rate\n"


def rate(number: int, worth: str, currency: str = "USD") -> str:
    return f"{day(number, days=DAYS)},{currency},{worth}\n"


@pytest.fixture
def in_dollars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewards are in dollars, revenue is in euros."""
    monkeypatch.setattr(runner, "project_vars", lambda *of: project_vars(*of) | {"reward_currency": "USD"})


def ten_days(tmp_path: Path) -> Project:
    """A user who pays 5 and is given 2 on each of ten days."""
    project = Project(tmp_path / "data", [DOMAIN], {"start_date": day(0, days=DAYS)})
    drop(project, "users", "1", USERS, [user("ann", day(0, days=DAYS))])
    every_day = [paid("ann", day(number, days=DAYS), "5", "2") for number in range(DAYS)]
    drop(project, "revenue_and_rewards", "1", REVENUE, every_day)
    return project


def rewards_of(project: Project) -> list[Decimal | None]:
    return project.frame("int_revenue").sort("the_day")["reward"].to_list()


@pytest.mark.with_checks
@pytest.mark.usefixtures("in_dollars")
def test_a_late_rate_changes_its_day_and_the_seven_after_it_and_no_other(tmp_path: Path) -> None:
    project = ten_days(tmp_path)
    drop(project, "exchange_rates", "1", RATES, [rate(0, "0.5"), rate(9, "9", "GBP"), rate(8, "9", "EUR")])
    views = ("ltv_cohorts", "rpt_users")
    said = project.settle(*FIGURES, *views).outcome.warnings
    figures_agree(project, "USD")
    assert rewards_of(project) == [1] * 8 + [None] * 2, "a rate holds for a week after its day, and is not worth 0 then"
    (warning,) = [one for one in said if "rewards_have_a_rate" in one]
    assert f"the_day {day(8, days=DAYS)}" in warning and "1 more" in warning
    for view in views:
        with warehouse_of(project.settings).reading() as reader:
            (row,) = reader.frame(f"from reporting.{view}").rows(named=True)
        known = (row["revenue"], row["rewards"], row["rewards_without_rate"], row["margin"])
        assert known == (50, 8, 2, 42), "the two are not taken off, and are counted"

    drop(project, "exchange_rates", "late", RATES, [rate(2, "0.25", " usd ")])
    outcome = project.settle(*FIGURES).outcome
    assert rewards_of(project) == [1, 1] + [Decimal("0.5")] * 8
    made = {asset: set(days) for asset, days in outcome.made.items()}
    touched = {day(number, days=DAYS) for number in range(2, 10)}
    assert made["stg_exchange_rates"] == {day(2, days=DAYS)}
    assert made["int_revenue"] == made["mart_cohort_daily"] == touched
    assert "int_touchpoints" not in made
    assert not [one for one in outcome.warnings if "rewards_have_a_rate" in one]
    assert not made.keys() & project.requested().keys(), "nothing of it is left to be made"

    again = Project(tmp_path / "again", [DOMAIN], {"start_date": day(0, days=DAYS)})
    for file in project.settings.inbox_dir.rglob("*.csv"):
        again.drop(file.parent.name, file.name, file.read_bytes())
    again.settle(*FIGURES)
    for name in ("stg_exchange_rates", "int_revenue", *FIGURES):
        rows, expected = (Counter(one.frame(name).drop(WHEN_LANDED, strict=False).rows()) for one in (again, project))
        assert rows == expected, name


@pytest.mark.with_checks
def test_where_rewards_are_in_the_currency_of_the_revenue_no_rate_counts(tmp_path: Path) -> None:
    project = ten_days(tmp_path)
    drop(project, "exchange_rates", "1", RATES, [rate(number, "3", "EUR") for number in range(DAYS)])
    assert not [one for one in project.settle(*FIGURES).outcome.warnings if "rewards_have_a_rate" in one]
    assert rewards_of(project) == [2] * DAYS
    assert project.frame("int_revenue")["reward_rate"].to_list() == [1] * DAYS
    figures_agree(project)


@pytest.mark.usefixtures("in_dollars")
def test_simulated_rates_turn_simulated_dollars_into_euros(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", [DOMAIN], {"start_date": day(0, days=DAYS)})
    project.simulate(scale=0.3)
    project.settle(*FIGURES)
    figures_agree(project, "USD")
    rates = project.frame("raw_exchange_rates").filter(pl.col("currency") == "USD")
    assert {at.weekday() for at in rates["the_day"]} == set(range(5)), "none on weekends"
    on_weekends = project.frame("int_revenue").filter(pl.col("the_day") > rates["the_day"].min())
    on_weekends = on_weekends.filter(pl.col("the_day").dt.weekday() > 5)
    assert on_weekends.height > 0 and on_weekends["reward"].null_count() == 0


def test_another_currency_makes_other_code_of_the_model_that_converts(tmp_path: Path) -> None:
    manifest = load_manifest(settings_in(tmp_path))
    before = code_versions(manifest, DOMAIN.sources)
    for name in ("reward_currency", "revenue_currency"):
        other = Manifest({**manifest.raw, "vars": {**manifest.raw["vars"], name: "CHF"}})
        after = code_versions(other, DOMAIN.sources)
        assert [one for one in before if before[one] != after[one]] == ["model.analytics.int_revenue"]


def test_a_rate_that_cannot_be_one_is_rejected(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", [DOMAIN])
    worths = [("0", "A"), ("-1", "B"), ("", "C"), ("10000001", "D"), ("1", " "), ("10000000", "E")]
    rows = [f"{day(1)},{currency},{worth}\n" for worth, currency in worths]
    drop(project, "exchange_rates", "1", RATES, rows)
    project.settle("stg_exchange_rates")
    assert project.frame("stg_exchange_rates")["currency"].to_list() == ["E"]


def test_what_is_lost_or_counted_twice_is_named_with_its_day(made: Project, tmp_path: Path) -> None:
    project, at = made.copy_to(tmp_path / "data"), day(4, days=DAYS)
    faults = {
        "users_of_campaigns_add_up": "update marts.campaign_performance_daily set users = users + 1",
        "touchpoints_of_campaigns_add_up": "update marts.campaign_performance_daily set conversions = conversions + 1",
        "revenue_of_campaigns_adds_up": "update marts.campaign_performance_daily set revenue = revenue + 0.01",
        "rewards_of_campaigns_add_up": "update marts.campaign_performance_daily set rewards = rewards + 0.01",
        "touchpoints_of_users_add_up": "delete from intermediate.int_user_daily",
    }
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        for statement in faults.values():
            column = "activity_date" if "int_user_daily" in statement else "event_date"
            connection.execute(f"{statement} where {column} = date '{at}'")
    run = run_dbt(["test", "--select", *faults], project.settings, project.sources, project.window)
    assert set(run.failures) == set(faults)
    with warehouse_of(project.settings).reading() as reader:
        for check in faults:
            assert [row[0] for row in reader.rows(run.failing_tests[check]).rows] == [at]
