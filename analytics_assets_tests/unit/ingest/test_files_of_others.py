"""Files as other programs write them: other names, texts for nothing, local dates and numbers, no header, no UTF-8."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from analytics_assets.ingest import csv_files
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Source
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import rows_of

MakeInbox = Callable[..., Inbox]
DAYS = Window(date(2025, 1, 1), date(2027, 1, 1))

SALES = Source(
    name="sales",
    patterns=("*.csv",),
    columns={"id": pl.String, "at": pl.Datetime("us"), "amount": pl.Decimal(38, 9), "pieces": pl.Int64},
    primary_key=("id",),
    time="at",
)


def land(
    inbox: MakeInbox, source: Source, content: str | bytes, name: str = "a.csv"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The accepted rows and the rejects of a file."""
    sales = inbox(source)
    sales.drop(name, content)
    assert not sales.land().unreadable
    return rows_of(sales, DAYS), sales.rejects()


def refusal(inbox: MakeInbox, source: Source, content: str | bytes, name: str = "a.csv") -> str:
    """Why a file cannot be read."""
    sales = inbox(source)
    sales.drop(name, content)
    return sales.land().unreadable[name]


# ------------------------------------------------------------------------------------------------------- aliases


ALIASED = replace(
    SALES, patterns=("*.csv", "*.jsonl", "*.parquet"), aliases={"id": ("Order ID", "orderId"), "at": ("Ordered",)}
)


def test_a_column_is_found_under_any_of_its_names_in_each_format(inbox: MakeInbox) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"orderId": ["3"], "at": [datetime(2026, 1, 5)], "amount": [1.0], "pieces": [1]}).write_parquet(buffer)
    sales = inbox(ALIASED)
    sales.drop("a.csv", "Order ID,Ordered,amount,pieces,note\n1,2026-01-05,1,1,x\n")
    sales.drop("b.jsonl", json.dumps({"orderId": "2", "Ordered": "2026-01-05", "amount": 1, "pieces": 1, "note": "x"}))
    sales.drop("c.parquet", buffer.getvalue())
    assert not sales.land().unreadable
    found = rows_of(sales, DAYS)
    assert sorted(found["id"]) == ["1", "2", "3"]
    assert found["at"].to_list() == [datetime(2026, 1, 5)] * 3
    assert [extra and json.loads(extra) for extra in found.sort("id")["_extra"]] == [{"note": "x"}, {"note": "x"}, None]


def test_a_column_under_two_names_is_refused(inbox: MakeInbox) -> None:
    said = refusal(inbox, ALIASED, "Order ID,id,at,amount,pieces\n1,2,2026-01-05,1,1\n")
    assert "names id more than once" in said
    _, rejects = land(
        inbox, ALIASED, '{"orderId": "1", "id": "2", "at": "2026-01-05", "amount": 1, "pieces": 1}', "b.jsonl"
    )
    assert "it holds id under more than one name" in rejects["reason"][0]


def test_a_missing_column_is_named_with_the_names_that_it_may_have(inbox: MakeInbox) -> None:
    assert "expected is: id or Order ID or orderId, at or Ordered, amount, pieces" in refusal(inbox, ALIASED, "x\n1\n")


# --------------------------------------------------------------------------------------------------- null markers


def test_a_text_for_nothing_is_no_value_in_any_column(inbox: MakeInbox) -> None:
    content = "id,at,amount,pieces\n1,2026-01-05,NA, NA \n2,2026-01-05,-,3\n3,2026-01-05,N/A,1\nNA,2026-01-05,1,1\n"
    found, rejects = land(inbox, replace(SALES, null_values=("NA", "-")), content)
    assert found.sort("id").select("id", "amount", "pieces").rows() == [("1", None, None), ("2", None, 3)]
    assert sorted(zip(rejects["column"], rejects["row"], strict=True)) == [("amount", 3), ("id", 4)]
    assert json.loads(rejects.sort("row")["text"][1])["id"] == "NA", "a reject shows what the file holds"


def test_a_text_for_nothing_can_be_one_of_some_columns_only(inbox: MakeInbox) -> None:
    content = "id,at,amount,pieces\nNA,2026-01-05,NA,1\n"
    found, _ = land(inbox, replace(SALES, null_values={"amount": ("NA",)}), content)
    assert found.select("id", "amount").rows() == [("NA", None)], "Namibia stays"


# ------------------------------------------------------------------------------------------------ times and dates


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("%d/%m/%Y %H:%M", "05/01/2026 14:30", datetime(2026, 1, 5, 14, 30)),
        ("%d.%m.%y", "05.01.26", datetime(2026, 1, 5)),
        ("%m/%d/%Y %I:%M %p", "01/05/2026 02:30 PM", datetime(2026, 1, 5, 14, 30)),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-01-05T14:30:00+0200", datetime(2026, 1, 5, 12, 30)),
        ("%Y%m%d%H%M%S", "20260105143000", datetime(2026, 1, 5, 14, 30)),
    ],
)
def test_times_of_a_declared_format_are_read_and_no_others(
    inbox: MakeInbox, form: str, text: str, expected: datetime
) -> None:
    content = f"id,at,amount,pieces\n1,{text},1,1\n2,31/31/2026 10:00,1,1\n"
    found, rejects = land(inbox, replace(SALES, time_formats={"at": form}), content)
    assert found["at"].to_list() == [expected]
    assert rejects.select("column", "row").rows() == [("at", 2)]


def test_a_declared_format_is_local_time_of_the_source(inbox: MakeInbox) -> None:
    source = replace(SALES, time_formats={"at": "%d.%m.%Y %H:%M"}, timezone="Europe/Madrid")
    found, _ = land(inbox, source, "id,at,amount,pieces\n1,01.07.2026 00:30,1,1\n")
    assert found["at"].to_list() == [datetime(2026, 6, 30, 22, 30)]


def test_dates_of_a_declared_format_are_read(inbox: MakeInbox) -> None:
    source = replace(SALES, columns={**SALES.columns, "due": pl.Date}, time_formats={"due": "%d/%m/%Y"})
    content = "id,at,amount,pieces,due\n1,2026-01-05,1,1,02/03/2026\n2,2026-01-05,1,1,2026-03-02\n"
    found, rejects = land(inbox, source, content)
    assert found["due"].to_list() == [date(2026, 3, 2)]
    assert rejects["column"].to_list() == ["due"]


# ----------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("spelling", "text", "amount"),
    [
        ({"decimal": ","}, "1234,5", Decimal("1234.5")),
        ({"decimal": ",", "thousands": "."}, "1.234.567,89", Decimal("1234567.89")),
        ({"decimal": ",", "thousands": "."}, "-0,5", Decimal("-0.5")),
        ({"decimal": ",", "thousands": " "}, "1\u202f234,5", Decimal("1234.5")),
        ({"thousands": ","}, "1,234.5", Decimal("1234.5")),
        ({"thousands": "'"}, "1'234", Decimal("1234")),
        ({"thousands": ","}, "1234.5", Decimal("1234.5")),
        ({"decimal": ","}, "1.5", None),
        ({"decimal": ",", "thousands": "."}, "1.5", None),
        ({"thousands": ","}, "1,23,4", None),
        ({"thousands": ","}, "12,34.5", None),
    ],
)
def test_numbers_are_read_as_they_are_declared_and_no_others(
    inbox: MakeInbox, spelling: dict[str, Any], text: str, amount: Decimal | None
) -> None:
    source = replace(SALES, delimiter=";", **spelling)
    found, rejects = land(inbox, source, f"id;at;amount;pieces\n1;2026-01-05;{text};1\n")
    assert found["amount"].to_list() == ([] if amount is None else [amount])
    assert rejects.rows_by_key("column").keys() == {"amount"} if amount is None else rejects.is_empty()


# ------------------------------------------------------------------------------------- no header, another encoding


def test_a_file_without_a_header_has_its_columns_in_the_order_of_the_spec(inbox: MakeInbox) -> None:
    source = replace(SALES, header=False, optional=frozenset({"pieces"}))
    sales = inbox(source)
    sales.drop("a.csv", "1,2026-01-05,1.5,1\n2,2026-01-06,2,2\n")
    sales.drop("b.csv", "3,2026-01-05,1.5\n")
    sales.drop("c.csv", "4\n")
    said = sales.land().unreadable
    assert rows_of(sales, DAYS).sort("id")["pieces"].to_list() == [1, 2, None]
    assert "its first record has 1 of 4 fields: it lacks at, amount" in said["c.csv"]


def test_an_empty_file_without_a_header_has_no_rows(inbox: MakeInbox) -> None:
    found, rejects = land(inbox, replace(SALES, header=False), "")
    assert found.is_empty() and rejects.is_empty()


TITLED = 'Sales of "Zoë & Co\n\nexported,2026-01-07\nid,at,amount,pieces\n1,2026-01-05,1.5,1\n'


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_lines_above_the_header_are_skipped_whatever_they_hold(inbox: MakeInbox, line_end: str, encoding: str) -> None:
    source = replace(SALES, skip_lines=3, encoding="cp1252" if encoding == "cp1252" else "utf-8")
    found, rejects = land(inbox, source, TITLED.replace("\n", line_end).encode(encoding))
    assert found["id"].to_list() == ["1"]
    assert rejects.is_empty()


def test_lines_above_a_file_without_a_header_are_skipped(inbox: MakeInbox) -> None:
    found, rejects = land(inbox, replace(SALES, header=False, skip_lines=1), "Sales\n1,2026-01-05,1.5,1\n")
    assert found["id"].to_list() == ["1"] and rejects.is_empty()


def test_a_skipped_line_may_be_longer_than_what_is_read_at_a_time(inbox: MakeInbox) -> None:
    title = "x" * (csv_files._BYTES_OF_ODD_PIECE - 1) + "\r\n"  # its two last bytes are read apart
    found, _ = land(inbox, replace(SALES, skip_lines=1), title + "id,at,amount,pieces\n1,2026-01-05,1.5,1\n")
    assert found["id"].to_list() == ["1"]


@pytest.mark.parametrize(
    ("skipped", "content", "said"),
    [
        (0, "Sales\nid,at,amount,pieces\n1,2026-01-05,1.5,1\n", "below 1 line: say `skip_lines=1` in the spec"),
        (1, "Sales\n\n2026\nid,at,amount,pieces\n", "below 3 lines: say `skip_lines=3` in the spec"),
        (1, "id,at,amount,pieces\n1,2026-01-05,1.5,1\n", "; 1 line above it were skipped, as the spec says"),
        (3, "Sales\nid,at,amount,pieces\n", "nothing follows the 3 lines that its spec skips"),
        (1, "", "nothing follows the 1 line that its spec skips"),
    ],
)
def test_a_file_with_other_lines_above_its_header_is_refused_with_what_to_say(
    inbox: MakeInbox, skipped: int, content: str, said: str
) -> None:
    assert said in refusal(inbox, replace(SALES, skip_lines=skipped), content)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_text_of_a_declared_encoding_is_read(inbox: MakeInbox, encoding: str, name: str) -> None:
    rows = [("Zoë", "2026-01-05", "1", "1"), ("100 €", "2026-01-06", "2", "2")]
    as_csv = "id,at,amount,pieces\n" + "".join(",".join(row) + "\n" for row in rows)
    as_json = "".join(json.dumps(dict(zip(SALES.columns, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    source = replace(SALES, encoding=encoding, patterns=("*.csv", "*.jsonl"))
    found, _ = land(inbox, source, (as_csv if name == "a.csv" else as_json).encode(encoding), name)
    assert sorted(found["id"]) == ["100 €", "Zoë"]


def test_bytes_that_the_encoding_lacks_refuse_the_file(inbox: MakeInbox) -> None:
    said = refusal(inbox, replace(SALES, encoding="cp1252"), b"id,at,amount,pieces\n\x81,2026-01-05,1,1\n")
    assert "it is not of the encoding cp1252" in said


# ---------------------------------------------------------------------------------------------------- the spec


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aliases": {"id": ("at",)}}, "at names more than one column"),
        ({"aliases": {"ID": ("id",)}}, "ID is not among its columns"),
        ({"time_formats": {"amount": "%Y"}}, "amount has the format of a time, and is none"),
        ({"time_formats": {"at": "dd/mm/yyyy"}}, "no format of the times of at"),
        ({"encoding": "base64"}, "no encoding of text"),
        ({"encoding": "klingon"}, "no encoding of text"),
        ({"decimal": ",", "thousands": ","}, "cannot stand for two things"),
        ({"decimal": ",", "patterns": ("*.jsonl",)}, "only CSV files"),
        ({"skip_lines": 1, "patterns": ("*.csv", "*.jsonl")}, "only CSV files"),
        ({"skip_lines": -1}, "-1 lines cannot be skipped"),
        ({"header": False, "patterns": ("*.csv.gz", "*.parquet")}, "only CSV files"),
        ({"null_values": {"nothing": ("NA",)}}, "nothing is not among its columns"),
    ],
)
def test_a_spec_that_says_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SALES, **changes)
