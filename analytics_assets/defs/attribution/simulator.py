"""Sample files of an app's marketing, with a known truth: what each channel does for a conversion (`TRUE_EFFECTS`)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random

from analytics_assets.defs.attribution.sources import (
    EXCHANGE_RATES,
    MARKETING_SPEND,
    REVENUE_AND_REWARDS,
    USER_TOUCHPOINTS,
    USERS,
)
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.simulation.defects import Row, deliver, spoil
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.source import Source

TRUE_EFFECTS = {
    "google_ads": 0.05,
    "facebook": 0.06,
    "instagram": 0.04,
    "twitter": 0.015,
    "affiliate": 0.025,
    "email": 0.08,
    "organic": 0.01,
}
"""By channel: the chance that a click leads to a conversion, by itself.

A touch works for `LASTS`. The chance that a user converts at a touch is 1 - Π(1 - effect) over the touches that still
work, itself included. So each touch before a conversion had its part in it, the last one and all others.
"""

LASTS = timedelta(days=7)
SEEN_ONLY = 0.3  # of the effect of a click: a touch that was only seen

INSTALLS_PER_DAY = 60  # at scale 1
CAMPAIGNS = ("new_user_promo", "summer_sale", "holiday_special", "brand_awareness", "retargeting")
_CAMPAIGN_WEIGHTS = (21, 18, 18, 9, 34)
ORGANIC_SHARE = 0.1  # of the users: nobody paid for them
INSTALLS_WITHOUT_USER = 0.04  # of the installs that a channel bills: no account was made
CORRECTED, MOVED = 0.02, 0.005  # of the users: told once more, with another campaign or another day of install
LATE, REDELIVERED, MALFORMED = 0.02, 0.01, 0.01
BATCHES_AGAIN = 0.2  # of the files: some of their rows arrive again in another file
SMALLEST_SPOILED_FILE = 100  # rows; below it one malformed row would be a large share
REFUNDED = 0.03  # of the purchases
PRICES = ("1.99", "4.99", "9.99", "19.99")
_PRICE_WEIGHTS = (40, 30, 20, 10)
LONGEST_USE = 90  # days
RATES = {"USD": 0.92, "GBP": 1.17, "BTC": 60_000.0}
"""What one unit of a currency is worth in euros on the first day; from day to day it drifts."""

_TRADED_ON_WEEKENDS = frozenset({"BTC"})
_DRIFT = 0.01  # of a rate, at most, from one day to the next
_ENDINGS = ("csv", "jsonl", "csv.gz", "parquet")


@dataclass(frozen=True)
class Channel:
    """A channel: its share of the installs, the price and rate of its clicks, and how its touches are told."""

    share: float
    click_price: float
    click_rate: float
    source: str
    medium: str
    seen: str
    clicked: str


CHANNELS = {
    "google_ads": Channel(0.31, 0.7, 0.034, "google", "cpc", "ad_impression", "ad_click"),
    "facebook": Channel(0.25, 0.47, 0.028, "facebook", "paid_social", "ad_impression", "ad_click"),
    "instagram": Channel(0.19, 0.4, 0.025, "instagram", "paid_social", "ad_impression", "ad_click"),
    "twitter": Channel(0.14, 0.26, 0.02, "twitter", "paid_social", "ad_impression", "ad_click"),
    "affiliate": Channel(0.11, 0.47, 0.038, "partner", "referral", "ad_impression", "ad_click"),
    "email": Channel(0.0, 0.0, 0.0, "newsletter", "email", "email_open", "email_click"),
    "organic": Channel(0.0, 0.0, 0.0, "direct", "none", "search_result", "visit"),
}
_PAID = tuple(name for name, channel in CHANNELS.items() if channel.share)
_TOUCH_WEIGHTS = (24, 20, 16, 10, 6, 14, 10)  # of a user who has installed, in the order of CHANNELS
_WITHOUT_CAMPAIGN = "organic"


@dataclass(frozen=True)
class User:
    """A user as the users' file tells of one."""

    user_id: str
    installed_at: datetime
    channel: str
    campaign: str | None


Rows = dict[date, list[Row]]


def simulate(inbox_dir: Path, window: Window, scale: float, random: Random) -> None:
    """Writes a file a day of each source, and some batches of touches and revenue again, as `…-again.<ending>`.

    Args:
        scale: 1 is some 60 installs, 300 touches and 250 rows of revenue a day.
        random: the same state gives the same bytes.
    """
    last_day = max(window.days())
    seed, spend, users = _bought(window, scale, random)
    _write(inbox_dir, MARKETING_SPEND, spend, random)
    _write(inbox_dir, USERS, _told(users, window, random), random)

    touches, revenue = _empty(window), _empty(window)
    for user in users:
        add_activity(user, window, seed, touches, revenue)
    for source, rows in ((USER_TOUCHPOINTS, touches), (REVENUE_AND_REWARDS, revenue)):
        delivered = _deliver_together(rows, last_day, random)
        _write(inbox_dir, source, delivered, random, batches_again=BATCHES_AGAIN)

    of_rates = Random(f"{seed} rates")  # of their own: the other files do not hang on them
    _write(
        inbox_dir, EXCHANGE_RATES, deliver(_rates(window, of_rates), last_day, of_rates, LATE, REDELIVERED), of_rates
    )


def true_lift(window: Window, scale: float, random: Random) -> dict[str, float]:
    """What each channel truly brings of the conversions that `simulate` writes from the same state.

    These are the conversions that are expected to be missing if nobody were touched by the channel, and all else were
    the same: what a test of lift would measure. They add up to more than all conversions, since touches of several
    channels work together.
    """
    seed, _, users = _bought(window, scale, random)
    lift = dict.fromkeys(CHANNELS, 0.0)
    for user in users:
        add_activity(user, window, seed, _empty(window), _empty(window), lift)
    return lift


def _bought(window: Window, scale: float, random: Random) -> tuple[int, Rows, list[User]]:
    """The seed of what users do, what campaigns cost each day, and the users who came."""
    seed, spend = random.getrandbits(64), _empty(window)
    users: list[User] = []
    for day in window.days():
        spend[day] = [_of_campaign(day, *cell, scale, random) for cell in _cells()]
        users += _installed(spend[day], day, random)
    return seed, spend, users


def _empty(window: Window) -> Rows:
    return {day: [] for day in window.days()}


# ------------------------------------------------------------------------------------------------- spend and users


def _cells() -> Iterator[tuple[str, str, float]]:
    """Each channel that is paid for, each of its campaigns, and its share of all installs."""
    for name in _PAID:
        for campaign, weight in zip(CAMPAIGNS, _CAMPAIGN_WEIGHTS, strict=True):
            yield name, campaign, CHANNELS[name].share * weight / sum(_CAMPAIGN_WEIGHTS)


def _of_campaign(day: date, channel: str, campaign: str, share: float, scale: float, random: Random) -> Row:
    """What a campaign's day cost and brought."""
    expected = INSTALLS_PER_DAY * scale * share * (0.8 if day.weekday() >= 5 else 1.0) * random.uniform(0.6, 1.4)
    installs = int(expected + random.random())
    clicks = installs + int(max(expected, 0.5) * random.uniform(5, 8))
    impressions = int(clicks / CHANNELS[channel].click_rate * random.uniform(0.8, 1.2)) + 1
    return {
        "date": str(day),
        "channel": channel,
        "campaign": campaign,
        "spend": f"{clicks * CHANNELS[channel].click_price * random.uniform(0.85, 1.15):.15f}",
        "impressions": str(max(impressions, clicks)),
        "clicks": str(clicks),
        "installs": str(installs),
    }


def _installed(spend: Sequence[Row], day: date, random: Random) -> Iterator[User]:
    """The users who installed on a day: nearly as many as the channels bill, and some that no channel brought."""
    brought: list[tuple[str, str | None]] = [
        (str(row["channel"]), row["campaign"])
        for row in spend
        for _ in range(int(row["installs"] or 0))
        if random.random() >= INSTALLS_WITHOUT_USER
    ]
    brought += [(_WITHOUT_CAMPAIGN, None)] * max(1, round(len(brought) * ORGANIC_SHARE))
    for number, (channel, campaign) in enumerate(brought, start=1):
        at = datetime.combine(day, time(tzinfo=UTC)) + timedelta(minutes=random.randrange(24 * 60))
        yield User(f"u{day:%y%m%d}{number:05}", at, channel, campaign)


def _told(users: Iterable[User], window: Window, random: Random) -> Rows:
    """The rows of users by the day of their delivery: some come late, again, or corrected."""
    rows, corrections = _empty(window), _empty(window)
    for user in users:
        created_at = user.installed_at + timedelta(minutes=random.randrange(61))
        row = _row_of(user, user.installed_at, created_at, created_at)
        rows[user.installed_at.date()].append(row)
        chance = random.random()
        if chance < CORRECTED + MOVED and user.campaign is not None:
            updated_at = created_at + timedelta(hours=random.randint(1, 48))
            installed_at = user.installed_at + ONE_DAY if chance < MOVED else user.installed_at
            told_on = max(installed_at, updated_at).date()
            if window.holds(told_on):
                corrected = _row_of(user, installed_at, created_at, updated_at)
                corrections[told_on].append({**corrected, "campaign": random.choice(CAMPAIGNS)})
    delivered = deliver(rows, max(window.days()), random, LATE, REDELIVERED)
    return {day: delivered[day] + corrections[day] for day in window.days()}


def _row_of(user: User, installed_at: datetime, created_at: datetime, updated_at: datetime) -> Row:
    times = {"installed_at": installed_at, "created_at": created_at, "updated_at": updated_at}
    return {
        "user_id": user.user_id,
        **{name: f"{at:%Y-%m-%d %H:%M:%S}" for name, at in times.items()},
        "channel": user.channel,
        "campaign": user.campaign,
    }


# ------------------------------------------------------------------------------------------- touches and revenue


def add_activity(
    user: User,
    window: Window,
    seed: int,
    touches: Rows,
    revenue: Rows,
    lift: dict[str, float] | None = None,
) -> None:
    """Adds what a user touched and brought on the days of a window; the same for a seed, whoever the others are.

    Args:
        lift: by channel, the conversions that would be missing without it; those of the user are added.
    """
    random = Random(f"{seed} {user.user_id}")
    working: list[tuple[datetime, str, float]] = []  # when a touch happened, its channel and its effect
    for at, channel, campaign, is_click in _path(user, random):
        if at.date() >= window.end:
            break
        working = [touch for touch in working if at - touch[0] < LASTS]
        working.append((at, channel, TRUE_EFFECTS.get(channel, 0.0) * (1.0 if is_click else SEEN_ONLY)))
        # Nobody converts before the app is installed.
        converts = at > user.installed_at and random.random() < chance_of(effect for *_, effect in working)
        if lift is not None and at > user.installed_at and window.holds(at.date()):
            _add_lift(lift, [(channel, effect) for _, channel, effect in working])
        if window.holds(at.date()):
            touches[at.date()].append(_touch(user.user_id, at, channel, campaign, is_click, converts))
        if converts:
            _buy(user.user_id, at.date(), window, revenue, random)
    for age in range(min(LONGEST_USE, (window.end - user.installed_at.date()).days)):
        day = user.installed_at.date() + age * ONE_DAY
        if random.random() < 0.6 / (1 + age / 2) and window.holds(day):
            shown = random.uniform(0.05, 0.35)  # what advertisers paid for what the user was shown in the app
            revenue[day].append(_brought(user.user_id, day, f"{shown:.4f}", f"{shown * 0.3:.8f}"))


def _add_lift(lift: dict[str, float], working: Sequence[tuple[str, float]]) -> None:
    """Adds what a touch, the last of those that work, would lose of its chance without each channel.

    Without its own channel there is no touch, and no conversion at it.
    """
    chance, own = chance_of(effect for _, effect in working), working[-1][0]
    for channel in {channel for channel, _ in working}:
        others = [effect for other, effect in working if other != channel]
        lift[channel] += chance - (0.0 if channel == own else chance_of(others))


def chance_of(effects: Iterable[float]) -> float:
    """The chance of a conversion where touches of some effects work together."""
    none_of_them = 1.0
    for effect in effects:
        none_of_them *= 1 - effect
    return 1 - none_of_them


def _path(user: User, random: Random) -> Iterator[tuple[datetime, str, str | None, bool]]:
    """The touches of a user in order: what led to the install, then what any channel showed."""
    at = user.installed_at - timedelta(seconds=random.randrange(60, 3 * 24 * 3_600))
    if random.random() < 0.5:
        yield at, user.channel, user.campaign, False
    yield max(at, user.installed_at - timedelta(seconds=random.randrange(30, 600))), user.channel, user.campaign, True
    at = user.installed_at
    for _ in range(int(random.expovariate(0.25))):
        at += timedelta(seconds=60 + int(random.expovariate(1 / (2.5 * 24 * 3_600))))
        channel = random.choices(list(CHANNELS), _TOUCH_WEIGHTS)[0]
        campaign = None if channel == _WITHOUT_CAMPAIGN else random.choices(CAMPAIGNS, _CAMPAIGN_WEIGHTS)[0]
        yield at, channel, campaign, random.random() < 0.35


def _touch(user_id: str, at: datetime, channel: str, campaign: str | None, is_click: bool, converts: bool) -> Row:
    how = CHANNELS.get(channel, CHANNELS[_WITHOUT_CAMPAIGN])
    return {
        "user_id": user_id,
        "touchpoint_date": f"{at:%Y-%m-%d %H:%M:%S}",
        "channel": channel,
        "campaign": campaign,
        "touchpoint_type": how.clicked if is_click else how.seen,
        "source": how.source,
        "medium": how.medium,
        "conversion": "true" if converts else "false",
    }


def _buy(user_id: str, day: date, window: Window, revenue: Rows, random: Random) -> None:
    """One purchase or, now and then, the same twice; some are refunded within a week."""
    price = random.choices(PRICES, _PRICE_WEIGHTS)[0]
    reward = f"{float(price) * 0.05:.8f}"
    for _ in range(2 if random.random() < 0.05 else 1):
        revenue[day].append(_brought(user_id, day, price, reward))
    refunded_on = day + timedelta(random.randint(1, 7))
    if random.random() < REFUNDED and window.holds(refunded_on):
        revenue[refunded_on].append(_brought(user_id, refunded_on, f"-{price}", "0"))


def _brought(user_id: str, day: date, revenue: str, reward: str) -> Row:
    return {"user_id": user_id, "date": str(day), "revenue": revenue, "reward_to_user": reward}


# ---------------------------------------------------------------------------------------------------------- rates


def _rates(window: Window, random: Random) -> Rows:
    """The rates of each day; on weekends only of what is traded then."""
    rows, rates = _empty(window), dict(RATES)
    for day in window.days():
        for currency in rates:
            rates[currency] *= 1 + random.uniform(-_DRIFT, _DRIFT)
            if day.weekday() < 5 or currency in _TRADED_ON_WEEKENDS:
                rows[day].append({"date": str(day), "currency": currency, "rate": f"{rates[currency]:.6f}"})
    return rows


# ------------------------------------------------------------------------------------------------------- delivery


def _deliver_together(rows_by_day: Mapping[date, Sequence[Row]], last_day: date, random: Random) -> Rows:
    """As `deliver`, but what a user did on a day comes in one file, where equal rows are told apart."""
    together: dict[int, list[Row]] = {}
    firsts: dict[date, list[Row]] = {}
    for day, rows in rows_by_day.items():
        by_user: dict[str | None, list[Row]] = defaultdict(list)
        for row in rows:
            by_user[row["user_id"]].append(row)
        firsts[day] = [of_user[0] for of_user in by_user.values()]
        together |= {id(of_user[0]): of_user for of_user in by_user.values()}
    delivery = deliver(firsts, last_day, random, LATE, 0.0)
    return {day: [row for first in found for row in together[id(first)]] for day, found in delivery.items()}


def _write(inbox_dir: Path, source: Source, delivery: Rows, random: Random, *, batches_again: float = 0.0) -> None:
    folder, whole = inbox_dir / source.name, not batches_again
    for day, rows in delivery.items():
        if not rows:
            continue
        again = rows[: len(rows) // 3] if random.random() < batches_again else []
        ending = "csv" if whole else _ENDINGS[day.toordinal() % len(_ENDINGS)]
        if ending != "parquet" and len(rows) >= SMALLEST_SPOILED_FILE and not whole:
            rows = spoil(rows, random, MALFORMED, _SPOILERS)
        # Exports of spreadsheets begin with a byte order mark.
        write_rows(folder / f"{source.name}-{day}.{ending}", rows, source.columns, byte_order_mark=whole)
        if again:
            write_rows(folder / f"{source.name}-{day}-again.{ending}", again, source.columns)


def _with_impossible_day(row: Row) -> Row:
    column = "touchpoint_date" if "touchpoint_date" in row else "date"
    return {**row, column: f"{str(row[column])[:8]}32"}


_SPOILERS: list[Callable[[Row], Row]] = [_with_impossible_day, lambda row: {**row, "user_id": None}]
