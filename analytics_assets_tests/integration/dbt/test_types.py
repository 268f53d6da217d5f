"""The types of contracts on both warehouses: what is written as one of them is read back, and the same on both.

BigQuery is an emulator here, DuckDB inside: it shows that we name and read the types right, not how Google's engine
rounds; what that does is said where it is expected.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.project import load_manifest
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.warehouse.bigquery.api import api_of
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import CannotRead, Reader, Warehouse
from analytics_assets_tests.support.emulator import emulating
from analytics_assets_tests.support.inline import as_on_duckdb, filled_in, reading, settings_on, typed
from analytics_assets_tests.support.project import test_settings

WINDOW = Window(date(2024, 2, 28), date(2024, 3, 2))


@dataclass(frozen=True)
class Value:
    """A value that is written.

    Attributes:
        written: as text, or null.
        expected: what is read back; the text itself without it.
        of: the type that it has before it becomes one of the column's.
        by: what is made of it, around {}.
    """

    written: str | None
    expected: Any = None
    of: str | None = None
    by: str = "{}"

    def text(self, kind: str, warehouse: Warehouse) -> str:
        """The value as an expression, for dbt to fill in."""
        made = self.by.format(typed(self.written, self.of or kind, warehouse))
        return f"cast({made} as {{{{ type_of('{kind}') }}}})"


TEXTS = (
    "",
    " ",
    "NULL",
    "\u00e9",
    "e\u0301",  # the same letter of two characters: it stays another text
    "😀 👨‍👩‍👧",
    "日本語",
    "'",
    '"',
    "''",
    "\\",
    "\\n \\' \\u00e9",  # letters all of them
    "a\nb\r\nc\td",
    "`a` -- b /* c */ ; %s ? @d {{ e }}",
    "\ufeff\u00a0\u200b",
    ' {"b": 1.0, "a":\t[1e2 , "\\u00e9"], "b": 2}\n',  # JSON is text, byte for byte
    "x" * 100_000,
)

LARGEST = "99999999999999999999999999999.999999999"
NEARLY = f"8{LARGEST[1:]}"  # the emulator reads no larger text, but adds up to more
REST = "cast('10000000000000000000000000000' as {{{{ type_of('decimal(38, 9)') }}}})"

VALUES: Mapping[str, Sequence[Value]] = {
    "varchar": [Value(None), *(Value(text, text) for text in TEXTS)],
    "bigint": [
        Value(None),
        Value("0", 0),
        Value("9223372036854775807", 2**63 - 1),
        Value("-9223372036854775808", -(2**63)),
    ],
    "decimal(38, 9)": [
        Value(None),
        Value("0", Decimal(0)),
        Value(NEARLY, Decimal(LARGEST), by=f"{{}} + {REST}"),
        Value(f"-{NEARLY}", Decimal(f"-{LARGEST}"), by=f"{{}} - {REST}"),
        Value("-0.000000001", Decimal("-0.000000001")),
        # A tenth digit is rounded half away from zero, by both: ZetaSQL's numeric_value_test.cc.
        Value("0.1234567885", Decimal("0.123456789")),
        Value("-0.1234567885", Decimal("-0.123456789")),
        Value("0.1234567884999", Decimal("0.123456788")),
        Value("0.00000000049", Decimal(0)),
        Value("0.1", Decimal("0.1"), of="double"),
        Value("1200.499", Decimal("1200.499"), of="double"),
        Value("0.0009765625", Decimal("0.000976563"), of="double"),  # 1/1024, which is exactly half a digit
        Value("-0.0009765625", Decimal("-0.000976563"), of="double"),
        Value("1200499", Decimal("1200.499"), of="bigint", by="{} / 1000"),
        Value("86399999", Decimal("86399.999"), of="bigint", by="{} / 1000"),
        Value("9223372036854775807", Decimal(2**63 - 1), of="bigint"),
    ],
    "double": [
        Value(None),
        Value("0.1", 0.1),
        Value("1.7976931348623157e308", 1.7976931348623157e308),
        Value("-5e-324", -5e-324),
        Value("1", 1 / 3, by="{} / 3"),
        Value("2", 0.666667, by="round({} / 3, 6)"),
        Value("0.0000005", 0.000001, by="round({}, 6)"),
        Value("-0.0000005", -0.000001, by="round({}, 6)"),
        Value("0.5", 0.5, of="decimal(38, 9)"),
    ],
    "timestamp": [
        Value(None),
        Value("2024-02-29 12:00:00.123456", datetime(2024, 2, 29, 12, 0, 0, 123456)),
        Value("1970-01-01 00:00:00", datetime(1970, 1, 1)),
        Value("1969-12-31 23:59:59.999999", datetime(1969, 12, 31, 23, 59, 59, 999999)),
        Value("0001-01-01 00:00:00", datetime(1, 1, 1)),
        Value("9999-12-31 23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        Value("2024-02-29", datetime(2024, 2, 29), of="date"),
    ],
    "date": [
        Value(None),
        Value("0001-01-01", date(1, 1, 1)),
        Value("2024-02-29", date(2024, 2, 29)),
        Value("9999-12-31", date(9999, 12, 31)),
        Value("1969-12-31 23:59:59.999999", date(1969, 12, 31), of="timestamp"),
    ],
    "boolean": [Value(None), Value("true", True), Value("false", False)],
}


@dataclass
class Tried:
    """A warehouse that can be written to, with a place for tables."""

    settings: Settings
    reader: Reader
    place: str

    def kept(self, kind: str, values: Sequence[Value]) -> list[Any]:
        """What is read from a table of one column that holds the values."""
        warehouse = warehouse_of(self.settings)
        rows = [f"select {number} as n, {value.text(kind, warehouse)} as x" for number, value in enumerate(values)]
        (query,) = filled_in([" union all ".join(rows)], self.settings, WINDOW)
        self.reader.rows(f"create or replace table {self.place}.kept as {query}")
        found = self.reader.rows(f"select x from {self.place}.kept order by n")
        return [as_on_duckdb(value) for (value,) in found.rows]


@pytest.fixture(scope="module", params=["duckdb", "bigquery"])
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "duckdb":
            settings, place = test_settings(folder), "main"
        else:
            settings, place = settings_on(stack.enter_context(emulating()), folder), "analytics_kept"
            stack.enter_context(api_of(settings).get_client()).create_dataset(place)
        yield Tried(settings, stack.enter_context(reading(settings)), place)


@pytest.mark.parametrize("kind", VALUES)
def test_what_is_written_is_read_back(tried: Tried, kind: str) -> None:
    values = VALUES[kind]
    kept = tried.kept(kind, values)
    assert kept == [value.expected for value in values]
    assert [type(value) for value in kept] == [type(value.expected) for value in values]


def test_a_time_of_bigquery_is_in_utc(tried: Tried) -> None:
    (moment,) = tried.reader.rows("select timestamp '2024-02-29 12:00:00' as x").rows[0]
    assert moment.tzinfo is None if tried.settings.warehouse == "duckdb" else moment.utcoffset().seconds == 0


@pytest.mark.parametrize("written", ["100000000000000000000000000000", "-100000000000000000000000000000"])
def test_an_amount_of_too_many_digits_is_refused_and_not_cut(tried: Tried, written: str) -> None:
    with pytest.raises((duckdb.ConversionException, CannotRead)):
        tried.kept("decimal(38, 9)", [Value(written)])


def test_every_type_of_a_contract_is_tried_and_has_a_name(tried: Tried) -> None:
    nodes = [node for node in load_manifest(tried.settings).raw["nodes"].values() if node["resource_type"] == "model"]
    contracts = [node["columns"] for node in nodes if node["config"]["contract"]["enforced"]]
    kinds = {column["data_type"] for columns in contracts for column in columns.values()}
    assert kinds == set(VALUES)
    names = filled_in([f"{{{{ type_of('{kind}') }}}}" for kind in sorted(kinds)], tried.settings, WINDOW)
    assert len({name.strip() for name in names}) == len(kinds)


def test_a_type_without_a_name_on_bigquery_is_told(tried: Tried) -> None:
    if tried.settings.warehouse == "duckdb":
        assert filled_in(["{{ type_of('hugeint') }}"], tried.settings, WINDOW) == ["hugeint"]
        return
    with pytest.raises(DbtError) as told:
        filled_in(["{{ type_of('hugeint') }}"], tried.settings, WINDOW)
    assert told.value.__cause__
    assert "no name for the type hugeint on BigQuery; there is one for varchar; bigint; " in str(
        told.value.__cause__.__context__
    )
