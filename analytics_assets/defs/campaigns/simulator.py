"""Sample files of campaigns: an export of their history, and pulls of an API that corrects earlier records."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

from analytics_assets.defs.campaigns.sources import CAMPAIGNS, Record, flattened
from analytics_assets.foundation.files import replacing
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.simulation.defects import Row
from analytics_assets.simulation.files import write_rows

CAMPAIGNS_AT_SCALE_1, FEWEST_CAMPAIGNS = 24, 2
PULLED_AT = time(6, tzinfo=UTC)
OVERLAP = timedelta(hours=1)  # each pull repeats the last hour of the previous one
CORRECTED = 0.25  # of the records: the platform corrects them some days later
WITHDRAWN = 0.4  # of the corrections: one country is withdrawn
WITH_UNKNOWN_COUNTRY = 0.04  # of the records
REPEATED = 0.02  # of the lines of a pull, plus one: served twice
SMALLEST_SPOILED_FILE = 100  # lines; below it one malformed record would be a large share

PLATFORMS = ("search", "social", "video", "display")
_CLICK_PRICES = {"search": 0.8, "social": 0.5, "video": 0.3, "display": 0.2}  # euros
_COUNTRIES_OF_EUROPE, _COUNTRIES_OVERSEAS = ("DE", "FR", "ES", "GB", "CH"), ("US", "BR", "JP")
_UNKNOWN_COUNTRY = "ZZ"  # is in no seed
_CURRENCIES = {"GB": ("GBP", 0.85), "CH": ("CHF", 0.95), "US": ("USD", 1.1), "BR": ("BRL", 6.0), "JP": ("JPY", 165.0)}
"""The currency of a country, and roughly its amount per euro; all other countries use euros."""

_SPOILERS: list[Callable[[Record], object]] = [
    lambda record: {**record, "metrics": "none"},
    lambda record: {**record, "metrics": [{**record["metrics"][0], "impressions": "1,204"}]},
    lambda record: "null",
]


def simulate(inbox_dir: Path, window: Window, scale: float, random: Random) -> None:
    """Writes `campaigns/campaigns-history-<day>.csv` and `campaigns/campaigns-<time of the pull>.jsonl`.

    The history is an export of the first third of the days. Two pulls bring what has changed since: one in the middle,
    and one on the morning after the last day.

    Args:
        scale: 1 is some 75 rows a day.
        random: the same state gives the same bytes.
    """
    folder = inbox_dir / CAMPAIGNS.name
    known = versions(window, max(FEWEST_CAMPAIGNS, round(CAMPAIGNS_AT_SCALE_1 * scale)), random)
    history = Window(window.start, window.start + max(1, len(window) // 3) * ONE_DAY)
    exported_at = datetime.combine(history.end, PULLED_AT)
    exported = [record for record in newest(known, exported_at) if day_of(record) < history.end]
    write_rows(folder / f"campaigns-history-{history.end - ONE_DAY}.csv", _rows(exported), CAMPAIGNS.columns)

    seen_until = exported_at
    for day in (window.start + len(window) // 2 * ONE_DAY, window.end):
        pulled_at = datetime.combine(day, PULLED_AT)
        if pulled_at < seen_until:
            continue  # the window is very short
        records: list[object] = list(newest(known, pulled_at, since=seen_until - OVERLAP))
        records += random.sample(records, min(len(records), 1 + round(len(records) * REPEATED)))
        if len(records) >= SMALLEST_SPOILED_FILE:
            records += [spoiler(_some_record(records, random)) for spoiler in _SPOILERS]
        _write_pull(folder / f"campaigns-{pulled_at:%Y-%m-%dT%H%M%S-%fZ}.jsonl", pulled_at, records)
        seen_until = pulled_at


def _rows(records: Iterable[Record]) -> list[Row]:
    """Records as rows of a flat export, not of a pull."""
    return [
        {name: json.dumps(held) if isinstance(held, dict) else held and str(held) for name, held in row.items()}
        for record in records
        for row in flattened({"record": record})
    ]


def _some_record(records: Sequence[object], random: Random) -> Record:
    return random.choice([record for record in records if isinstance(record, dict)])


def _write_pull(file: Path, pulled_at: datetime, records: Iterable[object]) -> None:
    lines = [json.dumps({"pulled_at": _written(pulled_at), "record": record}) + "\n" for record in records]
    if lines:
        with replacing(file) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)


# -------------------------------------------------------------------------------------------------------- records


def versions(window: Window, campaigns: int, random: Random) -> list[Record]:
    """All versions of the records of some campaigns, one record per campaign and day, nested as in the API.

    A campaign's day is the same in every window. The first version appears on the morning after the day; a quarter of
    the records are corrected once or twice within the next three days.
    """
    found, seed = [], random.getrandbits(64)
    for number in range(campaigns):
        campaign = _campaign(number, Random(f"{seed} {number}"))
        for day in window.days():
            random = Random(f"{seed} {number} {day}")
            record = {**campaign["record"], "metrics": _metrics(campaign, day, random)}
            at = datetime.combine(day + ONE_DAY, time(2, tzinfo=UTC)) + timedelta(seconds=random.randrange(3 * 3_600))
            found.append({**record, "last_updated_at": _written(at)})
            if random.random() < CORRECTED:
                days = sorted(random.sample(range(1, 4), random.choice([1, 2])))
                for later in days:
                    record = {**record, "metrics": _corrected(record["metrics"], random)}
                    corrected_at = at + timedelta(days=later, seconds=-random.randrange(20 * 3_600))
                    found.append({**record, "last_updated_at": _written(corrected_at)})
    return found


def newest(known: Iterable[Record], at: datetime, since: datetime | None = None) -> list[Record]:
    """The newest version of each record at a time, if it changed since another time; in order of the changes."""
    found: dict[tuple[str, date], Record] = {}
    for record in sorted(known, key=_order):
        if _read(record["last_updated_at"]) <= at:
            found[record["id"], day_of(record)] = record
    changed = (one for one in found.values() if since is None or _read(one["last_updated_at"]) >= since)
    return sorted(changed, key=_order)


def day_of(record: Record) -> date:
    """The day of a record."""
    return date.fromisoformat(record["metrics"][0]["date"])


def _order(record: Record) -> tuple[str, str]:
    return record["last_updated_at"], record["id"]


def _campaign(number: int, random: Random) -> dict[str, Any]:
    platform = PLATFORMS[number % len(PLATFORMS)]
    # The first two are one of each part of the world; they are never withdrawn.
    countries = [random.choice(_COUNTRIES_OF_EUROPE), random.choice(_COUNTRIES_OVERSEAS)]
    others = [country for country in (*_COUNTRIES_OF_EUROPE, *_COUNTRIES_OVERSEAS) if country not in countries]
    countries += random.sample(others, random.choice([0, 1, 2]))
    goal = random.choice(["Brand", "Autumn", "Shoes", "Newsletter"])
    return {
        "record": {
            "id": f"campaign-{number:04}",
            "name": f"{platform.title()} {goal} {number}",
            "platform": platform,
            "budget": {"amount": f"{random.randrange(50, 500)}.00", "currency": "EUR", "period": "daily"},
            "targeting": {"countries": countries, "age": random.choice(["18-34", "18-65", "35-65"])},
        },
        "countries": countries,
        "impressions": random.lognormvariate(8.3, 0.6),  # per day and country; the median is 4,000
        "click_price": _CLICK_PRICES[platform] * random.uniform(0.8, 1.25),
        "return": random.uniform(2, 4),  # revenue per euro of cost
    }


def _metrics(campaign: dict[str, Any], day: date, random: Random) -> list[Record]:
    countries = [*campaign["countries"], *([_UNKNOWN_COUNTRY] if random.random() < WITH_UNKNOWN_COUNTRY else [])]
    return [_of_country(campaign, day, country, random) for country in countries]


def _of_country(campaign: dict[str, Any], day: date, country: str, random: Random) -> Record:
    weekend = 0.75 if day.weekday() >= 5 else 1.0
    impressions = round(campaign["impressions"] * weekend * random.uniform(0.85, 1.15))
    clicks = min(impressions, round(impressions * 0.02 * random.uniform(0.7, 1.3)))
    cost = clicks * campaign["click_price"] * random.uniform(0.9, 1.1)
    currency, units = _CURRENCIES.get(country, ("EUR", 1.0))
    conversions = round(clicks * 0.04 * random.uniform(0.5, 1.5))
    revenue = cost * campaign["return"] * random.uniform(0.7, 1.3) if conversions else 0.0
    return {
        "date": day.isoformat(),
        "country": country,
        "impressions": impressions,
        "clicks": clicks,
        "cost": f"{cost * units:.2f}",
        "conversions": conversions,
        "revenue": f"{revenue * units:.2f}",
        "currency": currency,
    }


def _corrected(metrics: Sequence[Record], random: Random) -> list[Record]:
    """The corrected metrics of a day: some invalid clicks, and maybe a country, are gone."""
    kept = metrics[:-1] if len(metrics) > 2 and random.random() < WITHDRAWN else metrics
    valid = random.uniform(0.9, 1.0)
    return [
        {
            **line,
            "clicks": int(line["clicks"] * valid),
            "cost": f"{float(line['cost']) * valid:.2f}",
            "conversions": line["conversions"] + random.choice([0, 0, 1]),
            "revenue": f"{float(line['revenue']) * random.uniform(1.0, 1.1):.2f}",
        }
        for line in kept
    ]
