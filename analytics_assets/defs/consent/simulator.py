"""Sample files of consent analytics: sampled events of a dozen companies, with the defects of real files."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from analytics_assets.defs.consent.sources import COMPANIES, CONSENT_EVENTS
from analytics_assets.partitions import Window
from analytics_assets.simulation.defects import Row, deliver, spoil
from analytics_assets.simulation.files import write_rows

ROWS_PER_DAY = 1_500
LATE, REDELIVERED, MALFORMED, CHANGED, ODD_RATE = 0.02, 0.01, 0.01, 0.002, 0.002
ANSWERED = 0.6  # of the questions
OVER_MIDNIGHT = 0.1  # of a company's days end with a question answered on the next day
SMALLEST_SPOILED_FILE = 100  # rows; below it one malformed row would be a large share

_INDUSTRIES = [
    ("Retail / Fashion", "Retail"),
    ("Media & Publishers", "Media & Publishers"),
    ("Gaming / Sport", "Gaming"),
    ("Banking / Insurance", "Finance"),
    ("Food / Beverage", "Food"),
]
_HEADQUARTERS = ["France", "Spain", "Germany", "Italy", "Netherlands", None]
_COUNTRIES = {
    "FR": ("IDF", "ARA"),
    "ES": ("MD", "CT"),
    "DE": ("BE", "BY"),
    "IT": ("25",),
    "NL": ("NH",),
    "US": ("CA", "NY"),
}
_DEVICES = [("smartphone", "Chrome Mobile"), ("desktop", "Chrome"), ("desktop", "Firefox"), ("tablet", "Safari")]
# No model knows the last of each.
_STATUSES, _STATUS_WEIGHTS = ["full opt-in", "partial opt-in", "opt-out", "empty", "expired"], [55, 8, 17, 20, 0.2]
_TYPES = ["pageview", "consent.asked", "consent.given", "ui.action", "sdk.error"]
_TYPE_WEIGHTS = [45, 15, 23, 8, 0.2]
_HOUR_WEIGHTS = [1, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 9, 10, 9, 8, 8, 8, 9, 10, 11, 12, 10, 6, 3]
_ENDINGS = ["csv", "csv", "csv", "parquet", "parquet", "jsonl", "csv.gz", "csv", "parquet", "csv", "csv", "csv"]


@dataclass(frozen=True)
class _Company:
    name: str
    api_key: str
    ending: str
    share: float
    home: str
    rates: dict[str, str]
    knows_users: bool
    counts_all: bool  # COUNT already covers all events, not only the sampled ones


def simulate(inbox_dir: Path, window: Window, scale: float, random: Random) -> None:
    """Writes `consent_events/events-<company>-<day>.<ending>` and `companies/companies-<day>.csv`.

    Args:
        scale: 1 is some 1,500 event rows a day.
        random: the same state gives the same bytes.
    """
    companies = _companies(random)
    _write_companies(inbox_dir, companies, window, random)
    last_day = max(window.days())
    for number, company in enumerate(companies):
        rows_by_day: dict[date, list[Row]] = {day: [] for day in window.days()}
        for day in window.days():
            for at, row in _events(company, day, scale, random):
                if at.date() in rows_by_day:  # drop an answer after the last midnight
                    rows_by_day[at.date()].append(row)
        for rows in rows_by_day.values():
            rows.extend(_changed(rows, random))
        for day, rows in deliver(rows_by_day, last_day, random, LATE, REDELIVERED).items():
            if not rows:
                continue
            if company.ending != "parquet" and len(rows) >= SMALLEST_SPOILED_FILE:
                rows = spoil(rows, random, MALFORMED, _SPOILERS)
            if number == 1 and day == window.start:
                rows = [{**row, "TRACKER_VERSION": "2.1"} for row in rows]
            file = inbox_dir / CONSENT_EVENTS.name / f"events-{company.name}-{day}.{company.ending}"
            write_rows(file, rows, CONSENT_EVENTS.columns, byte_order_mark=number == 2)


def _companies(random: Random) -> list[_Company]:
    found = []
    for number, ending in enumerate(_ENDINGS, start=1):
        rates = {"pageview": random.choice(["0.03", "0.1"]), "consent.asked": random.choice(["0.1", "0.2"])}
        if number == 3:  # written by a tracker that keeps rates as 32-bit floats
            rates = {"pageview": "0.1000000015", "consent.asked": "0.200000003"}
        if number == 8:  # counts all its events, so that its volumes are too large
            rates = {"pageview": "0.2", "consent.asked": "0.2"}
        api_key = str(uuid.UUID(int=random.getrandbits(128), version=4))
        share = random.uniform(0.5, 1.5) / len(_ENDINGS)
        home = random.choice(list(_COUNTRIES))
        found.append(_Company(f"company-{number}", api_key, ending, share, home, rates, number in (4, 6), number == 8))
    return found


def _write_companies(inbox_dir: Path, companies: list[_Company], window: Window, random: Random) -> None:
    days = list(window.days())
    rows = []
    for company in companies[:-1]:  # the last one sends events and is in no list
        back, front = random.choice(_INDUSTRIES)
        rows.append(
            {
                "PUBLIC_API_KEY": company.api_key,
                "INDUSTRY_BACK": back,
                "INDUSTRY_FRONT": front,
                "HQ_COUNTRY": random.choice(_HEADQUARTERS),
            }
        )
    folder = inbox_dir / COMPANIES.name
    # The first list lacks the newest company, and holds one row twice.
    write_rows(folder / f"companies-{days[0]}.csv", [*rows[:-1], rows[0]], COMPANIES.columns)
    later = days[len(days) * 2 // 3]
    if later != days[0]:
        moved = [{**row, "HQ_COUNTRY": "Portugal"} if number == 4 else row for number, row in enumerate(rows)]
        write_rows(folder / f"companies-{later}.csv", moved, COMPANIES.columns)


def _events(company: _Company, day: date, scale: float, random: Random) -> Iterator[tuple[datetime, Row]]:
    """The events of a day; a question just before midnight is answered on the next day."""
    weekend = 0.7 if day.weekday() >= 5 else 1.0
    expected = ROWS_PER_DAY * scale * company.share * weekend * random.uniform(0.9, 1.1)
    count = int(expected) + (random.random() < expected % 1)
    hours = random.choices(range(24), _HOUR_WEIGHTS, k=count)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    times = sorted(midnight + timedelta(hours=h, milliseconds=random.randrange(3_600_000)) for h in hours)
    for at in times:
        yield from _with_answer(_event(company, random.choices(_TYPES, _TYPE_WEIGHTS)[0], at, random), at, random)
    if random.random() < OVER_MIDNIGHT:
        at = midnight + timedelta(days=1, milliseconds=-random.randint(1, 2_000))
        yield from _with_answer(_event(company, "consent.asked", at, random), at, random)


def _with_answer(event: Row, at: datetime, random: Random) -> Iterator[tuple[datetime, Row]]:
    """An event and, for most questions, the answer of the same person on the same device."""
    yield at, event
    if event["TYPE"] == "consent.asked" and random.random() < ANSWERED:
        answered_at = at + timedelta(milliseconds=random.randint(2_000, 90_000))
        answer = {
            "EVENT_ID": str(uuid.UUID(int=random.getrandbits(128), version=4)),
            "TYPE": "consent.given",
            "RATE": "1",
            "PARAMETERS": _parameters("consent.given", at, answered_at, random),
            "EVENT_TIME": _written_time(answered_at, random),
            "WINDOW_START": answered_at.strftime("%Y-%m-%d %H:00:00.000"),
            "CONSENT": random.choices(_STATUSES, _STATUS_WEIGHTS)[0],
            "COUNT": "1",
        }
        yield answered_at, event | answer


def _event(company: _Company, event_type: str, at: datetime, random: Random) -> Row:
    rate = company.rates.get(event_type, "1")
    count = "1" if random.random() < 0.95 else str(random.randint(2, 4))
    if company.counts_all:
        count = str(round(1 / float(rate)))
    if random.random() < ODD_RATE:
        rate = random.choice(["", "0", "1.5"])
    country = company.home if random.random() < 0.8 else random.choice(list(_COUNTRIES))
    device, browser = random.choice(_DEVICES)
    return {
        "EVENT_ID": str(uuid.UUID(int=random.getrandbits(128), version=4)),
        "TYPE": event_type,
        "RATE": rate or None,
        "PARAMETERS": _parameters(event_type, at - timedelta(seconds=random.randint(2, 90)), at, random),
        "EVENT_TIME": _written_time(at, random),
        "WINDOW_START": at.strftime("%Y-%m-%d %H:00:00.000"),
        "APIKEY": company.api_key,
        "CONSENT": "empty" if event_type == "consent.asked" else random.choices(_STATUSES, _STATUS_WEIGHTS)[0],
        "COUNT": count,
        "EXPERIMENT": None,
        "SDK_TYPE": "sdk-mobile" if device == "smartphone" and random.random() < 0.4 else "sdk-web",
        "DOMAIN": f"{company.name}.example",
        "DEPLOYMENT_ID": None,
        "COUNTRY": _wrapped(country, "US" if random.random() < 0.01 else None),
        "REGION": _wrapped(random.choice(_COUNTRIES[country])) if random.random() < 0.9 else None,
        "BROWSER_FAMILY": browser,
        "DEVICE_TYPE": device,
        "USER_ID": f"user-{random.randrange(100_000)}" if company.knows_users and random.random() < 0.8 else None,
    }


def _wrapped(*codes: str | None) -> str:
    """Codes as the tracker writes them, including quotes."""
    return ",".join(f'"{code}"' for code in dict.fromkeys(codes) if code)


def _written_time(at: datetime, random: Random) -> str:
    kind = random.random()
    if kind < 0.02:
        return f"{at:%Y-%m-%d} {at.hour}:{at:%M:%S}"  # unpadded hour, no fraction
    if kind < 0.06:
        return f"{at:%Y-%m-%d %H:%M:%S}"
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def _parameters(event_type: str, created: datetime, updated: datetime, random: Random) -> str | None:
    if not event_type.startswith("consent."):
        return None
    held: dict[str, object] = {
        "purposes": {"enabled": ["analytics"] if random.random() < 0.7 else [], "disabled": ["advertising"]},
        "vendors": {"enabled": ["vendor-1"], "disabled": []},
        "previous": {"purposes": {"enabled": [], "disabled": []}},
    }
    if event_type == "consent.given" and random.random() < 0.8:  # some trackers keep no record of the times
        written = {name: f"{at:%Y-%m-%dT%H:%M:%S}.000Z" for name, at in (("created", created), ("updated", updated))}
        held = {"action": "click", **written, **held}
    return json.dumps(held, indent=2)


def _changed(rows: list[Row], random: Random) -> list[Row]:
    """Some events again, with a changed consent and a later aggregation window."""
    changed = []
    for row in rows:
        if random.random() < CHANGED:
            at = str(row["WINDOW_START"])
            changed.append({**row, "WINDOW_START": at.replace(":00:00.000", ":30:00.000"), "CONSENT": "opt-out"})
    return changed


_SPOILERS: list[Callable[[Row], Row]] = [
    lambda row: {**row, "COUNT": "ten"},
    lambda row: {**row, "EVENT_TIME": str(row["EVENT_TIME"])[:8] + "32" + str(row["EVENT_TIME"])[10:]},
    lambda row: {**row, "EVENT_ID": None},
]
