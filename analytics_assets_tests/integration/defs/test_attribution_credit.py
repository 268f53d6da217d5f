"""Credit by real runs: every path and every share of it equal an oracle with fractions, whenever the touches come."""

import itertools
import json
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics_assets.dbt import project as dbt
from analytics_assets.dbt import runner
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.attribution import DOMAIN as ATTRIBUTION
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets_tests.support.project import IN_FULL, Project, day

pytestmark = pytest.mark.models_alone

DOMAIN = replace(ATTRIBUTION, reports=())
DAYS = 34
MODELS = (
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "position_based",
    "time_decay",
    "w_shaped",
    "shapley",
)
UNITS = 10**9
LOOKBACK = {"ad_impression": timedelta(days=1)}
OF_OTHERS = timedelta(days=30)
HALF_LIFE = timedelta(days=7)
DIRECT = {"", "(none)", "(direct)", "direct"}
KINDS = ("ad_click", "ad_impression", "visit")
CHANNELS = ("search", "social", "email", "direct", "")

SPEND = "date,channel,campaign,spend,impressions,clicks,installs\n"
TOUCHES = "user_id,touchpoint_date,channel,campaign,touchpoint_type,source,medium,conversion\n"
REVENUE = "user_id,date,revenue,reward_to_user\n"
EVENTS = "event_id,customer_id,event_timestamp,event_type,page_type,device,browser,operating_system,event_details\n"


# ------------------------------------------------------------------------------------------------------ the oracle


@dataclass(frozen=True)
class Touch:
    """A line of touches; its channel is empty where the file names none."""

    user: str
    at: datetime
    channel: str
    kind: str
    converts: bool

    @property
    def place(self) -> tuple[datetime, bool, str]:
        """What stands in the order of a user's touches: by time; of one moment conversions last; then by its id."""
        return self.at, self.converts, f"{self.channel or 'unknown'} {self.kind} 1"

    @property
    def line(self) -> str:
        return f"{self.user},{self.at},{self.channel},,{self.kind},,,{str(self.converts).lower()}\n"


def path_of(conversion: Touch, of_user: Iterable[Touch]) -> list[Touch]:
    """The touches that led to a conversion, in their order."""
    return [
        touch
        for touch in sorted(of_user, key=lambda touch: touch.place)
        if touch.place <= conversion.place
        and conversion.at - touch.at <= LOOKBACK.get(touch.kind, OF_OTHERS)
        and (touch.channel or not touch.converts)
    ]


def shares_of(path: Sequence[Touch], conversion: Touch) -> dict[str, list[Fraction]]:
    """What each model gives each touch of a path, exactly; time_decay as exactly as fractions of 64 bits are."""
    count, places = len(path), range(len(path))
    channels = [touch.channel for touch in path]

    def by(weights: Mapping[int, Fraction], rest: Fraction) -> list[Fraction]:
        others = count - len(weights)
        whole = sum(weights.values()) + (rest if others else 0)
        return [weights.get(place, rest / (others or 1)) / whole for place in places]

    tenth = Fraction(1, 10)
    ends = by({0: 4 * tenth, count - 1: 4 * tenth}, 2 * tenth) if count > 2 else [Fraction(1, count)] * count
    middle = {0: 3 * tenth, (count - 1) // 2: 3 * tenth, count - 1: 3 * tenth}
    decay = [Fraction(2 ** -((conversion.at - touch.at) / HALF_LIFE)) for touch in path]
    return {
        "first_touch": [Fraction(place == 0) for place in places],
        "last_touch": [Fraction(place == count - 1) for place in places],
        "last_non_direct": [
            Fraction(place == max((one for one in places if channels[one] not in DIRECT), default=count - 1))
            for place in places
        ],
        "linear": [Fraction(1, count)] * count,
        "position_based": ends,
        "time_decay": [weight / sum(decay) for weight in decay],
        "w_shaped": by(middle, tenth) if count > 2 else ends,
        "shapley": [Fraction(1, len(set(channels)) * channels.count(channel)) for channel in channels],
    }


def rounded(shares: Sequence[Fraction]) -> list[Decimal]:
    """Shares with nine digits, rounded down, and what is left for the last: together exactly 1."""
    units = [floor(share * UNITS) for share in shares[:-1]]
    return [Decimal(one) / UNITS for one in [*units, UNITS - sum(units)]]


def by_user(touches: Iterable[Touch]) -> dict[str, list[Touch]]:
    found: dict[str, list[Touch]] = defaultdict(list)
    for touch in touches:
        found[touch.user].append(touch)
    return found


def conversion_id(conversion: Touch) -> str:
    microseconds = (conversion.at - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    return f"{conversion.user} {microseconds} {conversion.place[2]}"


Credits = dict[str, list[dict]]
"""The rows of attribution_credit in their order, by conversion."""


def credits_of(project: Project) -> Credits:
    found: Credits = defaultdict(list)
    for row in project.frame("attribution_credit").sort("conversion_id", "touch_number").rows(named=True):
        found[row["conversion_id"]].append(row)
    return found


def credit_agrees(project: Project, touches: Sequence[Touch]) -> None:
    """All paths are those of the oracle, and so is each credit, to the last digit."""
    found = credits_of(project)
    conversions = [touch for touch in touches if touch.converts]
    assert len(found) == len(conversions)
    of_users = by_user(touches)
    for conversion in conversions:
        rows, path = found[conversion_id(conversion)], path_of(conversion, of_users[conversion.user])
        assert {row["conversion_date"] for row in rows} == {conversion.at.date()}
        assert all(sum(row[model] for row in rows) == 1 for model in MODELS), "to the last digit"
        if not path:
            assert [row["channel"] for row in rows] == ["unattributed"]
            continue
        assert [(row["touched_at"], row["channel"], row["touchpoint_type"]) for row in rows] == [
            (touch.at, touch.channel or "unknown", touch.kind) for touch in path
        ]
        assert {row["channels"] for row in rows} == {len({touch.channel for touch in path})}
        assert sum(row["influenced"] for row in rows) == len({touch.channel for touch in path})
        for model, shares in shares_of(path, conversion).items():
            credits = [row[model] for row in rows]
            if model == "time_decay":  # weights are rounded before they are divided
                assert credits == pytest.approx([Decimal(float(share)) for share in shares], abs=Decimal("2e-8"))
            else:
                assert credits == rounded(shares), (model, path)
            assert len(path) > 1 or credits == [1], "of one touch all models say the same"


def revenue_agrees(project: Project, touches: Sequence[Touch], payments: Iterable[tuple[str, date, Decimal]]) -> None:
    """What users brought on a day is divided as their newest conversion until that day is, and nothing is lost."""
    found: dict[tuple[str, date], list[dict]] = defaultdict(list)
    for row in project.frame("int_revenue_credited").sort("touch_number").rows(named=True):
        found[row["user_id"], row["revenue_date"]].append(row)
    paid: Counter[tuple[str, date]] = Counter()
    for user, at, amount in payments:
        paid[user, at] += amount  # type: ignore[assignment]
    assert found.keys() == paid.keys()
    credits, of_users = credits_of(project), by_user(touches)
    for (user, at), revenue in paid.items():
        rows = found[user, at]
        newest = max(
            (
                (touch.at, conversion_id(touch))
                for touch in of_users[user]
                if touch.converts and 0 <= (at - touch.at.date()).days <= 30
            ),
            default=(None, None),
        )
        assert {row["conversion_id"] for row in rows} == {newest[1]}
        if newest[1] is None:
            assert [row["channel"] for row in rows] == ["unattributed"]
        expected = credits[newest[1]] if newest[1] else [dict.fromkeys(MODELS, Decimal(1))]
        for model in MODELS:
            shares = [row[f"{model}_revenue"] for row in rows]
            assert sum(shares) == revenue, "to the last digit"
            exact = [Fraction(one[model]) * Fraction(revenue) for one in expected]
            off = [abs(Fraction(share) - one) * UNITS for share, one in zip(shares, exact, strict=True)]
            assert all(one <= Fraction(1, 2) for one in off[:-1])
            assert off[-1] <= len(off)


def days_agree(project: Project) -> None:
    """The table by day holds each conversion, each payment and each unit of spend once for each model, or once."""
    daily = project.frame("attribution_daily")
    of_models = daily.filter(pl.col("model").is_not_null())
    sums = {row["model"]: row for row in of_models.group_by("model").agg(pl.col(pl.Decimal).sum()).rows(named=True)}
    assert sums.keys() == set(MODELS)
    conversions, revenue = project.frame("int_conversions").height, project.frame("int_revenue")["revenue"].sum()
    assert {row["credited_conversions"] for row in sums.values()} == {conversions}
    assert {row["credited_revenue"] for row in sums.values()} == {revenue}
    assert of_models["spend"].sum() == of_models["touchpoints"].sum() == of_models["influenced_conversions"].sum() == 0
    once = daily.filter(pl.col("model").is_null())
    assert once.select("event_date", "channel", "campaign").is_duplicated().sum() == 0
    assert once["spend"].sum() == project.frame("stg_marketing_spend")["spend"].sum()
    assert once["touchpoints"].sum() == project.frame("int_path_touches").height
    credits = project.frame("attribution_credit")
    assert once["influenced_conversions"].sum() == credits["influenced"].sum()
    by_channel = credits.group_by("channel").agg(pl.col(MODELS).sum()).rows(named=True)
    found = of_models.group_by("channel", "model").agg(pl.col("credited_conversions").sum()).rows()
    assert {(channel, model): value for channel, model, value in found if value} == {
        (row["channel"], model): row[model] for row in by_channel for model in MODELS if row[model]
    }


# ------------------------------------------------------------------------------------------------ random histories


class History:
    """Touches and payments of many users, who share nothing but the days and the runs."""

    def __init__(self, chance: random.Random, users: int = 150) -> None:
        self.chance = chance
        self.touches: list[Touch] = []
        self.payments: list[tuple[str, date, Decimal]] = []
        self.late: list[Touch] = []
        for number in range(users):
            self.add(f"u{number}")
        # A channel that is in no path: of users who never convert, and of others after all their conversions.
        touches = sorted([*self.touches, *self.late], key=lambda touch: touch.at)
        last = {touch.user: touch.at for touch in touches if touch.converts}
        never = sorted({touch.user for touch in touches} - last.keys())
        self.in_no_path = [Touch(user, self.moment(), "tv", "ad_click", False) for user in never]
        end = datetime.combine(day(DAYS - 1, days=DAYS), datetime.max.time()).replace(microsecond=0)
        self.in_no_path += [
            Touch(user, at + timedelta(seconds=1), "tv", "ad_click", False)
            for user, at in last.items()
            if at + timedelta(seconds=1) <= end
        ]

    def moment(self) -> datetime:
        """On few hours of few days, so that there are ties, and touches of exactly 1 and 30 days before."""
        days = [0, 1, 2, 9, 10, 30, 31, 32, 33]
        at = day(self.chance.choice(days), days=DAYS)
        return datetime.combine(at, datetime.min.time()) + timedelta(hours=self.chance.choice([0, 9, 12, 23]))

    def add(self, user: str) -> None:
        of_user = {
            (at, channel, kind): Touch(user, at, channel, kind, self.chance.random() < 0.25)
            for at, channel, kind in (
                (
                    self.moment(),
                    self.chance.choice(CHANNELS),
                    self.chance.choice(["ad_click", "ad_impression", "visit"]),
                )
                for _ in range(self.chance.randint(1, 8))
            )
        }
        touches = list(of_user.values())
        # What comes late is of one day, which few runs make, and of users who convert on others.
        at = touches[0].at.date()
        converts_later = any(0 < (touch.at.date() - at).days <= 30 for touch in touches if touch.converts)
        if len(self.late) < 3 and {touch.at.date() for touch in self.late} <= {at} and converts_later:
            self.late.append(touches.pop(0))
        self.touches += touches
        for _ in range(self.chance.randint(0, 3)):
            amount = Decimal(self.chance.choice(["4.99", "-4.99", "0.000000001", "1.000000007", "-0.000000005", "0"]))
            self.payments.append((user, self.moment().date(), amount))

    def drop_touches(self, project: Project, name: str, touches: Sequence[Touch]) -> None:
        touches = self.chance.sample(touches, len(touches))
        lines = "".join(touch.line for touch in touches)
        project.drop("user_touchpoints", f"user_touchpoints-{name}.csv", TOUCHES + lines)

    def drop_the_others(self, project: Project) -> None:
        payments = Counter(self.payments)
        lines = "".join(f"{user},{at},{amount:f},0\n" for user, at, amount in payments.elements())
        project.drop("revenue_and_rewards", "revenue_and_rewards-1.csv", REVENUE + lines)
        spend = "".join(
            f"{day(number, days=DAYS)},{channel},sale,{number}.5,9,3,1\n"
            for number in (0, 5, 31)
            for channel in ("search", "idle")
        )
        project.drop("marketing_spend", "marketing_spend-1.csv", SPEND + spend)


def by_permutations(paths: Sequence[frozenset[str]], channels: Sequence[str]) -> dict[str, Fraction]:
    """The Shapley values by their definition; channels are together worth the paths that consist of them alone."""
    orders = list(itertools.permutations(channels))
    found: dict[str, Fraction] = dict.fromkeys(channels, Fraction(0))
    for order in orders:
        worth = [sum(path <= set(order[:count]) for path in paths) for count in range(len(order) + 1)]
        for channel, before, after in zip(order, worth, worth[1:], strict=False):
            found[channel] += Fraction(after - before, len(orders))
    return found


def credited(project: Project) -> dict[str, Counter[tuple]]:
    """The rows of the tables of credit."""
    tables = ("int_conversions", "attribution_credit", "int_revenue_credited")
    return {table: Counter(project.frame(table).rows()) for table in tables}


MADE_OF_CREDIT = ("int_revenue_credited", "attribution_daily")


def settled(project: Project) -> dict[str, set[date]]:
    """Makes what credit is made of and what is made of it, and none of the domain's other tables: those take most of
    the time. Returns the days made, by asset.
    """
    return {asset: set(days) for asset, days in project.settle(*MADE_OF_CREDIT).outcome.made.items()}


@pytest.mark.parametrize("seed", range(20 if IN_FULL else 1))
def test_every_credit_is_that_of_the_oracle_whenever_the_touches_come(tmp_path: Path, seed: int) -> None:
    history = History(random.Random(seed))
    project = Project(tmp_path / "project", [DOMAIN], {"start_date": day(0, days=DAYS)})
    history.drop_the_others(project)
    # A channel that is in no path is not in the oracle either, and changes nothing.
    history.drop_touches(project, "1", [*history.touches, *history.in_no_path])
    settled(project)
    assert "tv" in set(project.frame("int_path_touches")["channel"])
    credit_agrees(project, history.touches)
    revenue_agrees(project, history.touches, history.payments)
    days_agree(project)
    assert {row["touches"] for rows in credits_of(project).values() for row in rows} >= {0, 1, 2, 3, 4}

    # A touch that comes late: the days on which its user converts, and its own.
    of_users = by_user([*history.touches, *history.late])
    history.drop_touches(project, "late", history.late)
    made = settled(project)
    assert not made.keys() & project.requested().keys(), "nothing is left to be made"
    own = {touch.at.date() for touch in history.late}
    converting = {
        other.at.date()
        for touch in history.late
        for other in of_users[touch.user]
        if other.converts and 0 <= (other.at.date() - touch.at.date()).days <= 30
    }
    assert made["attribution_credit"] == converting | own
    assert converting - own, "no day was made for its users alone, so that nothing is shown"
    assert made["int_conversions"] == own
    touches = [*history.touches, *history.late]
    credit_agrees(project, touches)
    revenue_agrees(project, touches, history.payments)
    days_agree(project)

    if IN_FULL:  # in the reverse order: no credit is another
        reverse = Project(tmp_path / "reverse", [DOMAIN], {"start_date": day(0, days=DAYS)})
        history.drop_touches(reverse, "late", history.late)
        settled(reverse)
        history.drop_touches(reverse, "1", history.touches)
        history.drop_the_others(reverse)
        settled(reverse)
        assert credited(reverse) == credited(project)

    # Shapley by its definition; it is symmetric and gives nothing to who brings nothing.
    credits = credits_of(project)
    paths = [frozenset(row["channel"] for row in rows) for rows in credits.values()]
    channels = sorted(frozenset().union(*paths))
    worth = by_permutations(paths, [*channels, "nobody"])
    assert worth["nobody"] == 0
    sums = project.frame("attribution_credit").group_by("channel").agg(pl.col("shapley").sum()).rows()
    units = len(project.frame("attribution_credit"))
    assert all(abs(Fraction(value) - worth[channel]) * UNITS <= units for channel, value in sums)
    for rows in credits.values():
        of_channels: dict[str, Decimal] = defaultdict(Decimal)
        for row in rows:
            of_channels[row["channel"]] += row["shapley"]
        assert max(of_channels.values()) - min(of_channels.values()) <= Decimal(2 * len(rows)) / UNITS, "symmetric"


# ------------------------------------------------------------------------------------- where channels come from

DERIVED = {
    ("(direct)", "(none)", ""): "direct",
    ("(direct)", "(not set)", ""): "direct",
    ("google", "cpc", "sale-cross-network"): "cross_network",
    ("Google", "CPC", "autumn"): "paid_search",
    ("google", "cpc", "the_shop"): "paid_shopping",
    ("www.amazon.com", "ppc", ""): "paid_shopping",
    ("facebook", "paid_social", ""): "paid_social",
    ("youtube.com", "cpv-cpm", ""): "paid_video",
    ("publisher", "banner", ""): "display",
    ("publisher", "retargeting", ""): "paid_other",
    ("etsy", "referral", ""): "organic_shopping",
    ("l.instagram.com", "", ""): "organic_social",
    ("forum", "social-network", ""): "organic_social",
    ("vimeo", "link", ""): "organic_video",
    ("bing", "", ""): "organic_search",
    ("publisher", "organic", ""): "organic_search",
    ("publisher", "referral", ""): "referral",
    ("newsletter", "e-mail", ""): "email",
    ("email", "", ""): "email",
    ("partner", "affiliate", ""): "affiliates",
    ("podcast", "audio", ""): "audio",
    ("sms", "", ""): "sms",
    ("app", "web-push", ""): "mobile_push_notifications",
    ("firebase", "", ""): "mobile_push_notifications",
    ("publisher", "unheard-of", ""): "unknown",
    ("expose", "", ""): "unknown",  # which ends in no shop, and holds an x
    ("", "", "autumn"): "unknown",
}
"""Source, medium and campaign, and the channel that the default channel groups of Google Analytics 4 give them."""


def project_with(folder: Path, patch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """The dbt project in a folder of its own, with another line of dbt_project.yml; dbt works there."""
    shutil.copytree(dbt.DBT_PROJECT_DIR, folder, ignore=shutil.ignore_patterns("target", "logs"))
    text = (folder / "dbt_project.yml").read_text()
    assert old in text
    (folder / "dbt_project.yml").write_text(text.replace(old, new))
    patch.setattr(dbt, "DBT_PROJECT_DIR", folder)


def test_channels_are_derived_sessions_are_touches_and_campaigns_have_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_with(tmp_path / "dbt", monkeypatch, "sessions_are_touches: false", "sessions_are_touches: true")
    project = Project(tmp_path / "data", [DOMAIN, replace(SESSIONS, reports=())])
    lines = "".join(
        f"derived,{day(0)} 12:00:{number:02},,{campaign},visit,{source},{medium},\n"
        for number, (source, medium, campaign) in enumerate(DERIVED)
    )
    # The converting row tells of the conversion alone; what led to it are a click and two sessions.
    lines += f"ann,{day(3)} 12:00:00,,,purchase,,,true\n"
    lines += f"ann,{day(1)} 12:00:00,google_ads,Summer Sale,ad_click,google,cpc,\n"
    project.drop("user_touchpoints", "user_touchpoints-1.csv", TOUCHES + lines)
    spend = f"{day(1)},google_ads,summer sale,3,1,1,1\n{day(1)},google_ads,summer_sale,4,1,1,1\n{day(1)},tv,x,5,1,1,1\n"
    project.drop("marketing_spend", "marketing_spend-1.csv", SPEND + spend)

    def event(number: int, customer: str, at: str, source: str = "", medium: str = "", campaign: str = "") -> str:
        utm = {"utm_source": source, "utm_medium": medium, "utm_campaign": campaign}
        details = json.dumps({name: value for name, value in utm.items() if value}).replace('"', '""')
        return f'{number},{customer},{at},page_view,home,mobile,b,o,"{details}"\n'

    events = event(1, "ann", f"{day(1)} 18:00:00") + event(2, "ann", f"{day(1)} 18:01:00", "bing", "", "Autumn")
    events += event(3, "ann", f"{day(1)} 18:02:00", "facebook", "social")  # of the same session, and not its first
    events += event(4, "ann", f"{day(2)} 23:59:00", "letter", "email", "news") + event(5, "ann", f"{day(3)} 00:05:00")
    events += event(6, "ann", f"{day(3)} 10:00:00") + event(7, "", f"{day(3)} 10:00:00", "bing")  # say nothing; nobody
    project.drop("clickstream", "clickstream-1.csv", EVENTS + events)
    project.settle("rpt_unmatched_spend", *MADE_OF_CREDIT)

    touches = project.frame("int_path_touches")
    derived = touches.filter(pl.col("user_id") == "derived").sort("touched_at")
    assert dict(zip(DERIVED, derived["channel"], strict=True)) == DERIVED

    def path() -> list[tuple]:
        rows = project.frame("attribution_credit").sort("touch_number")
        return rows.select("channel", "campaign", "touchpoint_type", "linear").rows()

    third = Decimal("0.333333333")
    expected = [
        ("google_ads", "summer_sale", "ad_click", third),
        ("organic_search", "autumn", "session", third),
        ("email", "news", "session", third + Decimal("0.000000001")),
    ]
    assert path() == expected

    # A session that comes late changes the day on which its customer converts, and its own.
    project.drop("clickstream", "clickstream-2.csv", EVENTS + event(8, "ann", f"{day(0)} 09:00:00", "bing", "cpc"))
    made = settled(project)
    assert made["attribution_credit"] == {day(0), day(1), day(3)}  # a session ends on the day after at the latest
    assert path()[0] == ("paid_search", "none", "session", Decimal("0.25"))
    assert len(path()) == 4

    # Spend that touched nobody, and touches that cost nothing; spend of both names of a campaign is one.
    with warehouse_of(project.settings).reading() as reader:
        unmatched = reader.rows(
            "select channel, campaign, what, spend from"
            f" reporting.rpt_unmatched_spend(date '{day(1)}', date '{day(4)}')"
        ).rows
    assert sorted(unmatched) == [
        ("email", "news", "touches without spend", 0),
        ("organic_search", "autumn", "touches without spend", 0),
        ("tv", "x", "spend without touches", 5),
        ("unknown", "none", "touches without spend", 0),
    ]
    spent = (
        project.frame("attribution_daily").filter(pl.col("spend") != 0).select("channel", "campaign", "model", "spend")
    )
    assert sorted(spent.rows()) == [("google_ads", "summer_sale", None, 7), ("tv", "x", None, 5)]


# --------------------------------------------------------------------------------------------- what is looked at


def test_credit_that_is_lost_or_given_twice_is_named_with_its_day(tmp_path: Path) -> None:
    project, at = Project(tmp_path / "data", [DOMAIN]), day(3)
    touches = [("ann", f"{day(number)} 12:00:00", "email", number == 3) for number in range(4)]
    lines = "".join(
        f"{user},{when},{channel},,visit,,,{str(converts).lower()}\n" for user, when, channel, converts in touches
    )
    project.drop("user_touchpoints", "user_touchpoints-1.csv", TOUCHES + lines)
    project.drop("revenue_and_rewards", "revenue_and_rewards-1.csv", REVENUE + f"ann,{at},5,1\n")
    project.drop("marketing_spend", "marketing_spend-1.csv", SPEND + f"{at},email,x,5,1,1,1\n")
    settled(project)
    faults = {
        "credit_sums_to_one_for_each_conversion": (
            "update marts.attribution_credit set linear = linear - 0.000000001 where touch_number = 1"
        ),
        "adds_up_int_revenue_credited_": (
            "update intermediate.int_revenue_credited set shapley_revenue = 2 * shapley_revenue where touch_number = 1"
        ),
        "each_model_credits_all_conversions": (
            "update marts.attribution_daily set credited_conversions = 0 where model = 'time_decay'"
        ),
        "each_model_credits_all_revenue": "delete from marts.attribution_daily where model = 'w_shaped'",
        "touchpoints_of_attribution_add_up": "update marts.attribution_daily set touchpoints = 2 * touchpoints",
        "adds_up_attribution_daily_": "update marts.attribution_daily set spend = 2 * spend",
    }
    assert run_dbt(["test", "--select", *faults], project.settings, project.sources, project.window).failures == {}
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        for statement in faults.values():
            column = {"attribution_credit": "conversion_date", "int_revenue_credited": "revenue_date"}
            of_day = next((name for table, name in column.items() if table in statement), "event_date")
            connection.execute(f"{statement}{' and' if ' where ' in statement else ' where'} {of_day} = date '{at}'")
    run = run_dbt(["test", "--select", *faults], project.settings, project.sources, project.window)
    assert set(run.failures) == set(faults)
    with warehouse_of(project.settings).reading() as reader:
        for check in faults:
            assert {row[0] for row in reader.rows(run.failing_tests[check]).rows} == {at}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("touch_lookback_days", 0.5, "touch_lookback_days in dbt_project.yml is 0.5; it must be a whole number"),
        ("touch_lookback_days_by_type", {"ad_click": -1}, "touch_lookback_days_by_type.ad_click in .* is -1"),
        ("time_decay_half_life_days", 0, "time_decay_half_life_days in dbt_project.yml is 0"),
        ("position_based_shares", {"first": 0.6, "last": 0.5}, "at most 1"),
        ("position_based_shares", {"first": 0.6}, "it must say first, last"),
        ("w_shaped_shares", {"first": 0, "middle": 0, "last": 0}, "together more than 0"),
        ("w_shaped_shares", "a third", "it must say first, middle, last"),
    ],
)
def test_a_variable_that_no_model_could_divide_by_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: object, said: str
) -> None:
    project, project_vars = Project(tmp_path / "data", [DOMAIN]), runner.project_vars
    monkeypatch.setattr(runner, "project_vars", lambda *of: project_vars(*of) | {variable: value})
    with pytest.raises(DbtError, match=said):
        run_dbt(["compile", "--select", "attribution_credit"], project.settings, project.sources, project.window)
