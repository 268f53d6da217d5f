"""What somebody's files are taken for, and what is asked of them."""

import ast
import gzip
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics_assets.scaffold.domain import as_dropped, files_of, plan_of
from analytics_assets.scaffold.look import Answers, Look, look
from analytics_assets.scaffold.names import column_names, require_free, reserved_words
from analytics_assets.scaffold.pages import records_of
from analytics_assets.scaffold.questions import Question, take_default
from analytics_assets.spec.source import Kind

Looked = Callable[..., Look]


@pytest.fixture
def looked(tmp_path: Path) -> Looked:
    """Looks at one file with some content."""

    def of(
        content: str | bytes, name: str = "orders.csv", ask: Callable[[Question], str] = take_default, **answers: object
    ) -> Look:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return look("orders", [tmp_path / name], ask, Answers(**answers))  # type: ignore[arg-type]

    return of


def asked(answers: dict[str, str]) -> tuple[Callable[[Question], str], list[str]]:
    """Answers questions by what they are about, and what they were about."""
    about: list[str] = []

    def ask(question: Question) -> str:
        if question.about != "days":  # asked of all files whose rows have a time
            about.append(question.about)
        assert not question.choices or question.default in question.choices
        return answers.get(question.about, question.default)

    return ask, about


def types(found: Look) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in found.source.columns.items()}


# ------------------------------------------------------------------------------------------------------------ types


def test_types_are_those_that_all_values_have_and_markers_stand_for_nothing(looked: Looked) -> None:
    found = looked(
        "order_id,sold_at,amount,quantity,is_new,zip,note,weight\n"
        "007,2026-01-05T10:00:00Z,12.50,NA,yes,08001,a,1.25\n"
        "008,2026-01-05T11:00:00Z,7.25,3,no,28013,NA,NA\n"
        "009,2026-01-06T11:00:00+01:00,0.10,4,no,28013,b,3.5e2\n"
    )
    assert found.source.columns == {
        "order_id": pl.String,  # its zeros would be lost
        "sold_at": pl.Datetime("us"),
        "amount": pl.Decimal(38, 9),
        "quantity": pl.Int64,
        "is_new": pl.Boolean,
        "zip": pl.String,
        "note": pl.String,
        "weight": pl.Float64,
    }
    assert found.source.null_values == {"quantity": ("NA",), "note": ("NA",), "weight": ("NA",)}
    assert (found.source.kind, found.source.time, found.source.primary_key) == (Kind.FACTS, "sold_at", ("order_id",))
    assert found.rejected == {}
    assert {one.name: one.is_mean for one in found.measures} == {"amount": False, "quantity": False, "weight": True}


def test_a_text_column_keeps_what_stands_for_nothing_in_no_column_of_numbers(looked: Looked) -> None:
    found = looked("id,at,sign\n1,2026-01-05,-\n2,2026-01-06,+\n")
    assert found.source.null_values == {}
    assert found.rows["sign"].to_list() == ["-", "+"]


def test_numbers_with_a_decimal_comma_and_groups_are_read_as_they_are_meant(looked: Looked) -> None:
    found = looked("id;am;betrag;anteil\n1;05.01.2026;1.234,50;0,5\n2;17.01.2026;12,00;0,25\n")
    source = found.source
    assert (source.delimiter, source.decimal, source.thousands) == (";", ",", ".")
    assert source.time_formats == {"am": "%d.%m.%Y"}
    assert found.rows["betrag"].to_list() == [1234.5, 12.0]
    assert found.rows["am"].to_list() == [date(2026, 1, 5), date(2026, 1, 17)]


@pytest.mark.parametrize(("answer", "value"), [("thousands", 1234), ("fraction", 1.234)])
def test_a_comma_before_three_digits_is_asked_about(looked: Looked, answer: str, value: float) -> None:
    ask, about = asked({"numbers": answer})
    found = looked("id;at;units\na;2026-01-05;1,234\nb;2026-01-06;2,500\n", ask=ask)
    assert about == ["numbers"]
    assert found.rows["units"][0] == value


def test_an_exact_amount_with_a_comma_is_not_asked_about(looked: Looked) -> None:
    ask, about = asked({})
    found = looked("id;at;units\na;2026-01-05;1,2\nb;2026-01-06;2,5\n", ask=ask)
    assert (about, found.rows["units"].to_list()) == ([], [1.2, 2.5])


@pytest.mark.parametrize(("answer", "day"), [("day", date(2026, 3, 4)), ("month", date(2026, 4, 3))])
def test_a_date_that_can_be_read_in_two_ways_is_asked_about(looked: Looked, answer: str, day: date) -> None:
    ask, about = asked({"dates": answer})
    found = looked("id,ordered,paid\n1,04/03/2026,05/03/2026\n2,05/03/2026,06/03/2026\n", ask=ask, time="ordered")
    assert about == ["dates"], "once for both columns"
    assert found.rows["ordered"][0] == day


def test_another_column_may_tell_which_of_day_and_month_comes_first(looked: Looked) -> None:
    ask, about = asked({})
    found = looked("id,ordered,paid\n1,04/03/2026,25/03/2026\n2,05/03/2026,26/03/2026\n", ask=ask, time="ordered")
    assert about == []
    assert found.source.time_formats == {"ordered": "%d/%m/%Y", "paid": "%d/%m/%Y"}


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("Jan 1 2000", "%b %d %Y", "2000-01-01"),
        ("2010/01/01 13:05:00", "%Y/%m/%d %H:%M:%S", "2010-01-01 13:05:00"),
        ("13-Feb-2026", "%d-%b-%Y", "2026-02-13"),
        ("02/13/2026 01:05 PM", "%m/%d/%Y %I:%M %p", "2026-02-13 13:05:00"),
        ("13/Feb/2026:10:00:00 +0100", "%d/%b/%Y:%H:%M:%S %z", "2026-02-13 09:00:00"),
        ("20260213", "%Y%m%d", "2026-02-13"),
    ],
)
def test_a_time_that_is_not_iso_has_its_format_in_the_spec(looked: Looked, text: str, form: str, value: str) -> None:
    found = looked(f'id,date\n1,"{text}"\n')
    assert found.source.time_formats == {"date": form}
    assert str(found.rows["date"][0]) == value


def test_numbers_since_1970_are_times_if_their_name_says_so(looked: Looked) -> None:
    found = looked("id,created_at,size\n1,1767607200000,1767607200000\n2,1767607260000,1767607260000\n")
    assert (found.source.epoch, found.source.time) == ({"created_at": "ms"}, "created_at")
    assert types(found)["size"] == "Int64"
    assert found.rows["_day"][0] == date(2026, 1, 5)


@pytest.mark.parametrize(("answer", "expected"), [("nothing", (100, 0)), ("rejects", (99, 1)), ("text", (100, 0))])
def test_few_odd_values_are_asked_about(looked: Looked, answer: str, expected: tuple[int, int]) -> None:
    ask, about = asked({"odd": answer})
    rows = "".join(f"{number},2026-01-05,{'unknown' if number == 7 else number}\n" for number in range(100))
    found = looked(f"id,date,score\n{rows}", ask=ask)
    assert about == ["odd"]
    assert (found.rows.height, sum(found.rejected.values())) == expected
    assert types(found)["score"] == ("String" if answer == "text" else "Int64")


@pytest.mark.parametrize("answer", ["nothing", "text"])
def test_numbers_but_for_one_word_are_numbers_however_often_it_stands_there(looked: Looked, answer: str) -> None:
    ask, about = asked({"odd": answer})
    rows = "".join(
        f"2026-01-{n % 28 + 1:02},{'closed' if n % 5 else n / 4},{'closed' if n % 9 else n},"
        f"{'closed' if n == 3 else 'x'}\n"
        for n in range(100)
    )
    found = looked(f"date,height,depth,note\n{rows}", ask=ask)
    if answer == "text":
        assert (types(found)["height"], found.source.null_values) == ("String", {})
        return
    assert about == ["odd", "odd"]
    assert (types(found)["height"], types(found)["depth"], found.rejected) == ("Float64", "Int64", {})
    assert found.source.null_values == dict.fromkeys(("height", "depth", "note"), ("closed",))
    assert "“closed” stands for nothing" in next(one.why for one in found.said if one.what == "height")


def test_a_word_that_stands_for_nothing_in_one_column_does_so_in_all(looked: Looked) -> None:
    rows = "".join(f"2026-01-{n % 28 + 1:02},{'M' if n == 50 else n},{'M' if n % 3 else n % 2}\n" for n in range(100))
    found = looked(f"date,score,level\n{rows}")
    assert types(found)["level"] == "Int64", "too few numbers beside the word, but the other column tells of it"
    assert found.source.null_values == {"score": ("M",), "level": ("M",)}
    assert found.rejected == {}


def test_few_words_beside_a_word_that_is_often_there_are_no_numbers(looked: Looked) -> None:
    rows = "".join(f"{n},2026-01-05,{'A' if n % 2 else n % 3}\n" for n in range(99))
    assert types(looked(f"id,date,grade\n{rows}"))["grade"] == "String"


# ------------------------------------------------------------------------------------------------------ time and key


def test_of_two_times_the_one_whose_name_says_so_is_that_of_the_row_and_the_other_one_orders_versions(
    looked: Looked,
) -> None:
    found = looked(
        "order_id,updated_at,ordered_at\n"
        "1,2026-01-06T10:00:00Z,2026-01-05T10:00:00Z\n"
        "1,2026-01-07T10:00:00Z,2026-01-05T10:00:00Z\n"
        "2,2026-01-06T10:00:00Z,2026-01-06T10:00:00Z\n"
    )
    assert (found.source.time, found.source.primary_key) == ("ordered_at", ("order_id",))
    assert found.source.dedup_order == ("updated_at desc",)


def test_of_two_equally_good_times_one_is_asked_for(looked: Looked) -> None:
    ask, about = asked({"time": "payment_date"})
    found = looked("id,visit_date,payment_date\n1,2026-01-05,2026-01-06\n2,2026-01-06,2026-01-08\n", ask=ask)
    assert (about, found.source.time) == (["time"], "payment_date")
    ask, about = asked({"time": "none"})
    found = looked("id,visit_date,payment_date\n1,2026-01-05,2026-01-06\n2,2026-01-06,2026-01-08\n", ask=ask)
    assert (found.source.kind, found.source.time) == (Kind.DELIVERY, None)


def test_the_zone_of_times_without_one_is_asked_and_makes_their_day(looked: Looked) -> None:
    ask, about = asked({"timezone": "America/New_York"})
    found = looked("id,at\n1,2026-01-05 23:30:00\n2,2026-01-06 00:30:00\n", ask=ask)
    assert about == ["timezone"]
    assert found.timezone == found.source.timezone == "America/New_York"
    assert found.rows["_day"].to_list() == [date(2026, 1, 5), date(2026, 1, 6)]
    with pytest.raises(ValueError, match="'Mars/Olympus' is no zone"):
        looked("id,at\n1,2026-01-05 23:30:00\n", timezone="Mars/Olympus")


def test_a_key_is_the_smallest_set_that_tells_rows_apart_and_else_rows_are_numbered(looked: Looked) -> None:
    lines = "".join(f"{order},{line},2026-01-05,7\n" for order in range(30) for line in range(3))
    assert looked(f"order_no,line,date,price\n{lines}").source.primary_key == ("order_no", "line")
    again = looked(
        "user,date,amount,shop\na,2026-01-05,7,x\na,2026-01-05,7,x\na,2026-01-05,7,\nb,2026-01-05,7,x\n", time="date"
    )
    assert again.source.primary_key[-1] != "_repeat" or again.rows.height == 4
    twice = looked("user,date,shop\n" + "a,2026-01-05,x\n" * 3 + "a,2026-01-05,\n", key=("user", "date", "_repeat"))
    assert twice.source.primary_key == ("user", "date", "_repeat")


def test_that_a_key_of_few_rows_may_hold_by_chance_is_said(looked: Looked) -> None:
    def why(rows: int) -> str:
        lines = "".join(f"n{n // 28},2026-01-{n % 28 + 1:02}\n" for n in range(rows))
        return next(one.why for one in looked(f"name,hired_on\n{lines}").said if one.what == "primary key")

    assert why(56) == "no two rows are equal in name and hired_on; they are only 56: --key names another"
    assert why(1_120) == "no two rows are equal in name and hired_on"


def test_a_value_that_is_rejected_is_shown_with_the_zone_that_has_no_such_time(looked: Looked) -> None:
    rows = "".join(f"2010-03-14 0{n}:00:00,{n}\n" for n in range(9))
    found = looked(f"at_time,temp\n{rows}", timezone="America/Los_Angeles")
    assert found.rejected == {"at_time: `2010-03-14 02:00:00` is no time in America/Los_Angeles: 1 row": 1}


def test_a_measure_is_no_part_of_a_key(looked: Looked) -> None:
    rows = "".join(f"2026-01-{n % 9 + 1:02},a,{n}.50,{n}.25,{n}\n" for n in range(60))
    found = looked(f"date,shop,amount,height,quantity\n{rows}")
    assert found.source.primary_key == ("date", "shop", "_repeat")
    assert found.rejected == {}


def test_rows_that_are_there_twice_word_for_word_do_not_break_a_key(looked: Looked) -> None:
    found = looked("id,date,shop\n1,2026-01-05,x\n1,2026-01-05,x\n2,2026-01-05,y\n")
    assert found.source.primary_key == ("id",)
    assert "1 rows are there twice" in next(one.why for one in found.said if one.what == "primary key")


def test_files_without_times_are_lists_or_deliveries_by_their_names(tmp_path: Path) -> None:
    def kind(files: dict[str, str]) -> Kind:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(f"id,plan\n{text}")
        found = look("companies", [folder / name for name in files])
        assert found.first_day is None
        return found.source.kind

    assert kind({"all.csv": "1,a\n2,b\n"}) is Kind.DELIVERY
    assert kind({"all-2026-01-05.csv": "1,a\n2,b\n", "all-2026-01-06.csv": "1,a\n2,c\n"}) is Kind.SNAPSHOT
    assert kind({"new-2026-01-05.csv": "1,a\n2,b\n", "new-2026-01-06.csv": "3,a\n4,c\n"}) is Kind.DELIVERY
    assert kind({"a.csv": "1,a\n2,b\n", "b.csv": "3,a\n"}) is Kind.DELIVERY


def test_a_delivery_without_a_date_is_dropped_as_yesterdays(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"id,plan\n{name},x\n")
    found = look("parts", [tmp_path / "a.csv", tmp_path / "b.csv"])
    assert as_dropped(found, date(2026, 1, 5)) == ["a-2026-01-05.csv", "b-2026-01-05.csv"]
    for name in ("a-2026-02-01.csv", "v2.csv"):
        (tmp_path / name).write_text("id,plan\n1,x\n")
    assert as_dropped(look("parts", [tmp_path / "a-2026-02-01.csv"]), date(2026, 1, 5)) == ["a-2026-02-01.csv"]
    assert as_dropped(look("parts", [tmp_path / "v2.csv"]), date(2026, 1, 5)) == ["parts-2026-01-05.csv"]


def test_the_days_are_asked_for_and_those_of_the_files_are_proposed(looked: Looked) -> None:
    rows = "".join(f"{number},2025-01-{number % 28 + 1:02}\n" for number in range(300))
    found = looked(f"id,date\n{rows}")
    assert (found.first_day, found.last_day) == (date(2025, 1, 1), date(2025, 1, 28))
    ask, _ = asked({"days": "2025-01-02 to now"})
    found = looked(f"id,date\n{rows}", ask=ask)
    assert (found.first_day, found.last_day) == (date(2025, 1, 2), None)
    assert "11 rows are of other days, and wait" in next(one.why for one in found.said if one.what == "days")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert looked(f"id,date\n1,{yesterday}\n").last_day is None, "more will come"
    ask, _ = asked({"days": "last year"})
    with pytest.raises(ValueError, match="'last year' is no span of days"):
        looked(f"id,date\n{rows}", ask=ask)


def test_few_rows_that_are_years_away_from_all_others_make_no_days(looked: Looked) -> None:
    rows = "".join(f"{number},2025-01-{number % 28 + 1:02}\n" for number in range(300))
    found = looked(f"id,date\n{rows}999,1970-01-01\n")
    assert (found.first_day, found.last_day, found.rows.height) == (date(2025, 1, 1), date(2025, 1, 28), 301)


# -------------------------------------------------------------------------------------------- sums, means, dimensions

TRIPS = "date,is_late,child,floor,size,cnt,height\n" + "".join(
    f"2026-01-{n % 28 + 1:02},{n % 2},{n % 2},{n % 7},{n % 5},{n % 3},{n / 8}\n" for n in range(280)
)


def test_few_whole_numbers_are_dimensions_and_flags_are_booleans(looked: Looked) -> None:
    found = looked(TRIPS)
    assert types(found)["is_late"] == "Boolean"
    assert found.dimensions == ("is_late", "child", "size", "floor")
    assert [(one.name, one.is_mean) for one in found.measures] == [("cnt", False), ("height", True)]
    assert found.rejected == {}


def test_options_override_what_is_summed_and_split_by(looked: Looked) -> None:
    found = looked(TRIPS, by=("floor",), sum=("height",), mean=("size",))
    assert found.dimensions == ("floor",)
    assert [(one.name, one.is_mean) for one in found.measures] == [("height", False), ("size", True), ("cnt", False)]
    for answers, said in (
        ({"by": ("place",)}, "--by names place; there is date"),
        ({"by": ("height",)}, "--by names height, which holds numbers"),
        ({"by": ("date",)}, "--by names date, by whose day"),
        ({"sum": ("is_late",)}, "--sum names is_late, which holds yes or no"),
        ({"sum": ("size",), "mean": ("size",)}, "--mean names size, and --sum does already"),
    ):
        with pytest.raises(ValueError, match=said):
            looked(TRIPS, **answers)


def test_measures_beyond_the_limit_are_said_and_what_adds_up_comes_first(looked: Looked) -> None:
    names = [f"height_{n}" for n in range(13)] + ["amount"]
    rows = "".join(f"2026-01-05,{','.join([str(n / 7)] * 13)},{n}\n" for n in range(30))
    found = looked(f"date,{','.join(names)}\n{rows}")
    assert [one.name for one in found.measures] == ["amount", *names[:11]]
    assert [one.guess for one in found.said if one.what == "left out"] == ["height_11, height_12"]


# ------------------------------------------------------------------------------------------------------------- files


def test_columns_that_some_files_lack_are_optional_and_other_spellings_are_aliases(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Order ID,Ordered At,coupon\n1,2026-01-05,x\n")
    (tmp_path / "b.csv").write_text("orderId,ordered_at\n2,2026-01-06\n")
    source = look("orders", [tmp_path / "a.csv", tmp_path / "b.csv"]).source
    assert list(source.columns) == ["order_id", "ordered_at", "coupon"]
    assert source.optional == {"coupon"}
    assert source.aliases == {"order_id": ("Order ID", "orderId"), "ordered_at": ("Ordered At",)}


def test_a_file_without_a_header_gets_names(looked: Looked) -> None:
    found = looked("1,2026-01-05,a\n2,2026-01-06,b\n")
    assert (found.source.header, list(found.source.columns)) == (False, ["column_1", "column_2", "column_3"])
    named = looked("1,2026-01-05,a\n2,2026-01-06,b\n", columns=("id", "on_day", "what"))
    assert (named.source.time, named.source.primary_key) == ("on_day", ("id",))


@pytest.mark.parametrize(
    ("above", "delimiter", "lines"),
    [
        ("Sales by day\n", ",", 1),
        ("Sales by day,,,\n\nexported,2026-01-07,,\n", ",", 3),
        ("# sales, by day\n# of all shops\n", ";", 2),
        ('"A title\nof two lines"\n', ",", 2),
    ],
)
def test_lines_above_the_header_are_found_and_said(looked: Looked, above: str, delimiter: str, lines: int) -> None:
    table = "id,sold_on,amount,shop\n1,2026-01-05,2.5,a\n2,2026-01-06,3.5,b\n".replace(",", delimiter)
    found = looked(above + table)
    assert (found.source.skip_lines, found.source.delimiter) == (lines, delimiter)
    assert list(found.source.columns) == ["id", "sold_on", "amount", "shop"] and found.rows.height == 2
    (said,) = (one for one in found.said if one.what == "lines above")
    assert said.guess == f"{lines} skipped" and above[2:8].strip() in said.why
    assert f"skip_lines={lines}," in files_of(plan_of(found, "orders"))["analytics_assets/defs/orders/sources.py"]


@pytest.mark.parametrize(
    "content",
    [
        "id;at;amount\n1;2026-01-05;2,5\n2;2026-01-06;3,5\n",  # a comma would cut each row, and leave the header whole
        ",,2026-01-05\n1,2,2026-01-05\n3,4,2026-01-06\n",  # the first record of a file without a header
        "id,at,,\n1,2026-01-05,2,3\n2,2026-01-05,2,3\n",  # columns without names
    ],
)
def test_no_header_or_record_is_taken_for_a_line_above(looked: Looked, content: str) -> None:
    assert looked(content).source.skip_lines == 0


def test_files_with_several_numbers_of_lines_above_are_refused(tmp_path: Path) -> None:
    table = "id,at,shop\n1,2026-01-05,a\n"
    (tmp_path / "a.csv").write_text(table)
    (tmp_path / "b.csv").write_text("A title\n" + table)
    with pytest.raises(ValueError, match=r"a\.csv: 0, b\.csv: 1"):
        look("orders", [tmp_path / "a.csv", tmp_path / "b.csv"])


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_other_encodings_are_told_by_their_bytes(looked: Looked, encoding: str) -> None:
    found = looked("id,stadt,date\n1,Köln,2026-01-05\n2,Malmö,2026-01-06\n".encode(encoding))
    assert found.source.encoding == encoding.removesuffix("-sig")
    assert found.rows["stadt"].to_list() == ["Köln", "Malmö"]


def test_json_lines_and_parquet_and_gzip_are_looked_at_alike(looked: Looked, tmp_path: Path) -> None:
    records = [
        {"id": 1, "at": "2026-01-05T10:00:00Z", "tags": ["a"]},
        {"id": 2, "at": "2026-01-06T10:00:00Z", "n": 2.5},
    ]
    lines = "".join(json.dumps(one) + "\n" for one in records).encode()
    expected = {"id": "Int64", "at_field": "Datetime(time_unit='us', time_zone=None)", "tags": "String", "n": "Float64"}
    assert types(looked(lines, "a.jsonl")) == types(looked(gzip.compress(lines), "a.jsonl.gz")) == expected
    pl.DataFrame({"id": [1, 2], "On Day": [date(2026, 1, 5), date(2026, 1, 6)], "v": [1.5, None]}).write_parquet(
        tmp_path / "b.parquet"
    )
    found = look("orders", [tmp_path / "b.parquet"])
    assert types(found) == {"id": "Int64", "on_day": "Date", "v": "Float64"}
    assert found.source.aliases == {"on_day": ("On Day",)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,id\n1,2\n", "names id more than once"),
        ("id,at\n", "none would be accepted"),
        ("\n\n", "holds no line"),
        (b"PK\x03\x04 is a workbook", "a ZIP archive or a workbook"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_looked_at_is_said(looked: Looked, content: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        looked(content)


def test_files_of_several_kinds_are_refused_with_what_differs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,at\n1,2026-01-05\n")
    (tmp_path / "b.csv").write_text("id;at\n1;2026-01-05\n")
    (tmp_path / "c.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(ValueError, match=r"a.csv: ',', b.csv: ';'"):
        look("orders", [tmp_path / "a.csv", tmp_path / "b.csv"])
    with pytest.raises(ValueError, match="csv and json lines"):
        look("orders", [tmp_path / "a.csv", tmp_path / "c.jsonl"])
    with pytest.raises(ValueError, match="there is no such file"):
        look("orders", [tmp_path / "d.csv"])


def test_a_page_of_an_api_is_its_one_list_of_records() -> None:
    records = [{"id": 1}, {"id": 2}]
    assert records_of(records) == ("", records)
    assert records_of({"total": 2, "data": records, "links": []}) == ("data", records)
    for page in ({"a": records, "b": records}, {"a": 1}, "text", []):
        with pytest.raises(ValueError, match="should hold one list of records"):
            records_of(page)


# ------------------------------------------------------------------------------------------------------------- names


def test_names_of_columns_are_snake_case_and_no_words_of_sql_and_each_is_there_once() -> None:
    spelled = [
        "Order ID",
        "orderId",
        "order_id",
        "select",
        "Größe (cm)",
        "2nd",
        "日本",
        "_x",
        "row_count",
        "a" * 300,
        "Group By",
    ]
    names = column_names(spelled)
    assert list(names[text] for text in spelled[:4]) == ["order_id_2", "order_id_3", "order_id", "select_field"]
    assert (names["Größe (cm)"], names["2nd"], names["日本"], names["_x"]) == ("grosse_cm", "n_2nd", "column_7", "x")
    assert len(names["a" * 300]) == 60
    assert len(set(names.values())) == len(spelled)
    assert not set(names.values()) & reserved_words()


@pytest.mark.parametrize(
    "name", ["class", "select", "Orders", "my-orders", "1st", "", "a" * 61, "a__b", "a/../b", "match"]
)
def test_a_domain_has_a_name_that_python_and_sql_can_take(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no name of a domain|is a word of Python or SQL"):
        require_free(name, {})


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="'orders' is the name of a domain already"):
        require_free("orders", {"orders": "a domain"})


HOSTILE = [
    'a"b',
    "it's",
    "{{ config.x }}",
    "{% raw %}",
    "line\nbreak",
    "<< name >>",
    "x" * 300,
    "from",
    "_day",
    "día; drop table x",
    "\\N",
    "count",
    "len",
    "literal",
]


@pytest.mark.parametrize("values", [["1", "2", "3"], ["{{ x }}", 'a"b', "it's\n"]], ids=["numbers", "texts"])
def test_hostile_names_and_values_become_code_that_holds_them_as_texts(looked: Looked, values: Sequence[str]) -> None:
    frame = pl.DataFrame({"day": ["2026-01-05", "2026-01-05", "2026-01-06"]} | {name: values for name in HOSTILE})
    repeated = pl.concat([frame] * 6)
    found = looked(repeated.write_csv())
    assert found.rejected == {}
    texts = files_of(plan_of(found, "team:x"))
    for name, text in texts.items():
        if name.endswith(".py"):
            tree = ast.parse(text)
            held = {
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            if name.endswith("sources.py"):
                assert set(HOSTILE) - {"from"} <= held
        else:
            assert (
                "{{ x }}" not in text
                and "{{ config.x" not in text
                and "drop table" not in text.replace("día; drop table x", "")
            )
            assert "{% raw" not in text and "<<" not in text


def test_wide_and_narrow_files_are_looked_at(looked: Looked) -> None:
    wide = ",".join(f"c{number}" for number in range(200)) + "\n" + (",".join("7" for _ in range(200)) + "\n") * 2
    assert len(looked(wide).source.columns) == 200
    assert looked("word\na\nb\n").source.primary_key == ("word",)
    assert looked("id\n7\n").rows.height == 1


def test_no_identifying_text_of_a_file_stands_in_its_simulator(looked: Looked) -> None:
    rows = "".join(
        f"{n},2026-01-05,Ana Lovelace,ana@example.com,{'rare' if n == 3 else 'usual'},secret-{n}\n" for n in range(40)
    )
    found = looked(f"id,date,customer_name,email,plan,token\n{rows}")
    simulator = files_of(plan_of(found, "team:x"))["analytics_assets/defs/orders/simulator.py"]
    assert "usual" in simulator
    assert not any(text in simulator for text in ("Lovelace", "example.com", "rare", "secret"))
