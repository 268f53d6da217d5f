"""Faults that were reported of tools like this one, all in one inbox at once, each with what should come of it.

Nothing here holds anything else up: the files lie side by side, are landed in one go and made in one go, and each of
them must come out as if it were alone. Each case makes its files, and says what of them counts.
"""

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.defs.consent.sources import COMPANIES, CONSENT_EVENTS
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.spec.source import Source
from analytics_assets.state.check_results import CheckResults
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.project import WITHOUT_REPORTS, Project

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 14)
NOON = datetime(2026, 1, 5, 12)
CLICK_COLUMNS = list(CLICKSTREAM.columns)
EVENT_COLUMNS = [column for column in CONSENT_EVENTS.columns if column != "USER_ID"]


def click(identity: object, at: object = NOON, **values: object) -> dict[str, object]:
    row = {"event_id": identity, "customer_id": f"customer of {identity}", "event_timestamp": at}
    return dict.fromkeys(CLICK_COLUMNS, "x") | row | {"event_details": ""} | values


def consent(identity: object, **values: object) -> dict[str, object]:
    row = {"EVENT_ID": identity, "TYPE": "pageview", "RATE": 0.5, "COUNT": 1, "APIKEY": "shop", "CONSENT": "empty"}
    return dict.fromkeys(EVENT_COLUMNS, "x") | {"EVENT_TIME": NOON, "WINDOW_START": NOON} | row | values


def campaign(identity: str, **metrics: str) -> str:
    """A line of a pull; the metrics are JSON numbers as they are written."""
    figures = {"impressions": "1000", "clicks": "10", "conversions": "1", "cost": "1.5", "revenue": "3.0"} | metrics
    line = ", ".join(f'"{name}": {number}' for name, number in figures.items())
    record = {
        "id": identity,
        "name": "n",
        "platform": "search",
        "last_updated_at": "2026-01-06T01:00:00Z",
        "metrics": [{"date": "2026-01-05", "country": "FR", "currency": "EUR", "figures": "here"}],
    }
    text = json.dumps({"pulled_at": "2026-01-06T06:00:00Z", "page": 1, "record": record})
    return text.replace('"figures": "here"', line) + "\n"


def csv(rows: list[dict[str, object]], header: str | None = None, end: str = "\n") -> bytes:
    lines = [header or ",".join(rows[0]), *(",".join(map(_field, row.values())) for row in rows)]
    return "".join(line + end for line in lines).encode()


def _field(value: object) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n\r') else text


def json_lines(rows: list[dict[str, object]], end: str = "\n") -> bytes:
    return "".join(json.dumps(row, default=str) + end for row in rows).encode()


def packed_rows(rows: list[dict[str, object]], **types: pa.DataType) -> bytes:
    """Parquet, with some columns of types of their own."""
    table = pa.table(
        {name: pa.array([row[name] for row in rows], types.get(name, _plain(rows[0][name]))) for name in rows[0]}
    )
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _plain(value: object) -> pa.DataType | None:
    return pa.timestamp("us") if isinstance(value, datetime) else None


def snapshot(industry: str) -> bytes:
    return f"{','.join(COMPANIES.columns)}\nshop,{industry},x,FR\n".encode()


@dataclass(frozen=True)
class Case:
    """Files of one source, and what of them should count.

    Attributes:
        files: contents by the path below the source's folder, which is made unique by the case's name.
        accepted: how many records count.
        rejected: how many lines are in the rejects.
        refused: for files that are refused as a whole, what the reason must say.
        values: of accepted rows, what some column holds, by key.
    """

    source: Source
    files: Mapping[str, bytes]
    accepted: int = 0
    rejected: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, tuple[str, object]] = field(default_factory=dict)


MANY = [click(f"many-{number}", NOON + timedelta(seconds=number)) for number in range(400)]
OPEN_QUOTE = csv([click(f"open-{number}") for number in range(400)]).replace(b"open-60,", b'"open-60,', 1)
LONG_RECORD = csv([click("long-1"), click("long-2", event_details="A" * 30_000)]).replace(b"AAA\n", b"AAA,more\n")
JAVA = [
    click(f"java-{number}", (NOON + timedelta(seconds=7 * number)).isoformat().removesuffix(":00") + "Z")
    for number in range(360)
]
SPELLED = {
    "2026-01-05 10:15:01+00": True,
    "2026-01-05 10:15:01 +0000": True,
    "2026-01-05T10:15:01+0000": True,
    "26-01-05 10:00:00": False,
    "2026-01-05T10:15Z": True,
    "2026-01-05T10:15+02:00": True,
    "2026-01-05T10:00:00.123456789Z": True,
    "1767607200": False,
    "2026-01-05 24:61:00": False,
    "2026-01-05 23:59:60": True,  # a leap second is the next midnight
    "2026-01-05 24:00:00": False,
    "2026-01-05t12:00:00z": False,
    "2026-01-05 12:00:00,123": False,
}
OBJECTS = [click(f"object-{number}") for number in range(5)]
ARRAY = [click(f"array-{number}") for number in range(3)]
PRETTY = [click(f"pretty-{number}") for number in range(3)]

CASES: dict[str, Case] = {
    "a packed file that is cut off": Case(
        CLICKSTREAM,
        {"a.csv.gz": gzip.compress(csv(MANY))[: int(len(gzip.compress(csv(MANY))) * 0.6)]},
        refused={"a.csv.gz": "ends in the middle"},
    ),
    "a packed file without its checksum": Case(
        CLICKSTREAM, {"a.csv.gz": gzip.compress(csv(MANY))[:-8]}, refused={"a.csv.gz": "ends in the middle"}
    ),
    "zeros behind a packed file": Case(
        CLICKSTREAM, {"a.csv.gz": gzip.compress(csv([click("zeros-1"), click("zeros-2")])) + bytes(512)}, accepted=2
    ),
    "a packed file in two members": Case(
        CLICKSTREAM,
        {
            "a.csv.gz": gzip.compress(csv([click("member-1")]))
            + gzip.compress(csv([click("member-2")]).partition(b"\n")[2])
        },
        accepted=2,
    ),
    "a quote that is never closed": Case(CLICKSTREAM, {"a.csv": OPEN_QUOTE}, accepted=60, rejected=340),
    "a long record with a field too many": Case(CLICKSTREAM, {"a.csv": LONG_RECORD}, accepted=1, rejected=1),
    "objects on one line": Case(
        CLICKSTREAM,
        {
            "a.jsonl": json_lines(OBJECTS, end=""),
            "b.jsonl": json.dumps(ARRAY, default=str).encode(),
            "c.jsonl": json.dumps(PRETTY, default=str, indent=1).encode(),
        },
        accepted=11,
    ),
    "headers that differ in case": Case(
        CLICKSTREAM,
        {"a.csv": csv([click("case-1") | {"Device": "TABLET"}, click("case-2") | {"Device": "TABLET"}])},
        accepted=2,
        values={"case-1": ("_extra", '{"Device":"TABLET"}')},
    ),
    "commas at the end of lines": Case(
        CLICKSTREAM,
        {
            "a.csv": csv([click("comma-1"), click("comma-2")], end=",\n"),
            "b.csv": csv([click("comma-3"), click("comma-4")], end=",,\n"),
        },
        accepted=4,
        values={"comma-1": ("_extra", None), "comma-3": ("_extra", None)},
    ),
    "bytes where text is meant": Case(
        CLICKSTREAM,
        {
            "a.parquet": packed_rows(
                [click(f"bytes-{text!r}", page_type=text) for text in (b"home", b"caf\xe9", b"shop")],
                page_type=pa.binary(),
            )
        },
        accepted=2,
        rejected=1,
    ),
    "categories of texts": Case(
        CONSENT_EVENTS,
        {
            "a.parquet": packed_rows(
                [consent(f"category-{count}", COUNT=count, RATE="0.5") for count in ("15", "12", "30")],
                COUNT=pa.dictionary(pa.int32(), pa.string()),
                RATE=pa.dictionary(pa.int32(), pa.string()),
            )
        },
        accepted=3,
        values={"category-15": ("COUNT", 15), "category-12": ("COUNT", 12)},
    ),
    "counts as decimals": Case(
        CONSENT_EVENTS,
        {
            "a.parquet": packed_rows(
                [consent(f"decimal-{count}", COUNT=Decimal(count)) for count in ("2.50", "3.00", "0.99")],
                COUNT=pa.decimal128(10, 2),
            )
        },
        accepted=1,
        rejected=2,
        values={"decimal-3.00": ("COUNT", 3)},
    ),
    "seconds since 1970": Case(
        CLICKSTREAM,
        {
            "ms.parquet": packed_rows([click(f"ms-{n}", 1767607200000 + n) for n in range(3)]),
            "s.parquet": packed_rows([click(f"s-{n}", 1767607200 + n) for n in range(3)]),
            "f.parquet": packed_rows([click(f"f-{n}", 1767607200.0 + n) for n in range(3)]),
            "j.jsonl": json_lines([click(f"j-{n}", 1767607200000 + n) for n in range(3)]),
        },
        rejected=12,
    ),
    "ids as fractions": Case(
        CLICKSTREAM,
        {
            "a.csv": csv([click(f"{n}", customer_id=12345678900 + n, event_details="same") for n in range(1000, 1003)]),
            "b.parquet": packed_rows(
                [click(float(n), customer_id=12345678900.0 + n, event_details="same") for n in range(1000, 1003)],
                event_id=pa.float64(),
                customer_id=pa.float64(),
            ),
        },
        accepted=6,
        values={"1000": ("customer_id", "12345679900")},
    ),
    "a list where text is meant": Case(
        CLICKSTREAM,
        {
            "a.parquet": packed_rows(
                [click(f"list-{n}", event_details=texts) for n, texts in enumerate((["a", "b"], [], None))],
                event_details=pa.list_(pa.string()),
            )
        },
        accepted=3,
        values={"list-0": ("event_details", '["a", "b"]'), "list-2": ("event_details", None)},
    ),
    "no number and no end": Case(
        CONSENT_EVENTS,
        {
            "a.parquet": packed_rows(
                [consent(f"nan-{rate}", RATE=rate) for rate in (float("nan"), 0.5, float("inf"))]
            ),
            "b.csv": csv([consent(f"nan-text-{rate}", RATE=rate) for rate in ("nan", "0.5", "inf")]),
        },
        accepted=2,
        rejected=4,
    ),
    "a structure where text is meant": Case(
        CLICKSTREAM,
        {
            "a.parquet": packed_rows(
                [
                    click(f"struct-{n}", event_details=dict(utm_source="news", utm_medium="mail", utm_campaign="jan"))
                    for n in range(3)
                ]
            )
        },
        accepted=3,
    ),
    "a structure where a time is meant": Case(
        CLICKSTREAM,
        {"a.parquet": packed_rows([click(f"union-{n}", {"member0": NOON}) for n in range(3)])},
        rejected=3,
    ),
    "whole numbers with an exponent": Case(
        CAMPAIGNS,
        {
            "a.jsonl": "".join(
                [
                    campaign("exponent-1", impressions="1e3"),
                    campaign("exponent-2", cost="1e-05"),
                    campaign("exponent-3", cost="1E2", impressions="1.5e+03"),
                ]
            ).encode()
        },
        accepted=3,
        values={"exponent-1": ("impressions", 1000), "exponent-2": ("cost", Decimal("0.000010"))},
    ),
    "times as BigQuery writes them": Case(
        CLICKSTREAM,
        {"a.csv": csv([click("bq-1", "2026-01-05 10:15:01 UTC"), click("bq-2", "2026-01-05 10:15:02.123456 UTC")])},
        accepted=2,
        values={"bq-1": ("event_timestamp", datetime(2026, 1, 5, 10, 15, 1))},
    ),
    "times in other ways": Case(
        CLICKSTREAM,
        {"a.csv": csv([click(f"spelled {text}", text) for text in SPELLED])},
        accepted=sum(SPELLED.values()),
        rejected=len(SPELLED) - sum(SPELLED.values()),
        values={"spelled 2026-01-05T10:15+02:00": ("event_timestamp", datetime(2026, 1, 5, 8, 15))},
    ),
    "times as Java writes them": Case(CLICKSTREAM, {"a.jsonl": json_lines(JAVA)}, accepted=360),
    "the least time there is": Case(
        CLICKSTREAM,
        {"a.csv": csv([click("least-1"), click("least-2", "0001-01-01T00:00:00+02:00"), click("least-3")])},
        accepted=2,
        rejected=1,
    ),
    "the end of time": Case(
        CLICKSTREAM,
        {"a.csv": csv([click("end-1"), click("end-2", "9999-12-31T23:59:59-05:00"), click("end-3")])},
        accepted=2,
        rejected=1,
    ),
    "a number that means nothing": Case(
        CONSENT_EVENTS,
        {
            "a.csv": csv(
                [
                    consent("sentinel-1"),
                    consent("sentinel-2", COUNT=9223372036854775807, RATE="0.000001"),
                    consent("sentinel-3", EVENT_TIME=NOON + timedelta(days=1)),
                ]
            )
        },
        accepted=2,
        rejected=1,
    ),
    "one event told in two ways": Case(
        CLICKSTREAM, {"a.csv": csv([click("twice", device="phone"), click("twice", device="tablet")])}, accepted=2
    ),
    "a good file": Case(CLICKSTREAM, {"a.csv": csv([click("good-1"), click("good-2")])}, accepted=2),
    "snapshots in folders": Case(
        COMPANIES,
        {f"date=2026-01-0{day}/part-0.csv": snapshot(f"HIVE-{day}") for day in (2, 4)},
        accepted=2,
    ),
    "snapshots with underscores": Case(
        COMPANIES,
        {f"companies_2026_01_{day}_1767607200000_0.csv": snapshot(f"UNDER-{day}") for day in ("06", "08")},
        accepted=2,
    ),
    "snapshots with the day first": Case(
        COMPANIES,
        {"companies-10-01-2026.csv": snapshot("DMY")},
        refused={"companies-10-01-2026.csv": "10-01-2026"},
    ),
}  # fmt: skip

PREFIX = {"clickstream": "clickstream", "consent_events": "events", "campaigns": "campaigns"}


def paths_of(name: str) -> dict[str, str]:
    """The path of each file of a case in the inbox, by its name in the case."""
    case, number = CASES[name], list(CASES).index(name)
    if case.source is COMPANIES:
        return {file: file for file in case.files}
    return {file: f"{PREFIX[case.source.name]}-{number}-{file}" for file in case.files}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All files of all cases, landed and made in one go."""
    folder = tmp_path_factory.mktemp("faults") / "data"
    project = Project(folder, WITHOUT_REPORTS, {"start_date": FIRST, "end_date": LAST})
    for name, case in CASES.items():
        for file, path in paths_of(name).items():
            project.drop(case.source.name, path, case.files[file])
    project.settle()
    return project


@pytest.mark.parametrize("name", CASES)
def test_each_comes_out_right_or_is_named(landed: Project, name: str) -> None:
    case = CASES[name]
    paths, ledger = paths_of(name), Ledger(landed.settings.lake_dir)
    accepted, refused = ledger.current_paths(case.source), ledger.unreadable(case.source)
    assert {path for path in paths.values() if path in refused} == {paths[file] for file in case.refused}
    assert all(said in refused[paths[file]] for file, said in case.refused.items()), refused
    assert sum(accepted.get(path, 0) for path in paths.values()) == case.accepted
    assert rejected_lines(landed, case.source, set(paths.values())) == case.rejected
    rows = landed.frame(f"raw_{case.source.name}").filter(pl.col("_source_file").is_in(list(paths.values())))
    if case.source is not COMPANIES:
        assert rows.height == case.accepted
    for key, (column, value) in case.values.items():
        assert rows.filter(pl.col(case.source.primary_key[0]) == key)[column][0] == value


def rejected_lines(project: Project, source: Source, paths: set[str]) -> int:
    files = (project.settings.rejects_dir / source.name).glob("*.parquet")
    return sum(pl.read_parquet(file).filter(pl.col("file").is_in(list(paths)))["lines"].sum() for file in files)


@pytest.mark.parametrize("source", [CLICKSTREAM, CONSENT_EVENTS, CAMPAIGNS, COMPANIES], ids=lambda source: source.name)
def test_the_books_of_all_of_them_add_up(landed: Project, source: Source) -> None:
    assert reconcile(source, landed.declared, datetime.now(UTC)).faults == []


def test_ids_as_fractions_are_the_same_events(landed: Project) -> None:
    """Delivered twice, in two spellings: three events, of three customers."""
    staged = landed.frame("stg_clickstream").filter(pl.col("event_id").str.contains(r"^100\d"))
    assert sorted(staged["event_id"]) == ["1000", "1001", "1002"]


def test_duplicates_that_differ_are_named_with_their_day(landed: Project) -> None:
    found = CheckResults(landed.settings.lake_dir).read(landed.window)
    (failed,) = [check for (_, name), check in found.items() if name == "duplicate_clicks_agree" and check]
    assert (failed.days, failed.is_error) == ((NOON.date(),), False)
    assert "event_id twice" in failed.finding


def test_a_structure_says_where_a_visit_came_from(landed: Project) -> None:
    sessions = landed.frame("mart_sessions").filter(pl.col("customer_id").str.starts_with("customer of struct"))
    assert set(sessions.select("utm_source", "utm_medium", "utm_campaign").rows()) == {("news", "mail", "jan")}
    assert sessions.height == 3


def test_each_day_takes_the_snapshot_that_its_name_says(landed: Project) -> None:
    companies = landed.frame("stg_companies").sort("the_day")
    held = dict(companies.select("the_day", "industry_back").rows())
    expected = ["HIVE-2"] * 3 + ["HIVE-4"] * 2 + ["UNDER-06"] * 2 + ["UNDER-08"] * 7
    assert [held[FIRST + timedelta(days=number)] for number in range(14)] == expected


def test_a_quote_that_swallows_many_lines_fails_a_check_of_its_own(landed: Project) -> None:
    """340 of 400 lines may be less than the allowed share of a large file: that check is not enough."""
    rejects = pl.concat(
        [pl.read_parquet(file) for file in (landed.settings.rejects_dir / "clickstream").glob("*.parquet")]
    )
    (text,) = rejects.filter(pl.col("lines") > 1)["text"]
    assert [line.strip('"').split(",")[0] for line in text.splitlines()] == [f"open-{n}" for n in range(60, 400)]
