"""Sample files of the clickstream: customers with sessions, bots that are never idle, and the defects of real files."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.simulation.defects import Row, deliver, spoil
from analytics_assets.simulation.files import write_rows

SESSIONS_PER_DAY, CUSTOMERS, BOTS = 235, 600, 2
LATE, REDELIVERED, MALFORMED = 0.02, 0.01, 0.01
WITHOUT_CUSTOMER = 0.06  # of the sessions
OVER_MIDNIGHT = 0.03  # of the sessions: a burst of events around the end of the day
BATCHES_AGAIN = 0.2  # of the files: some of their rows arrive again in another file
SMALLEST_SPOILED_FILE = 100  # rows; below it one malformed row would be a large share

_ENDINGS = {"web": "csv", "ios": "jsonl", "android": "parquet", "kiosk": "csv.gz"}
_CLIENTS, _CLIENT_WEIGHTS = list(_ENDINGS), [55, 22, 18, 5]
_BROWSERS = ["Chrome", "Firefox", "Safari", "Edge"]
_SYSTEMS = {"web": ["Windows", "macOS", "Linux"], "ios": ["iOS"], "android": ["Android"], "kiosk": ["Linux"]}
# No model knows the last one.
_TYPES = ["page_view", "product_view", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase", "hover"]
_TYPE_WEIGHTS = [45, 25, 10, 8, 2, 5, 4, 0.3]
_PAGES = {
    "page_view": ["home", "category", "help", "account"],
    "product_view": ["product"],
    "search": ["search"],
    "add_to_cart": ["product"],
    "remove_from_cart": ["cart"],
    "checkout": ["checkout"],
    "purchase": ["confirmation"],
}
_CAMPAIGNS = [
    ("mail", "email", "autumn"),
    ("search", "cpc", "brand"),
    ("social", "paid", "shoes"),
    ("partner", None, None),
]
_TERMS = ["shoes", "red shoes", "coat, wool", 'screen 24"', "café"]
_HOUR_WEIGHTS = [2, 1, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 9, 9, 8, 8, 8, 9, 10, 12, 13, 12, 9, 5]


def simulate(inbox_dir: Path, window: Window, scale: float, random: Random) -> None:
    """Writes `clickstream/clickstream-<client>-<day>.<ending>`, and some batches again, as `…-again.<ending>`.

    Args:
        scale: 1 is some 1,500 rows a day.
        random: the same state gives the same bytes.
    """
    last_day = max(window.days())
    rows_by_client: dict[str, dict[date, list[Row]]] = {
        client: {day: [] for day in window.days()} for client in _CLIENTS
    }
    for client, at, row in _events(window, scale, random):
        if at.date() in rows_by_client[client]:  # drop events after the last midnight
            rows_by_client[client][at.date()].append(row)
    for client, rows_by_day in rows_by_client.items():
        ending = _ENDINGS[client]
        for day, rows in deliver(rows_by_day, last_day, random, LATE, REDELIVERED).items():
            if not rows:
                continue
            random.shuffle(rows)  # clients send when they can, so a file is unordered
            again = rows[: len(rows) // 3] if random.random() < BATCHES_AGAIN else []
            if ending != "parquet" and len(rows) >= SMALLEST_SPOILED_FILE:
                rows = spoil(rows, random, MALFORMED, _SPOILERS)
            folder = inbox_dir / CLICKSTREAM.name
            write_rows(folder / f"clickstream-{client}-{day}.{ending}", rows, CLICKSTREAM.columns)
            if again:
                write_rows(folder / f"clickstream-{client}-{day}-again.{ending}", again, CLICKSTREAM.columns)


def _events(window: Window, scale: float, random: Random) -> Iterator[tuple[str, datetime, Row]]:
    """All events, each with its client and time."""
    customers = max(2, round(CUSTOMERS * scale))
    for number in range(max(1, round(BOTS * scale))):
        yield from _bot(f"bot-{number}", window, random)
    for day in window.days():
        weekend = 0.8 if day.weekday() >= 5 else 1.0
        for _ in range(round(SESSIONS_PER_DAY * scale * weekend * random.uniform(0.9, 1.1))):
            known = random.random() >= WITHOUT_CUSTOMER
            yield from _session(f"customer-{random.randrange(customers)}" if known else None, day, random)


def _session(customer: str | None, day: date, random: Random) -> Iterator[tuple[str, datetime, Row]]:
    client = random.choices(_CLIENTS, _CLIENT_WEIGHTS)[0]
    visit = _visit(customer, client, random)
    at = _midnight(day)
    if random.random() < OVER_MIDNIGHT:
        at += ONE_DAY - timedelta(milliseconds=random.randrange(120_000))
        pauses = [random.randrange(30_000) for _ in range(random.randint(4, 15))]
    else:
        at += timedelta(hours=random.choices(range(24), _HOUR_WEIGHTS)[0], milliseconds=random.randrange(3_600_000))
        pauses = [int(random.expovariate(1 / 90_000)) for _ in range(int(random.expovariate(0.2)))]
    yield client, at, _event(visit, at, random, campaign=random.random() < 0.4)
    for pause in pauses:
        at += timedelta(milliseconds=pause)
        yield client, at, _event(visit, at, random)


def _bot(name: str, window: Window, random: Random) -> Iterator[tuple[str, datetime, Row]]:
    """The events of a bot that is never idle, from the first day to the last."""
    visit, at = _visit(name, "web", random), _midnight(window.start)
    while at.date() < window.end:
        at += timedelta(seconds=random.randint(300, 1_790))
        yield "web", at, _event(visit, at, random)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _visit(customer: str | None, client: str, random: Random) -> Row:
    """The columns that all events of a visit share."""
    is_app = client in ("ios", "android")
    return {
        "customer_id": customer,
        "device": "mobile" if is_app else random.choice(["desktop", "desktop", "tablet", "mobile"]),
        "browser": None if is_app else random.choice(_BROWSERS),
        "operating_system": random.choice(_SYSTEMS[client]),
        "app_version": random.choice(["5.1.0", "5.2.0"]) if is_app else None,
        "session_id": f"{random.getrandbits(48):012x}" if random.random() < 0.9 else None,
    }


def _event(visit: Row, at: datetime, random: Random, *, campaign: bool = False) -> Row:
    event_type = "page_view" if campaign else random.choices(_TYPES, _TYPE_WEIGHTS)[0]
    return {
        "event_id": str(uuid.UUID(int=random.getrandbits(128), version=4)),
        "event_timestamp": f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}",
        "event_type": event_type,
        "page_type": random.choice(_PAGES.get(event_type, [""])) or None,
        "event_details": _details(event_type, random, campaign=campaign),
        **visit,
    }


def _details(event_type: str, random: Random, *, campaign: bool) -> str | None:
    held: dict[str, str] = {}
    if event_type in ("product_view", "add_to_cart", "remove_from_cart"):
        held["product_id"] = f"product-{random.randrange(500)}"
    if event_type == "search":
        held["search_term"] = random.choice(_TERMS)
    if campaign:
        named = zip(("utm_source", "utm_medium", "utm_campaign"), random.choice(_CAMPAIGNS), strict=True)
        held |= {name: value for name, value in named if value}
    return json.dumps(held, ensure_ascii=False) if held else None


_SPOILERS: list[Callable[[Row], Row]] = [
    lambda row: {**row, "event_timestamp": str(row["event_timestamp"])[:8] + "32" + str(row["event_timestamp"])[10:]},
    lambda row: {**row, "event_id": None},
]
