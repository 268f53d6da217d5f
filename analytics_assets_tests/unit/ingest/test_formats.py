"""What the bytes of a file become: each record a row or a reject, whatever the format and whatever is odd about it."""

import codecs
import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from analytics_assets.ingest import csv_files
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Source
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import HEADER, VISITS, ids, rows_of

MakeInbox = Callable[..., Inbox]
GOOD = "1,2025-06-01 10:00:00,1,1,\n"
FACT = {"at": "2025-06-01 10:00:00", "amount": 1, "n": 1}
DECADE = Window(date(2020, 1, 1), date(2031, 1, 1))


def rows(*numbers: int) -> str:
    return "".join(f"{n},2025-06-01 10:00:00,1,1,x\n" for n in numbers)


def land_parquet(inbox: Inbox, **columns: object) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The accepted rows and the rejects of a Parquet file, of which a test names the columns that matter to it."""
    height = len(next(iter(columns.values())))  # type: ignore[arg-type]
    usual: dict[str, object] = {
        "id": [str(n) for n in range(height)],
        "at": [datetime(2025, 6, 1, 10)] * height,
        "amount": [1.0] * height,
        "n": [1] * height,
    }
    buffer = io.BytesIO()
    pl.DataFrame(usual | columns).write_parquet(buffer)
    inbox.drop("a.parquet", buffer.getvalue())
    assert not inbox.land().unreadable
    return rows_of(inbox, DECADE), inbox.rejects()


def land_json(inbox: Inbox, *records: dict) -> tuple[pl.DataFrame, pl.DataFrame]:
    inbox.drop("a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    assert not inbox.land().unreadable
    return rows_of(inbox, DECADE), inbox.rejects()


# --------------------------------------------------------------------------------------------- all of its bytes


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("lost", [1, 4, 8, 9, 300])
def test_a_gzip_that_was_cut_off_is_refused_as_a_whole(inbox: MakeInbox, name: str, lost: int) -> None:
    content = HEADER + rows(*range(2000)) if "csv" in name else (json.dumps(FACT | {"id": "1"}) + "\n") * 2000
    visits = inbox(VISITS)
    visits.drop(name, gzip.compress(content.encode())[:-lost])
    assert "it ends in the middle" in visits.land().unreadable[name]
    assert ids(visits) == []


def test_a_gzip_with_a_wrong_checksum_or_damaged_bytes_is_refused(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    whole = bytearray(gzip.compress((HEADER + rows(*range(2000))).encode()))
    whole[-8] ^= 1
    visits.drop("checksum.csv.gz", bytes(whole))
    whole[400] ^= 255
    visits.drop("damaged.csv.gz", bytes(whole))
    assert set(visits.land().unreadable) == {"checksum.csv.gz", "damaged.csv.gz"}
    assert ids(visits) == []


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_members_of_a_gzip_and_zeros_behind_them_are_read(inbox: MakeInbox, name: str) -> None:
    lines = [json.dumps(FACT | {"id": str(n)}) + "\n" for n in (1, 2)]
    parts = [HEADER + rows(1), rows(2)] if "csv" in name else lines
    visits = inbox(VISITS)
    visits.drop(name, b"".join(gzip.compress(part.encode()) for part in parts) + b"\0" * 1000)
    visits.land()
    assert ids(visits) == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", codecs.BOM_UTF16_LE + (HEADER + GOOD).encode("utf-16-le"), "save it as UTF-8"),
        ("a.jsonl", codecs.BOM_UTF16_BE + "{}".encode("utf-16-be"), "save it as UTF-8"),
        ("a.csv", gzip.compress((HEADER + GOOD).encode(), mtime=0), "let its name end in .gz"),
        ("a.jsonl.gz", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "unpack it once more"),
        ("a.csv", b"PK\x03\x04...", "a ZIP archive or a workbook"),
        ("a.csv.gz", b"", "it is empty"),
        ("a.jsonl.gz", b"", "it is empty, as no gzip is"),
    ],
)
def test_what_is_no_utf8_text_is_refused_with_what_to_do(
    inbox: MakeInbox, name: str, content: bytes, said: str
) -> None:
    visits = inbox(VISITS)
    visits.drop(name, content)
    assert said in visits.land().unreadable[name]


# ------------------------------------------------------------------------------------------- CSV: broken records


def test_the_lines_that_an_open_quote_swallows_are_counted_kept_and_seen(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + rows(*range(1, 61)) + '61,2025-06-01 10:00:00,1,1,"x\n' + rows(*range(62, 401)))
    content = visits.land().landed["a.csv"]
    assert (content.accepted_rows, content.rejected_rows) == (60, 340)
    assert content.swallowed == {61: 340}  # of which the check records_end_where_they_should is made
    (reject,) = visits.rejects().to_dicts()
    assert (reject["row"], reject["lines"], reject["reason"][:10]) == (61, 340, "open quote")
    assert reject["text"].endswith(rows(*range(62, 401)).rstrip())


def test_a_quote_that_a_later_one_closes_shows_what_it_swallowed(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + rows(1) + '2,2025-06-01 10:00:00,1,"1,x\n' + rows(3, 4) + '5,"y",1,1,\n' + rows(6))
    content = visits.land().landed["a.csv"]
    assert ids(visits) == ["1", "6"]
    assert (content.swallowed, content.rejected_rows) == ({2: 4}, 4)


def test_a_quote_that_the_next_one_closes_hides_no_row_where_the_fields_are_as_many_as_they_should_be(
    inbox: MakeInbox,
) -> None:
    visits = inbox(VISITS)
    quoted = [f'{n},2025-06-01 10:00:00,1,1,"x"\n' for n in range(1, 7)]
    quoted[1] = quoted[1].replace('x"', "x")
    visits.drop("a.csv", HEADER + "".join(quoted))
    content = visits.land().landed["a.csv"]
    assert ids(visits) == ["1", "4", "5", "6"]
    assert (content.swallowed, content.rejected_rows) == ({2: 2}, 2)
    assert visits.rejects()["text"].to_list() == ["".join(quoted[1:3]).rstrip()]


@pytest.mark.parametrize("tail", ["", '7,2025-06-01 10:00:00,1,1,"x"\n'])
def test_nor_does_one_in_the_header(inbox: MakeInbox, tail: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER.replace("note", '"note') + rows(1, 2) + tail)
    assert "its header opens a quote that it does not close" in visits.land().unreadable["a.csv"]


def test_a_reject_is_kept_whole(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    long = "1,2025-06-01 10:00:00,1,1," + "A" * 30_000 + ",too many"
    visits.drop("a.csv", HEADER + rows(2) + long + "\n")
    visits.land()
    assert visits.rejects()["text"].to_list() == [long]


@pytest.mark.parametrize(
    ("line_end", "content", "accepted", "rejected"),
    [
        ("\r\n", "1,{t},1,1,x\r\n2,{t},1\n3,{t},1,1,x\r\n", ["1", "3"], [2]),  # a short line with another line end
        ("\n", "1,{t},1,1,x\n2,{t},1\r\n3,{t},1,1,x\n", ["1", "3"], [2]),
        ("\n", "1,{t},1,1,x\n2,{t},1\r3,{t},1,1,x\n4,{t},1,1,x\n", ["1", "3", "4"], [2]),
        ("\n", "1,{t},1,1,x\n2,{t},1,1\r0,x\n3,{t},1,1,x\n", ["1", "3"], [2]),  # a carriage return in a field
        ("\r", "1,{t},1,1,x\r2,{t},1\r3,{t},1,1,x\r", ["1", "3"], [2]),
        ("\n", "1,{t},1,1,x\n\n\n2,{t},1,1,x", ["1", "2"], []),
        ("\n", "1,{t},1,1,x\n2,{t},1,1,x,\n3,{t},1,1,x,,\n", ["1", "2", "3"], []),  # commas at the end
        ("\n", '1,{t},1,1,5" pipe\n2,{t},1,1,a "b\n3,{t},1,1,"c"d"e\n', ["1", "2", "3"], []),  # quotes that are text
    ],
    ids=str,
)
def test_a_line_that_is_no_record_costs_itself_and_no_other(
    inbox: MakeInbox, line_end: str, content: str, accepted: list[str], rejected: list[int]
) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER.rstrip() + line_end + content.format(t="2025-06-01 10:00:00"))
    visits.land()
    found = rows_of(visits).sort("_source_row")
    assert found["id"].to_list() == accepted
    assert (visits.rejects()["row"].to_list() if rejected else []) == rejected
    assert found["_source_row"].to_list() == [int(one) for one in accepted]  # rejects are counted, too


# ------------------------------------------------------------------------------------------ CSV: the reference

_FIELDS = st.one_of(
    st.sampled_from(
        ["", "plain", "1,2,3", 'said "so"', "two\nlines", "1,2025-06-01,x,y\n2,2025-06-01,x,y\n" * 5, '"', "\r", "\r\n"]
    ),
    st.text(alphabet='ab,"\n\r é\t', max_size=12),
)


@given(
    records=st.lists(st.lists(_FIELDS, min_size=3, max_size=3), max_size=40),
    piece_bytes=st.integers(1, 400),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
@hypothesis_settings(max_examples=200)
def test_a_valid_csv_is_read_as_python_reads_it_wherever_its_pieces_end(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]], piece_bytes: int, line_end: str
) -> None:
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if line_end == "\r\n" else csv.QUOTE_ALL  # else a lone \r would go without
    writer = csv.writer(text, lineterminator=line_end, quoting=quoting)
    writer.writerows([["a", "b", "c"], *records])
    compare_with_python(tmp_path_factory, text.getvalue(), piece_bytes)


@given(
    lines=st.lists(st.text(alphabet='a,"x \n\ufeff', min_size=1, max_size=30), max_size=30),
    piece_bytes=st.integers(1, 200),
)
@example(lines=["\ufeffx,y,z"] * 2, piece_bytes=1)  # a byte order mark that is none, where a piece begins
@hypothesis_settings(max_examples=200)
def test_so_is_one_with_quotes_that_are_text_and_records_that_are_none(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], piece_bytes: int
) -> None:
    compare_with_python(tmp_path_factory, "a,b,c\n" + "\n".join(lines) + "\nlast,one,is", piece_bytes)


def compare_with_python(factory: pytest.TempPathFactory, text: str, piece_bytes: int) -> None:
    file = factory.mktemp("csv") / "a.csv"
    file.write_bytes(text.encode())
    source = Source(
        name="letters", patterns=("*",), columns=dict.fromkeys("abc", pl.String), time="a", primary_key=("a",)
    )
    found = {}
    for batch in csv_files.read(file, source, piece_bytes):
        found.update(zip(batch.rows.to_list(), batch.frame.rows(), strict=True))
        found.update({broken.row: None for broken in batch.broken})
    expected, is_open = {}, False
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines)
    next(reader)
    done = reader.line_num
    for fields in reader:
        held, done = lines[done : reader.line_num], reader.line_num
        if fields:
            good = len(fields) >= 3 and not any(fields[3:]) and (len(held) == 1 or is_strict(held))
            expected[len(expected) + 1] = tuple(value or None for value in fields[:3]) if good else None
    is_open = text.endswith("last,one,is") and expected[len(expected)] != ("last", "one", "is")
    if is_open:  # Python closes at the end of the file what was opened
        expected[len(expected)] = None
    assert found == expected


def is_strict(lines: list[str]) -> bool:
    try:
        return bool(list(csv.reader(lines, strict=True)))
    except csv.Error:
        return False


def test_lines_within_quotes_that_look_like_records_are_none_in_a_file_of_many_pieces(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail, a log, a CSV within a CSV: a reader that begins anywhere takes its lines for records."""
    monkeypatch.setattr(csv_files, "BYTES_PER_BATCH", 100_000)
    visits = inbox(VISITS)
    mail = '"' + rows(*range(900, 940)).rstrip() + '"\n'
    visits.drop("a.csv", HEADER + "".join(f"{n},2025-06-01 10:00:00,1,1,{mail}" for n in range(1000)))
    content = visits.land().landed["a.csv"]
    assert (content.accepted_rows, content.rejected_rows) == (1000, 0)


# ------------------------------------------------------------------------------------------------- CSV: headers


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("1,2025-06-01 10:00:00,1,1,x", "its header is: 1, 2025-06-01 10:00:00, 1, 1, x; expected is: id, at,"),
        ("ID,At,Amount,N,Note", "it lacks the column id, at, amount, n; its header is: ID, At, Amount, N, Note;"),
        ("id,at,amount,n,n", "it names n more than once; its header is: id, at, amount, n, n; expected is: id, at,"),
        ("id,at,amount,n" + "," * 20_000, "its header has 20,004 columns, more than 10,000: id, at, amount, n"),
        ("id\x1b[2J,at", "its header is: id�[2J, at;"),
    ],
)
def test_a_wrong_header_is_shown_beside_the_one_expected(inbox: MakeInbox, header: str, said: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", f"{header}\n{GOOD}")
    sentence = visits.land().unreadable["a.csv"]
    assert said in sentence
    assert "\n" not in sentence


def test_columns_without_a_name_and_a_value_are_left_out_and_those_with_one_kept(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", "id,at,amount,n,,note,,\n1,2025-06-01 10:00:00,1,1,,x,,\n")
    visits.drop("b.csv", "id,at,amount,n,note,\n2,2025-06-01 10:00:00,1,1,x,7\n")
    landed = visits.land().landed
    assert [landed[name].unknown_columns for name in ("a.csv", "b.csv")] == [[], ["column 6"]]
    found = rows_of(visits).sort("id").select("id", "note", "_extra").rows()
    assert found == [("1", "x", None), ("2", "x", '{"column 6":"7"}')]


def test_names_that_differ_in_case_are_two_columns_in_every_format(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", "id,at,amount,n,Note,note\n1,2025-06-01 10:00:00,1,1,A,a\n")
    visits.drop("a.jsonl", json.dumps(FACT | {"id": "2", "Note": "A", "note": "a"}))
    land_parquet(visits, id=["3"], note=["a"], Note=["A"])
    assert rows_of(visits).select("note", "_extra").unique().rows() == [("a", '{"Note":"A"}')]


# -------------------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    "spelled",
    [
        lambda records: "".join(map(json.dumps, records)),
        lambda records: " ".join(map(json.dumps, records)) + "\n",
        lambda records: json.dumps(records),
        lambda records: json.dumps(records, indent=1),
        lambda records: "[" + ",\n".join(map(json.dumps, records)) + "]\n",
        lambda records: "\n" + "\n".join(json.dumps(record, indent=2) for record in records),
        lambda records: "\ufeff" + "\r\n".join(json.dumps(record) for record in records),
    ],
    ids=["concatenated", "blanks", "array", "pretty array", "array by lines", "pretty objects", "lines"],
)
def test_records_are_read_however_their_lines_are_broken(
    inbox: MakeInbox, spelled: Callable[[list[dict]], str]
) -> None:
    visits = inbox(VISITS)
    visits.drop("a.jsonl", spelled([FACT | {"id": str(n), "note": "é, [x] {"} for n in range(5)]))
    content = visits.land().landed["a.jsonl"]
    assert (content.accepted_rows, content.rejected_rows) == (5, 0)
    assert set(rows_of(visits)["note"]) == {"é, [x] {"}


def test_a_line_with_something_else_behind_its_records_costs_only_that(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    line = json.dumps(FACT | {"id": "1"})
    visits.drop("a.jsonl", f'{line}{{"id": \n[{json.dumps(FACT | {"id": "2"})}, 7]\n"three"\n')
    visits.land()
    assert ids(visits) == ["1", "2"]
    rejects = visits.rejects().sort("row")
    assert rejects.select("row", "text").rows() == [(1, '{"id":'), (2, "7"), (3, '"three"')]
    assert "write one object a line" in rejects["reason"][1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[\n{"id": "1"},\n{"id": "2"', "record 2 is no JSON, or cut off"),
        ('[\n{"id": "1"},\n', "it ends in the middle"),
        ('{\n"id": "1", nonsense\n}', "record 1 is no JSON"),
    ],
)
def test_a_json_document_that_is_broken_is_refused(inbox: MakeInbox, content: str, said: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.jsonl", content)
    assert said in visits.land().unreadable["a.jsonl"]


def test_numbers_in_json_keep_their_value_and_whole_ones_have_no_fraction(inbox: MakeInbox) -> None:
    line = '{"id": %s, "at": "2025-06-01 10:00:00", "amount": 1E-05, "n": %s, "note": {"a": 12.50, "b": [0.1]}}\n'
    visits = inbox(VISITS)
    visits.drop("a.jsonl", line % ("1000.0", "1e3") + line % ("1001", "1.5e1") + line % ("1e999999", "1"))
    visits.land()
    found = rows_of(visits).sort("n").select("id", "amount", "n", "note").rows()
    note = '{"a": 12.5, "b": [0.1]}'
    assert found == [("1E+999999", 1e-05, 1, note), ("1001", 1e-05, 15, note), ("1000", 1e-05, 1000, note)]


@pytest.mark.parametrize("number", [f"1e{10**20}", f"0e{10**20}", f"1e-{10**20}", "9" * 5000, "1e5000"])
@pytest.mark.parametrize("form", ["{}\n{}\n", "[{},\n{}]\n"])
def test_a_number_that_nothing_can_hold_costs_its_row(inbox: MakeInbox, number: str, form: str) -> None:
    visits = inbox(VISITS)
    line = '{{"id": "{}", "at": "2025-06-01 10:00:00", "amount": 1, "n": {}}}'
    visits.drop("a.jsonl", form.format(line.format(1, number), line.format(2, 7)))
    if form.startswith("[") and number.isdigit():
        assert "its record 1 is no JSON" in visits.land().unreadable["a.jsonl"]
        return
    content = visits.land().landed["a.jsonl"]
    assert (ids(visits), content.rejected_rows) == (["2"], 1)


def test_nan_where_text_is_meant_is_an_empty_cell_in_json_as_in_parquet(inbox: MakeInbox) -> None:
    nan = float("nan")
    json_rejects = land_json(inbox(VISITS), FACT | {"id": nan}, FACT | {"id": "1", "note": nan, "new": nan})[1]
    found, rejects = land_parquet(inbox(VISITS), id=["0", "2"], note=[nan, nan], new=[nan, nan])
    assert json_rejects["reason"].to_list() == ["empty, but every row needs one"]
    assert found.sort("id").select("id", "note", "_extra").rows() == [(n, None, None) for n in "012"]
    assert rejects.height == 1


# ------------------------------------------------------------------- one conversion, whatever the format


@pytest.mark.parametrize(
    ("values", "dtype", "accepted"),
    [
        ([Decimal("2.50"), Decimal("3.00"), Decimal("0.99")], pl.Decimal(10, 2), {1: 3}),
        ([2.0, 2.5, float("nan"), float("inf"), 1e19], pl.Float64, {0: 2}),
        (["12.0", "1e3", "1E+05", "1.5", "x", "1e30"], pl.Categorical, {0: 12, 1: 1000, 2: 100_000}),
        ([True, False], pl.Boolean, {}),
        ([2**63, 5], pl.UInt64, {1: 5}),
        ([b"7", b"\xff"], pl.Binary, {0: 7}),
        ([{"a": 1}], pl.Struct({"a": pl.Int64}), {}),
        ([[1]], pl.List(pl.Int64), {}),
    ],
    ids=str,
)
def test_a_count_in_parquet_is_what_it_would_be_as_text(
    inbox: MakeInbox, values: list, dtype: pl.DataType, accepted: dict[int, int]
) -> None:
    found, rejects = land_parquet(inbox(VISITS), n=pl.Series(values, dtype=dtype))
    assert dict(found.select(pl.col("id").cast(pl.Int64), "n").rows()) == accepted
    assert found.height + rejects.height == len(values)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pl.Series([1000.0, 12345678900.0, 0.5, None]), ["1000", "12345678900", "0.5", None]),
        (pl.Series([Decimal("1000.00"), Decimal("2.50")]), ["1000", "2.50"]),
        (pl.Series([1e16, 1e-7, 1.7e300, float("inf")]), ["10000000000000000", "1E-7", "1.7E+300", "Infinity"]),
        (pl.Series([0.1, 16777216.0, None], dtype=pl.Float32), ["0.1", "16777216", None]),
        (pl.Series([time(1, 2, 3, 5), time(1, 2)]), ["01:02:03.000005", "01:02:00"]),
        (pl.Series([True, False]), ["true", "false"]),
        (pl.Series([date(2025, 6, 1)]), ["2025-06-01"]),
        (pl.Series([datetime(2025, 6, 1, 10)]), ["2025-06-01 10:00:00"]),
        (pl.Series([datetime(2025, 6, 1, 10, tzinfo=UTC)]), ["2025-06-01 10:00:00+00:00"]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"]),
        (pl.Series([b"caf\xc3\xa9"]), ["café"]),
        (pl.Series([["a", "b"], [], None]), ['["a", "b"]', "[]", None]),
        (pl.Series([{"utm": "news", "x": 1.5, "y": None}]), ['{"utm": "news", "x": 1.5, "y": null}']),
        (pl.Series([{"x": float("nan")}]), ['{"x": null}']),
        (pl.Series([None, None]), [None, None]),
    ],
    ids=str,
)
def test_text_in_parquet_is_spelled_as_in_json_lines(inbox: MakeInbox, values: pl.Series, texts: list) -> None:
    found, _ = land_parquet(inbox(VISITS), note=values, colour=values)
    assert found.sort("id")["note"].to_list() == texts
    extra = [None if text is None else json.loads(text)["colour"] for text in found.sort("id")["_extra"]]
    assert extra == texts


def test_an_amount_of_few_digits_in_parquet_is_the_one_that_a_csv_would_hold(inbox: MakeInbox) -> None:
    found, rejects = land_parquet(inbox(VISITS), amount=pl.Series([0.1, float("nan"), 2.5], dtype=pl.Float32))
    assert found.sort("id")["amount"].to_list() == [0.1, 2.5]
    assert rejects.height == 1


def test_a_flag_is_read_as_programs_write_it_in_every_format(inbox: MakeInbox) -> None:
    visits = inbox(Source(**{**VISITS.__dict__, "columns": VISITS.columns | {"n": pl.Boolean}, "rules": {}}))
    visits.drop("a.csv", HEADER + "".join(f"c{x},2025-06-01 10:00:00,1,{x},\n" for x in ("1.0", "0.0", "10.0", "1.5")))
    visits.drop("a.jsonl", json.dumps(FACT | {"id": "j1", "n": 1.0}) + json.dumps(FACT | {"id": "j2", "n": "1.0"}))
    found, rejects = land_parquet(visits, id=["p1", "p2", "p3"], n=[1.0, 0.0, 2.0])
    expected = {"c1.0": True, "c0.0": False, "j1": True, "j2": True, "p1": True, "p2": False}
    assert dict(found.select("id", "n").rows()) == expected
    assert rejects.height == 3


@pytest.mark.parametrize(
    ("values", "number"),
    [
        (pl.Series([[2**31 - 1], [20_454]], dtype=pl.List(pl.Int32)).cast(pl.List(pl.Date)), [2**31 - 1]),
        (pl.Series([[2**62], [0]]).cast(pl.List(pl.Datetime("us"))), [2**62]),
        (pl.Series([{"t": 2**62}, {"t": 0}]).cast(pl.Struct({"t": pl.Datetime("us")})), {"t": 2**62}),
    ],
    ids=["dates", "times", "struct"],
)
def test_an_impossible_time_within_a_list_or_a_struct_is_kept_as_its_number(
    inbox: MakeInbox, values: pl.Series, number: object
) -> None:
    found, rejects = land_parquet(inbox(VISITS), note=values)
    impossible, possible = found.sort("id")["note"]
    assert json.loads(impossible) == number
    assert "-01" in possible
    assert rejects.is_empty()


def test_parquet_files_that_were_joined_to_one_are_refused(inbox: MakeInbox) -> None:
    """The footer of the last one tells where its rows lie in itself, which is where those of the first one lie."""
    parts = []
    for ids_ in (["1", "2"], ["3", "4"]):
        buffer = io.BytesIO()
        pl.DataFrame([FACT | {"id": n} for n in ids_]).write_parquet(buffer)
        parts.append(buffer.getvalue())
    visits = inbox(VISITS)
    visits.drop("a.parquet", b"".join(parts))
    visits.drop("empty.parquet", b"")
    refused = visits.land().unreadable
    assert "several Parquet files in one" in refused["a.parquet"]
    assert "cannot be read as Parquet" in refused["empty.parquet"]


def test_times_of_a_zone_that_is_an_offset_are_the_instants_that_they_are(inbox: MakeInbox) -> None:
    at = pa.array([1_748_772_000_000, 2**62], pa.timestamp("ms", tz="+05:30"))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2"], "at": at, "amount": [1.0, 1.0], "n": [1, 1], "note": at}), buffer)
    visits = inbox(VISITS)
    visits.drop("a.parquet", buffer.getvalue())
    visits.land()
    assert rows_of(visits).select("at", "note").rows() == [(datetime(2025, 6, 1, 10), "2025-06-01 10:00:00+00:00")]
    assert visits.rejects()["reason"].to_list() == ["not a time"]


def test_one_cell_that_is_no_text_costs_its_row(inbox: MakeInbox) -> None:
    found, rejects = land_parquet(inbox(VISITS), note=[b"caf\xe9", b"tea"])
    assert found["note"].to_list() == ["tea"]
    assert rejects.select("row", "column", "reason").rows() == [(1, "note", "not a text")]


def test_infinities_and_nan_are_no_amounts_in_any_format(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "".join(f"c{x},2025-06-01 10:00:00,{x},1,\n" for x in ("nan", "inf", "0.5")))
    _, rejects = land_parquet(visits, amount=[float("nan"), 0.5, float("-inf")])
    assert rows_of(visits)["amount"].to_list() == [0.5, 0.5]
    assert set(rejects["reason"]) == {"not a number"}
    assert '"amount":"NaN"' in "".join(rejects["text"])


@pytest.mark.parametrize("values", [[1_748_772_000], [1_748_772_000_000], [1_748_772_000.5]])
def test_a_number_is_no_time_unless_the_spec_says_what_it_counts(inbox: MakeInbox, values: list[float]) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + f"1,{values[0]},1,1,\n")
    visits.drop("a.jsonl", json.dumps(FACT | {"id": "2", "at": values[0]}))
    found, rejects = land_parquet(visits, at=values)
    assert found.is_empty()
    assert rejects["reason"].to_list() == ["not a time"] * 3


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("s", 1_748_772_000),
        ("s", 1_748_772_000.0),
        ("ms", 1_748_772_000_000),
        ("us", 1_748_772_000_000_000),
        ("ns", 1_748_772_000_000_000_000),
    ],
)
def test_a_number_is_a_time_in_the_unit_of_the_spec_in_every_format(inbox: MakeInbox, unit: str, number: float) -> None:
    visits = inbox(Source(**{**VISITS.__dict__, "epoch": {"at": unit}}))
    visits.drop("a.csv", HEADER + f"1,{number},1,1,\n2,2025-06-01 10:00:00,1,1,\n3,{10**30},1,1,\n")
    visits.drop("a.jsonl", json.dumps(FACT | {"id": "4", "at": number}))
    found, rejects = land_parquet(visits, id=["5"], at=[number])
    assert set(found["at"]) == {datetime(2025, 6, 1, 10)}
    assert (found.height, rejects.height) == (4, 1)


@pytest.mark.parametrize("delimiter", ["", "||", "§", '"', "\n"])
def test_a_delimiter_that_cannot_be_one_is_refused_with_the_spec(delimiter: str) -> None:
    with pytest.raises(ValueError, match="cannot delimit"):
        Source(**{**VISITS.__dict__, "delimiter": delimiter})


def test_an_epoch_in_a_unit_that_is_none_is_refused_with_the_spec() -> None:
    with pytest.raises(ValueError, match="s, ms, us or ns"):
        Source(**{**VISITS.__dict__, "epoch": {"at": "minutes"}})


# -------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    "written",
    [
        "2025-06-01 10:15:00 UTC",
        "2025-06-01 10:15:00UTC",
        "2025-06-01T10:15Z",
        "2025-06-01T12:15+02:00",
        "2025-06-01 10:15Z",
        "2025-06-01 12:15:00 +0200",
        "2025-06-01T10:15:00+00",
        "2025-06-01T10:15",
    ],
)
def test_times_are_read_as_warehouses_and_java_write_them(inbox: MakeInbox, written: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + f"1,{written},1,1,\n")
    visits.land()
    assert rows_of(visits)["at"].to_list() == [datetime(2025, 6, 1, 10, 15)]


IMPOSSIBLE = [
    "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-05:00", "26-01-05 10:00:00", "26-01-05", "-0001-01-01 00:00:00",
    "0000-01-01 00:00:00", "10000-01-01 00:00:00", "99999999-01-01 00:00:00", "2025-06-01 25:00:00",
]  # fmt: skip


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_a_time_that_cannot_be_costs_its_row_and_no_other(inbox: MakeInbox, timezone: str) -> None:
    visits = inbox(Source(**{**VISITS.__dict__, "timezone": timezone}))
    visits.drop("a.csv", HEADER + rows(1) + "".join(f"{time},{time},1,1,\n" for time in IMPOSSIBLE))
    content = visits.land().landed["a.csv"]
    assert (content.accepted_rows, content.rejected_rows) == (1, len(IMPOSSIBLE))
    assert set(visits.rejects()["reason"]) == {"not a time"}


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us", "UTC")])
@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Auckland"])
def test_so_does_one_in_parquet(inbox: MakeInbox, dtype: pl.Datetime, timezone: str) -> None:
    visits = inbox(Source(**{**VISITS.__dict__, "timezone": timezone}))
    now = 1_748_772_000 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.time_unit]
    numbers = [2**63 - 1, -(2**62), now] if dtype.time_unit != "ns" else [now]
    times = pl.Series(numbers, dtype=pl.Int64).cast(dtype)
    found, rejects = land_parquet(visits, at=times, note=times, other=times)
    assert (found.height, rejects.height) == (1, len(numbers) - 1)


def test_a_spec_may_narrow_what_times_are_plausible(inbox: MakeInbox) -> None:
    visits = inbox(Source(**{**VISITS.__dict__, "plausible": (date(2020, 1, 1), date(2030, 12, 31))}))
    at = (
        "1970-01-01 00:00:00",
        "2019-12-31 23:59:59",
        "2020-01-01 00:00:00",
        "2030-12-31 23:59:59",
        "9999-12-31 00:00",
    )
    visits.drop("a.csv", HEADER + "".join(f"{n},{time},1,1,\n" for n, time in enumerate(at)))
    visits.land()
    assert ids(visits, DECADE) == ["2", "3"]
    assert set(visits.rejects()["reason"]) == {"not a plausible time: before 2020-01-01 or after 2030-12-31"}


def test_a_date_may_be_written_as_a_time_at_midnight_and_as_no_other(inbox: MakeInbox) -> None:
    columns = VISITS.columns | {"at": pl.Date}
    visits = inbox(Source(**{**VISITS.__dict__, "columns": columns}))
    good = (
        "2025-06-01",
        "2025-06-01 00:00:00",
        "2025-06-01T00:00:00Z",
        "2025-06-01 00:00:00.000 UTC",
        "2025-06-01T00:00",
    )
    bad = ("2025-06-01 10:00:00", "25-06-01", "01.06.2025", "2025-06-31 00:00:00")
    visits.drop("a.csv", HEADER + "".join(f"{time},{time},1,1,\n" for time in (*good, *bad)))
    found, rejects = land_parquet(visits, at=[datetime(2025, 6, 1), datetime(2025, 6, 1, 10)])
    assert found["at"].to_list() == [date(2025, 6, 1)] * 6
    assert set(found["id"]) == {*good, "0"}
    assert rejects.height == 5


# ----------------------------------------------------------------------------- what a file cannot do to others


@pytest.mark.parametrize(
    "name", ["_source_row", "_extra", "_day", "_record", "_fault", "_landed_at", "bad", "text", ""]
)
def test_no_name_of_a_column_is_taken(inbox: MakeInbox, name: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", f"id,at,amount,n,{name or 'x'}\n1,2025-06-01 10:00:00,1,1,c\n0,2025-06-01 10:00:00,1,-1,c\n")
    visits.drop("a.jsonl", "".join(json.dumps(FACT | {"id": i, name: "j"}) + "\n" for i in ("2", "")))
    land_parquet(visits, id=["3", None], **{name: ["p", "p"]})
    assert ids(visits) == ["1", "2", "3"]
    assert sorted(json.loads(extra)[name or "x"] for extra in rows_of(visits)["_extra"] if name) == (
        ["c", "j", "p"] if name else []
    )
    assert visits.rejects().height == 3


def test_whatever_fails_on_a_file_refuses_it_by_name_and_the_others_land(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = inbox(VISITS)
    visits.drop("good.csv", HEADER + rows(1))
    bad = io.BytesIO()
    pl.DataFrame({"id": ["2"], "at": ["x"], "amount": [1], "n": [1]}).write_parquet(bad)
    for n in range(0, len(bad.getvalue()), 25):
        damaged = bytearray(bad.getvalue())
        damaged[n] ^= 0xFF
        visits.drop(f"bad-{n}.parquet", bytes(damaged))

    def panics(*_: object) -> None:
        pl.Series([2**63 - 1]).cast(pl.Datetime("us")).dt.to_string("%Y")

    visits.drop("panic.jsonl", "{}")
    monkeypatch.setattr("analytics_assets.ingest.json_lines._batches", panics)
    report = visits.land()
    assert "good.csv" in report.landed
    assert "out-of-range" in report.unreadable["panic.jsonl"]
    assert len(report.landed) + len(report.unreadable) == len(range(0, len(bad.getvalue()), 25)) + 2


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_record_that_does_not_end_is_refused_before_memory_does(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in ("csv_files", "json_lines"):
        monkeypatch.setattr(f"analytics_assets.ingest.{module}.LONGEST_RECORD", 10_000)
    monkeypatch.setattr(csv_files, "BYTES_PER_BATCH", 1_000)
    start = HEADER + rows(1) + '2,"' if name == "a.csv" else json.dumps(FACT | {"id": "1"}) + '\n{"id": "'
    visits = inbox(VISITS)
    visits.drop(name, start + "a" * 50_000)
    assert "more than 10,000" in visits.land().unreadable[name]
    assert ids(visits) == []


def test_columns_that_each_line_names_anew_are_kept_and_remembered_up_to_a_number(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.jsonl", "".join(json.dumps(FACT | {"id": str(n), f"key{n}": n}) + "\n" for n in range(2000)))
    content = visits.land().landed["a.jsonl"]
    assert len(content.unknown_columns) == 1000
    assert rows_of(visits).filter(pl.col("id") == "1234")["_extra"].to_list() == ['{"key1234":"1234"}']
