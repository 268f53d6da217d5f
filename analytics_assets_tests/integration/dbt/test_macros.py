"""The macros that the warehouses have variants of, each on rows worked out by hand, on DuckDB and on BigQuery.

BigQuery is an emulator here, DuckDB inside: it shows that our SQL says what is meant, not that Google's engine agrees.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from google.cloud import bigquery

from analytics_assets.dbt.project import DBT_PROJECT_DIR
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.warehouse.bigquery.api import api_of
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import Reader, Warehouse
from analytics_assets_tests.support.emulator import emulating
from analytics_assets_tests.support.inline import as_on_duckdb, filled_in, reading, settings_on, typed
from analytics_assets_tests.support.project import test_settings

WINDOW = Window(date(2024, 2, 28), date(2024, 3, 2))  # over a leap day


@dataclass(frozen=True)
class Case:
    """What some macros make of some rows.

    Attributes:
        macros: those with variants that it is about.
        sql: a query of the table `given`, in which macros may be called.
        columns: of `given`, with their types; its column n numbers the rows.
        given: the rows.
        expected: what the query gives.
        on_bigquery: the same there, where it differs; the comment says why.
    """

    macros: Sequence[str]
    sql: str
    columns: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[Sequence[Any]] = ()
    expected: Sequence[Any] = ()
    on_bigquery: Sequence[Any] | None = None

    def text(self, warehouse: Warehouse) -> str:
        """The query with its rows, for dbt to fill in the macros."""
        if not self.columns:
            return self.sql
        selects = []
        for number, row in enumerate(self.given):
            of_row = zip(row, self.columns.items(), strict=True)
            values = [f"{typed(value, kind, warehouse)} as {name}" for value, (name, kind) in of_row]
            selects.append(f"select {', '.join([f'{number} as n', *values])}")
        rows = " union all ".join(selects)
        return f"with given as ({rows}) {self.sql}"


def of_each(macro: str, call: str, kind: str, *pairs: tuple[Any, Any]) -> Case:
    """A macro of one value: what it makes of each."""
    given, expected = zip(*pairs, strict=True)
    sql = f"select {call} as found from given order by n"
    return Case([macro], sql, {"x": kind}, [[value] for value in given], expected)


AMOUNT = "decimal(38, 9)"
T = "2024-02-29 12:00:00"
BEFORE, FIRST, LAST = date(2024, 2, 27), WINDOW.start, date(2024, 3, 1)

CASES = {
    "json_text": of_each(
        "json_text",
        "{{ json_text('x', 'a') }}",
        "varchar",
        ('{"a": "x"}', "x"),
        ('{"b": 1}', None),
        ('{"a": null}', None),
        ('{"a": ""}', ""),
        ('{"a": 12}', "12"),
        ('{"a": 1.5}', "1.5"),
        ('{"a": true}', "true"),
        ('{"a": {"b": "x"}}', None),
        ('{"a": ["x"]}', None),
        ('{"b": {"a": "x"}}', None),
        ('{"A": "x"}', None),  # names are told apart by their case
        ('{"a": "x", "a": "y"}', "x"),
        (' {"a" : "x"}\n', "x"),
        (r'{"a": "quote \" and \\ and \n and \u00e9 and \ud83d\ude00"}', 'quote " and \\ and \n and é and 😀'),
        ('{"a": "e\u0301"}', "e\u0301"),  # not brought into another form of Unicode
        ('{"a": "it\'s"}', "it's"),
        ('{"a": 0.1234567890123456789012345}', "0.12345678901234568"),
        ('{"a": "x"', None),
        ("{'a': 'x'}", None),
        ("a", None),
        ('"a"', None),
        ('["a"]', None),
        ("null", None),
        ("", None),
        (None, None),
    ),
    "first_of_month": of_each(
        "first_of_month",
        "{{ first_of_month('x') }}",
        "date",
        (date(2024, 2, 29), date(2024, 2, 1)),
        (date(2024, 3, 1), date(2024, 3, 1)),
        (date(2024, 12, 31), date(2024, 12, 1)),
        (None, None),
    ),
    "monday_of": of_each(
        "monday_of",
        "{{ monday_of('x') }}",
        "date",
        (date(2024, 2, 26), date(2024, 2, 26)),
        (date(2024, 3, 2), date(2024, 2, 26)),
        (date(2024, 3, 3), date(2024, 2, 26)),  # a Sunday
        (date(2024, 3, 4), date(2024, 3, 4)),
        (date(2025, 1, 1), date(2024, 12, 30)),
        (None, None),
    ),
    "utc_timestamp": of_each(
        "utc_timestamp",
        "{{ utc_timestamp('x') }}",
        "varchar",
        ("2024-02-29T12:00:00Z", datetime(2024, 2, 29, 12)),
        ("2024-02-29T12:00:00.123Z", datetime(2024, 2, 29, 12, 0, 0, 123000)),
        ("2024-02-29T12:00:00.123456Z", datetime(2024, 2, 29, 12, 0, 0, 123456)),
        ("2024-02-29T12:00:00.123456789Z", datetime(2024, 2, 29, 12, 0, 0, 123456)),  # as Java writes it
        ("2024-02-29T12:00:00+02:00", datetime(2024, 2, 29, 10)),
        ("2024-03-01T01:30:00+0530", datetime(2024, 2, 29, 20)),
        ("2024-02-29 12:00:00-08", datetime(2024, 2, 29, 20)),
        ("2024-02-29 12:00:00 UTC", datetime(2024, 2, 29, 12)),  # as BigQuery writes it
        ("2024-02-29T12:00:00", datetime(2024, 2, 29, 12)),
        ("2024-02-29", datetime(2024, 2, 29)),
        (" 2024-02-29 12:00:00 ", datetime(2024, 2, 29, 12)),
        ("1969-12-31T23:59:59.999999Z", datetime(1969, 12, 31, 23, 59, 59, 999999)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("2023-02-29T12:00:00Z", None),  # no leap year
        ("0000-00-00 00:00:00", None),
        ("2024-02-29T24:00:00Z", None),
        ("2024-02-29T23:59:60Z", None),
        ("2024-02-29T12:00Z", None),
        ("2024-02-29 12:00", None),
        ("2024-02-29T12:00:00+2", None),
        ("2024-02-29T12:00:00+15:00", None),
        ("2024-02-29 12:00:00 Europe/Paris", None),
        ("29.02.2024", None),
        ("2024/02/29", None),
        ("24-02-29", None),
        ("10000-01-01", None),
        ("1709208000", None),
        ("infinity", None),
        ("epoch", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ),
    "first_code": of_each(
        "first_code",
        "{{ first_code('x') }}",
        "varchar",
        ("FR", "FR"),
        ("FR,US", "FR"),
        ("FR-IDF,US", "FR-IDF"),
        (",US", ""),
        ("", ""),
        (None, "unknown"),
    ),
    "codes": of_each(
        "codes",
        "{{ codes('x') }}",
        "varchar",
        ("FR", "FR"),
        ('"FR"', "FR"),
        ('["fr", "us"]', "FR,US"),
        ("'fr'; 'us' | de", "FR,US,DE"),
        ('"FR","","US"', "FR,US"),
        (",;FR,|,", "FR"),
        ("fr-idf", "FR-IDF"),
        ("FR\tUS", "FRUS"),  # a blank is no separator
        ("FR\\US", "FRUS"),
        ("ﬁ, ß, ı, É, 日本, F😀R", "FR"),  # what only some warehouses make capitals of A to Z of
        ('""', None),
        ("[]", None),
        (" ,; ", None),
        ("", None),
        (None, None),
    ),
    "left_join_codes": Case(
        ["left_join_codes", "is_first_code"],
        "select n, code, {{ is_first_code() }} as is_first from given {{ left_join_codes('given.x') }}"
        " order by n, code_number",
        {"x": "varchar"},
        [["FR"], ["US,FR,US"], [""], [None]],
        [
            (0, "FR", True),
            (1, "US", True),
            (1, "FR", False),
            (1, "US", False),
            (2, "", True),
            (3, None, True),
        ],
    ),
    "trimmed": of_each(
        "trimmed",
        "{{ trimmed('x') }}",
        "varchar",
        ("x", "x"),
        ("  x y  ", "x y"),
        ("\t\n\v\f\r\u00a0x\u00a0 \r\n", "x"),
        ("a\tb\u00a0c", "a\tb\u00a0c"),
        ("\u2003x", "\u2003x"),  # other blanks of Unicode stay
        ("\\t x \\n", "\\t x \\n"),  # these are letters
        (" 😀e\u0301 ", "😀e\u0301"),
        (" \t\u00a0", None),
        ("", None),
        (None, None),
    ),
    "milliseconds_between": Case(
        ["milliseconds_between"],
        "select {{ milliseconds_between('x', 'y') }} as found from given order by n",
        {"x": "timestamp", "y": "timestamp"},
        [
            [T, T],
            [T, "2024-02-29 12:00:01.5"],
            ["2024-02-29 12:00:01.5", T],
            [T, "2024-02-29 12:00:00.000999"],
            [T, "2024-02-29 12:00:00.001999"],
            ["2024-02-29 12:00:00.000999", T],
            ["2024-02-29 12:00:00.001999", T],
            ["2024-02-29 12:00:00.000999", "2024-02-29 12:00:00.001"],  # whole ones between them, no edges crossed
            ["2024-02-28 00:00:00", "2024-03-01 00:00:00"],
            ["1969-12-31 23:59:59.9995", "1970-01-01 00:00:00.0005"],
            ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"],
            [None, T],
            [T, None],
        ],
        [0, 1500, -1500, 0, 1, 0, -1, 0, 172_800_000, 1, 315_537_897_599_999, None, None],
    ),
    "median of amounts": Case(
        ["median"],
        "select g, {{ median('x') }} as found, 6 / {{ median('x') }} as six_over_it from given group by g order by g",
        {"g": "bigint", "x": AMOUNT},
        [
            *([1, x] for x in ("3", "1", "2")),
            *([2, x] for x in ("0.004", None, "0.001", "0.002", None, "9")),
            [3, "4"],
            [4, None],
            *([5, x] for x in (None, "-1", None)),
            *([6, x] for x in ("2", "2", "2", "8")),
        ],
        [(1, 2, 3), (2, Decimal("0.003"), 2000), (3, 4, 1.5), (4, None, None), (5, -1, -6), (6, 2, 3)],
    ),
    "median of whole numbers and fractions": Case(
        ["median"],
        "select {{ median('x') }} as of_x, {{ median('case when y > 0 then y end') }} as of_y from given",
        {"x": "bigint", "y": "double"},
        [[2, "0.5"], [1, "0.25"], [4, "-1"], [3, None]],
        [(2.5, 0.375)],
    ),
    "plus_minutes": Case(
        ["plus_minutes"],
        "select {{ plus_minutes('x', 30) }} as found,"
        " {{ plus_minutes('cast(cast(x as date) as timestamp)', '24 * 60') }} as next_day,"
        " {{ plus_minutes('x', -1) }} as before from given order by n",
        {"x": "timestamp"},
        [["2024-02-28 23:45:00.000001"], ["2023-12-31 23:30:00"], [None]],
        [
            (datetime(2024, 2, 29, 0, 15, 0, 1), datetime(2024, 2, 29), datetime(2024, 2, 28, 23, 44, 0, 1)),
            (datetime(2024, 1, 1), datetime(2024, 1, 1), datetime(2023, 12, 31, 23, 29)),
            (None, None, None),
        ],
    ),
    "plus_seconds": Case(
        ["plus_seconds"],
        "select {{ plus_seconds('x', 1) }} as found, {{ plus_seconds('x', '24 * 60 * 60') }} as next_day,"
        " {{ plus_seconds('x', 'case when x is null then 1 else -1 end') }} as before from given order by n",
        {"x": "timestamp"},
        [["2024-02-28 23:59:59.000001"], [None]],
        [
            (
                datetime(2024, 2, 29, 0, 0, 0, 1),
                datetime(2024, 2, 29, 23, 59, 59, 1),
                datetime(2024, 2, 28, 23, 59, 58, 1),
            ),
            (None, None, None),
        ],
    ),
    "days_between": Case(
        ["days_between"],
        "select {{ days_between('x', 'y') }} as found from given order by n",
        {"x": "date", "y": "date"},
        [
            ["2024-02-28", "2024-03-01"],
            ["2024-01-01", "2024-01-01"],
            ["2024-01-02", "2023-01-01"],
            [None, "2024-01-01"],
        ],
        [(2,), (0,), (-366,), (None,)],
    ),
    "minus_days": Case(
        ["minus_days"],
        "select {{ minus_days('x', 'd') }} as found, {{ minus_days('x', 1) }} as day_before from given order by n",
        {"x": "date", "d": "bigint"},
        [
            ["2024-03-01", 2],
            ["2023-03-01", 366],
            ["2024-01-01", 0],
            ["2024-02-29", -1],
            ["2024-01-01", None],
            [None, 1],
        ],
        [
            (date(2024, 2, 28), date(2024, 2, 29)),
            (date(2022, 2, 28), date(2023, 2, 28)),
            (date(2024, 1, 1), date(2023, 12, 31)),
            (date(2024, 3, 1), date(2024, 2, 28)),
            (None, date(2023, 12, 31)),
            (None, None),
        ],
    ),
    "value_at_first and value_at_last": Case(
        ["value_at_first", "value_at_last"],
        "select g, {{ value_at_first('x', 'y') }} as first_x, {{ value_at_last('x', 'y') }} as last_x"
        " from given group by g order by g",
        {"g": "bigint", "x": "varchar", "y": "bigint"},
        [
            *([1, x, y] for x, y in (("b", 2), ("a", 1), ("c", 3))),
            *([2, x, y] for x, y in (("b", 2), (None, 1), (None, 3))),  # null is a value
            *([3, x, y] for x, y in (("n", None), ("a", 1), ("b", 2), ("m", None))),  # null is no place
            *([4, x, y] for x, y in (("n", None), ("m", None))),
            *([5, x, y] for x, y in (("z", 0), ("y", -1), ("", 1))),
            [6, "a", 1],
        ],
        [(1, "a", "c"), (2, None, None), (3, "a", "b"), (4, None, None), (5, "y", ""), (6, "a", "a")],
    ),
    "value_at_first of ties": Case(
        ["value_at_first", "value_at_last"],
        "select {{ value_at_first('x', 'y') }} in ('a', 'b') as first_x, {{ value_at_last('x', 'y') }} in ('a', 'b')"
        " as last_x from given",
        {"x": "varchar", "y": "timestamp"},
        [["a", T], ["b", T], ["c", None]],
        [(True, True)],
    ),
    "exact_text": Case(
        ["exact_text"],
        "select {{ exact_text('whole', none) }} as of_whole, {{ exact_text('word', none) }} as of_word,"
        " {{ exact_text('flag', none) }} as of_flag, {{ exact_text('day', none) }} as of_day,"
        " {{ exact_text('moment', 'time') }} as of_moment from given order by n",
        {"whole": "bigint", "word": "varchar", "flag": "boolean", "day": "date", "moment": "timestamp"},
        [
            [-9223372036854775808, "é😀 \\ '", True, "2024-02-29", "1970-01-01 00:00:00.000001"],
            [100, "", False, "0001-01-01", "1969-12-31 23:59:59"],
            [0, "100", False, "9999-12-31", "9999-12-31 23:59:59.999999"],
            [None] * 5,
        ],
        [
            ("-9223372036854775808", "é😀 \\ '", "true", "2024-02-29", "1"),
            ("100", "", "false", "0001-01-01", "-1000000"),
            ("0", "100", "false", "9999-12-31", "253402300799999999"),
            (None,) * 5,
        ],
    ),
    "exact_text of decimals": Case(
        ["exact_text"],
        "select {{ exact_text('x', 'decimal') }} as found from given order by n",
        {"x": AMOUNT},
        [["100"], ["12.340"], ["-0.000000001"], ["0"], [None]],
        ["100", "12.34", "-0.000000001", "0", None],
        # The emulator leaves the zeros at the end, which BigQuery does not.
        ["100.000000000", "12.340000000", "-0.000000001", "0.000000000", None],
    ),
    "exact_text of fractions": Case(
        ["exact_text"],
        "select {{ exact_text('x', 'fraction') }} as found from given order by n",
        {"x": "double"},
        [["0.1"], ["0.10000000000000002"], ["100"], ["1e300"], [None]],
        ["0.10000000000000001", "0.10000000000000002", "100", "1.0000000000000001e+300", None],
        # The emulator knows no format(): see REFUSED. It tells them apart all the same.
        ["0.1", "0.10000000000000002", "100.0", "1e+300", None],
    ),
    "row_hash": Case(
        ["exact_text"],
        "select {{ row_hash(['x', 'y', 'z'], {'y': 'time'}) }} as found from given order by n",
        {"x": "varchar", "y": "timestamp", "z": "varchar"},
        [["é", "1970-01-01 00:00:01", ""], ["é", "1970-01-01 00:00:01", None], [None, None, None]],
        [hashlib.md5(text.encode()).hexdigest() for text in ("é␟1000000␟␟", "é␟1000000␟␀␟", "␀␟␀␟␀␟")],
    ),
    "days_of_window": Case(
        ["days_of_window"],
        "select the_day from (select the_day from {{ days_of_window() }} as days"
        " union all select the_day from {{ days_of_window(2) }} as more) as both_kinds order by the_day",
        expected=[
            date(2024, 2, 26),
            date(2024, 2, 27),
            *(day for day in (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)) for _ in range(2)),
        ],
    ),
    "type_of": Case(
        ["type_of"],
        "select cast('1' as {{ type_of('bigint') }}) + cast('0.000000001' as {{ type_of('decimal(38, 9)') }}) as found",
        expected=[Decimal("1.000000001")],
    ),
    "raw": Case(
        ["raw"],
        "select PUBLIC_API_KEY, _day from {{ raw('companies') }} where {{ in_window('_day') }}",
        expected=[("inside", date(2024, 2, 29))],
    ),
    "schema_of_layer": Case(
        ["schema_of_layer"],
        "select '{{ generate_schema_name('marts') }}' as found",
        expected=["marts"],
        on_bigquery=["analytics_marts"],  # datasets are named in their whole project
    ),
    "whole_times": Case(
        ["whole_times"],
        "select {{ whole_times('x', 'y - 1') }} as found, {{ whole_times(1000000000, 'y + 1') }} as of_a_number"
        " from given order by n",
        {"x": "bigint", "y": "bigint"},
        [[7, 3], [6, 3], [0, 8], [999_999_999_999_999_999, 2], [1_000_000_000_000_000_000, 1_000_000_000], [None, 2]],
        [
            (3, 250_000_000),
            (3, 250_000_000),
            (0, 111_111_111),
            (999_999_999_999_999_999, 333_333_333),  # more digits than a fraction of 64 bits has
            (1_000_000_001, 0),
            (None, 333_333_333),
        ],
    ),
    "matches": Case(
        ["matches"],
        "select {{ matches('x', 'y') }} as found from given order by n",
        {"x": "varchar", "y": "varchar"},
        [
            ["paid_social", "^(.*cp.*|ppc|retargeting|paid.*)$"],
            ["unpaid", "^(.*cp.*|ppc|retargeting|paid.*)$"],
            ["m.facebook.com", "(^|[.])(facebook|x)($|[.])"],
            ["xing", "(^|[.])(facebook|x)($|[.])"],
            ["(direct)", r"^\(direct\)$"],
            ["workshop", "^(.*(([^a-df-z]|^)shop|shopping).*)$"],
            ["the_shop", "^(.*(([^a-df-z]|^)shop|shopping).*)$"],
            ["a", ""],
            [None, "a"],
            ["a", None],
        ],
        [True, False, True, False, True, False, True, True, None, None],
    ),
    "newest_delivery": Case(
        [],
        "select for_day, k, v from {{ newest_delivery('given', ['for_day', 'k'], 'delivered_on') }} as found "
        "order by n",
        {"for_day": "date", "k": "varchar", "v": "bigint", "delivered_on": "date"},
        [
            (FIRST, "order", 1, BEFORE),
            (FIRST, "order", 2, BEFORE),
            (LAST, "order", 1, BEFORE),
            (LAST, "order", 2, BEFORE),
            (LAST, "order", 3, FIRST),  # the whole order, as it is now: its two lines are one
            (LAST, "other", 4, BEFORE),
        ],
        [(FIRST, "order", 1), (FIRST, "order", 2), (LAST, "order", 3), (LAST, "other", 4)],
    ),
    "with_withdrawn": Case(
        [],
        ", of_window as (select * from given where {{ in_window('delivered_on') }}) "
        "select delivered_on, k, v, is_withdrawn "
        "from {{ with_withdrawn('of_window', 'given', ['k'], ['v'], 'delivered_on') }} as found "
        "order by delivered_on, k, v",
        {"k": "varchar", "v": "bigint", "delivered_on": "date"},
        [
            ("long gone", 1, BEFORE - timedelta(days=1)),
            ("gone", 2, BEFORE),
            ("gone", 3, BEFORE),  # an order of two lines is one key
            ("stays", 4, BEFORE),
            ("stays", 5, FIRST),
            ("goes", 6, FIRST),
            ("gone", 7, LAST),
            ("stays", 8, LAST),
            ("stays", 9, LAST),
            ("not yet", 10, LAST + timedelta(days=1)),
        ],
        [
            (FIRST, "goes", 6, False),
            (FIRST, "gone", None, True),
            (FIRST, "stays", 5, False),
            (LAST, "goes", None, True),
            (LAST, "gone", 7, False),
            (LAST, "stays", 8, False),
            (LAST, "stays", 9, False),
        ],
    ),
}


RAW_DAYS = {
    day: pl.DataFrame({"_day": [day], "PUBLIC_API_KEY": [key]})
    for day, key in {date(2024, 2, 29): "inside", date(2024, 3, 2): "behind"}.items()
}
RAW_SCHEMA = [bigquery.SchemaField("_day", "DATE"), bigquery.SchemaField("PUBLIC_API_KEY", "STRING")]


@dataclass
class Tried:
    """A warehouse that has the raw days, and the query of each case for it."""

    settings: Settings
    reader: Reader
    queries: Mapping[str, str]


@pytest.fixture(scope="module", params=["duckdb", "bigquery"])
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "duckdb":
            settings = test_settings(folder)
            for day, row in RAW_DAYS.items():
                file = settings.raw_dir / "raw_companies" / f"_day={day}" / "data.parquet"
                file.parent.mkdir(parents=True)
                row.drop("_day").write_parquet(file)
        else:
            emulator = stack.enter_context(emulating())
            settings = settings_on(emulator, folder)
            client = stack.enter_context(api_of(settings).get_client())
            client.create_dataset("analytics_raw")
            table, file = "a-project.analytics_raw.raw_companies", folder / "day.parquet"
            for day, row in RAW_DAYS.items():
                row.write_parquet(file)
                emulator.load(client, file, table, day, RAW_SCHEMA, job_id="a-job")
        texts = [case.text(warehouse_of(settings)) for case in CASES.values()]
        queries = dict(zip(CASES, filled_in(texts, settings, WINDOW), strict=True))
        yield Tried(settings, stack.enter_context(reading(settings)), queries)


@pytest.mark.parametrize("name", CASES)
def test_a_macro_says_the_same_on_both_warehouses(tried: Tried, name: str) -> None:
    case = CASES[name]
    found = [tuple(map(as_on_duckdb, row)) for row in tried.reader.rows(tried.queries[name]).rows]
    on_bigquery = case.on_bigquery if tried.settings.warehouse == "bigquery" else None
    expected = case.expected if on_bigquery is None else on_bigquery
    assert found == [row if isinstance(row, tuple) else (row,) for row in expected], tried.queries[name]


# ------------------------------------------------------------------------------------------------------ all of them

MACRO = re.compile(r"^\{% macro (\w+)\(.*?\) -?%\}(.*?)\{%-? endmacro %\}", re.DOTALL | re.MULTILINE)
DISPATCHED = re.compile(r"adapter\.dispatch\('(\w+)'\)")


def macros() -> Iterator[tuple[str, str, str]]:
    """Name, body and what stands before it, of each macro of the project."""
    for file in sorted((DBT_PROJECT_DIR / "macros").glob("*.sql")):
        text = file.read_text()
        for found in MACRO.finditer(text):
            yield found[1], found[2], text[: found.start()]


def dispatched() -> dict[str, str]:
    """The macros that have variants, and what stands before the macro that chooses between them."""
    return {name: before for _, body, before in macros() for name in DISPATCHED.findall(body)}


def test_every_macro_with_variants_has_a_case() -> None:
    assert len(dispatched()) >= 16
    assert {macro for case in CASES.values() for macro in case.macros} == set(dispatched())


def test_every_macro_with_variants_is_documented_where_one_is_chosen() -> None:
    assert [name for name, before in dispatched().items() if not before.endswith("-#}\n")] == []


def test_every_macro_with_variants_has_one_for_each_warehouse() -> None:
    names = {name for name, _, _ in macros()}
    assert [name for name in dispatched() if f"bigquery__{name}" not in names] == []
    assert [name for name in dispatched() if not {f"default__{name}", f"duckdb__{name}"} & names] == []
