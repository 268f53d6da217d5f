"""Looks at files and says what source they are: a spec that landing reads them by, and why each part of it is so.

Pure inference: it reads the files, asks by the function that it is given, and writes nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from analytics_assets.ingest.formats import read_batches
from analytics_assets.ingest.parse import parse_batch
from analytics_assets.ingest.records import UnreadableFile
from analytics_assets.ingest.rejects import reasons_of
from analytics_assets.partitions import Calendar
from analytics_assets.scaffold.columns import (
    AMOUNT,
    ColumnLook,
    NumberForm,
    is_day_first,
    look_at,
    number_form,
)
from analytics_assets.scaffold.files import Form, form_of, read_texts, require_files
from analytics_assets.scaffold.keys import find_key, given_key, is_of_calendar, is_of_id, is_sum, mean_length
from analytics_assets.scaffold.names import said_plainly
from analytics_assets.scaffold.questions import Ask, Question, take_default
from analytics_assets.spec.source import REPEAT, UNDATED, Kind, Source

RECENT = timedelta(days=31)  # of a history that ended before that, nothing more is expected
MOST_DIMENSIONS = 4
MOST_VALUES = 50  # of a dimension
MOST_ROWS_OF_MART = 40_000  # days times combinations that occur: what a page in a browser takes
MOST_MEASURES = 12
MOST_NUMBERS = 12  # whole numbers of a dimension; ids may be as many as texts
ROWS_OF_A_NUMBER = 20  # on average: what comes that often names something
LONGEST_DIMENSION = 40  # characters on average: what is longer is a text that people wrote
YEAR = timedelta(days=366)
GAP = timedelta(days=5 * 366)  # between days that belong together, there is none as long

_GOOD_TIMES = re.compile(
    r"^(timestamp|datetime|date|time|ts|day|at|when|created|created_at|event_(time|timestamp|date|at)|occurred_at|"
    r"(order|invoice|transaction|sale|sales|purchase|booking|trip|pickup|start|started|visit|payment|posting|value)_"
    r"(date|datetime|time|at|ts)|ordered_at|started_at|time_hour)$"
)
_TIMES = re.compile(r"(_|^)(at|time|date|datetime|ts|timestamp|on|day|hour)$")
_LATER_TIMES = re.compile(
    r"(^|_)(updated|modified|changed|deleted|end|ended|finish|finished|closed|cancel\w*|deliver\w*|ship\w*|dropoff|"
    r"return\w*|planned|sched\w*|last|loaded|landed|import\w*|export\w*|processed|received)(_|$)"
)
_NO_TIMES = re.compile(r"(^|_)(birth\w*|born|dob|expir\w*|valid|until|due|holiday)(_|$)")
_OF_NO_MEASURE = re.compile(
    r"(^|_)(lat|latitude|lon|lng|long|longitude|dir|direction|bearing|angle|year|version|rank|index|row|rowid|unnamed)(_|$)"
)


@dataclass(frozen=True)
class Said:
    """A guess: what of, what was guessed, and why."""

    what: str
    guess: str
    why: str


@dataclass(frozen=True)
class Answers:
    """What somebody says beforehand; empty where they leave it to the files."""

    time: str = ""
    key: tuple[str, ...] = ()
    timezone: str = ""
    kind: str = ""
    columns: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    sum: tuple[str, ...] = ()
    mean: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasureLook:
    """A column of numbers that a mart sums.

    Attributes:
        is_mean: whether its mean is what people ask for, and not its sum.
        is_flag: whether it holds 0 and 1 alone: its mean is the share of 1.
    """

    name: str
    is_mean: bool
    is_whole: bool
    is_flag: bool = False


@dataclass(frozen=True)
class Look:
    """What was found.

    Attributes:
        source: the spec.
        columns: its columns, by name.
        rows: the accepted rows of the files, typed, with `_day`.
        rejected: how many rows it rejects, by a sentence that says why.
        said: what was guessed, and why.
        dimensions: the columns to split by, those with few values first.
        measures: the columns to sum.
        first_day, last_day: of the rows; None if they have no days of their own, and no last one if it is recent.
        timezone: of the days.
    """

    source: Source
    columns: Mapping[str, ColumnLook]
    rows: pl.DataFrame
    rejected: Mapping[str, int]
    said: Sequence[Said]
    dimensions: tuple[str, ...]
    measures: tuple[MeasureLook, ...]
    first_day: date | None
    last_day: date | None
    timezone: str
    files: tuple[Path, ...] = field(default=())


def look(name: str, files: Sequence[Path], ask: Ask = take_default, answers: Answers = Answers()) -> Look:
    """Looks at files.

    Args:
        name: of the source.
        ask: answers what the files leave open.

    Raises:
        ValueError: they cannot be read, or an answer does not fit them.
    """
    require_files(files)
    asked: dict[tuple[str, str], str] = {}

    def ask_once(question: Question) -> str:
        about = (question.about, "" if question.about == "dates" else question.sentence)
        if about not in asked:
            asked[about] = ask(question)
        return asked[about]

    form, told = form_of(files, ask_once, answers.columns)
    said = [Said(*one) for one in told]
    texts = _texts(files, form)
    numbers = NumberForm()
    if form.kind == "csv":
        strings = {one.name: one for one in texts if one.dtype == pl.String}
        numbers, why = number_form(strings, form.delimiter, ask_once)
        if why:
            said.append(Said("numbers", f"decimal {numbers.decimal}  thousands {numbers.thousands or 'none'}", why))
    columns, of_dates = _columns(texts, form, numbers, ask_once)
    said += of_dates
    columns = _with_common_marks(columns, texts, numbers, ask_once)
    _require_fit(columns, answers)
    source = _provisional(name, form, numbers, columns, files)
    rows, _ = parsed(source, files)
    source, of_days, timezone = _with_days(source, columns, rows, files, ask_once, answers)
    rows, _ = parsed(source, files)
    within = [] if source.kind is Kind.FACTS else ["_source_file"]
    if answers.key:
        if unknown := [one for one in answers.key if one not in columns and one != REPEAT]:
            raise ValueError(f"--key names {', '.join(unknown)}; there is {', '.join(columns)}")
        key = given_key(rows, answers.key, within)
    else:
        key = find_key(rows, columns, source.time, within)
    source = replace(source, primary_key=key.columns, may_be_empty=key.may_be_empty, dedup_order=key.dedup_order)
    rows, rejected = parsed(source, files)
    if rows.is_empty():
        raise ValueError(f"of the files' rows none would be accepted ({'; '.join(rejected) or 'there is none'})")
    first, last = _span(rows, ask_once) if source.kind is Kind.FACTS else (None, None)
    said += [*of_days, Said("primary key", ", ".join(key.columns), key.why)]
    if key.dedup_order:
        said.append(Said("dedup order", ", ".join(key.dedup_order), "of two rows with one key, this one stays"))
    if first:
        beyond = rows.filter((pl.col("_day") < first) | (pl.col("_day") > (last or date.max))).height
        why = "the oldest and the newest row" if last else "the oldest row; the newest one is recent: more will come"
        why += f"; {beyond:,} rows are of other days, and wait" if beyond else ""
        said.append(Said("days", f"{first} to {last or 'now'}", why))
    measures, of_measures = _measures(source, columns, rows, answers)
    dimensions, of_dimensions = _dimensions(source, columns, rows, answers)
    said += _of_columns(columns, measures) + of_measures + of_dimensions
    return Look(
        source,
        columns,
        rows,
        rejected,
        said,
        dimensions,
        measures,
        first,
        last,
        timezone,
        tuple(files),
    )


def parsed(source: Source, files: Sequence[Path]) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of files as landing would accept them, and how many it would reject, by a sentence that says why.

    Raises:
        ValueError: it would refuse a file.
    """
    frames, rejected, now = [], [], datetime.now(UTC).replace(tzinfo=None)
    for file in files:
        try:
            for batch in read_batches(file, source):
                found = parse_batch(batch, source, file.name, now)
                frames.append(found.accepted.drop("_extra", "_landed_at"))
                rejected.append(found.rejected)
        except UnreadableFile as error:
            raise ValueError(f"{file.name}: {error}") from error
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=dict(source.columns))
    return rows, reasons_of(source, pl.concat(rejected)) if rejected else {}


def _texts(files: Sequence[Path], form: Form) -> pl.DataFrame:
    """What the files hold under the project's names; a column that some files lack is null in their rows."""
    frames = [read_texts(file, form, position) for position, file in enumerate(files)]
    typed = {name: {frame.schema[name] for frame in frames if name in frame.columns} for name in form.names.values()}
    mixed = [name for name, types in typed.items() if len(types - {pl.Null()}) > 1]
    frames = [
        frame.with_columns(pl.col(name).cast(pl.String) for name in mixed if name in frame.columns) for frame in frames
    ]
    whole = pl.concat(frames, how="diagonal_relaxed")
    return whole.with_columns(
        pl.col(name).cast(pl.String)
        for name, dtype in whole.schema.items()
        if dtype == pl.Null or isinstance(dtype, pl.Categorical | pl.Enum)
    )


def _columns(
    texts: pl.DataFrame, form: Form, numbers: NumberForm, ask: Ask
) -> tuple[dict[str, ColumnLook], list[Said]]:
    """What each column holds; asks first after all columns that need no answer, since those may answer for them."""
    spelled: dict[str, dict[str, None]] = {}
    for text, name in form.names.items():
        spelled.setdefault(name, {})[text] = None
    open_: dict[str, set[str]] = {}
    found: dict[str, ColumnLook] = {}
    for name in dict.fromkeys(form.names.values()):
        held = texts[name] if name in texts.columns else pl.Series(name, [], pl.String)

        def note(question: Question, name: str = name) -> str:
            open_.setdefault(name, set()).add(question.about)
            return question.default

        found[name] = look_at(name, list(spelled[name]), held, numbers, note)
    orders = {
        order: name
        for name, one in found.items()
        if "dates" not in open_.get(name, ()) and (order := is_day_first(one.time_format)) is not None
    }
    said = []
    day_first = None
    if len(orders) == 1 and any("dates" in about for about in open_.values()):
        ((day_first, by),) = orders.items()
        said.append(Said("dates", "day first" if day_first else "month first", f"{by} can be read in no other way"))
    for name in open_:
        found[name] = look_at(name, list(spelled[name]), texts[name], numbers, ask, day_first=day_first)
    return found, said


def _with_common_marks(
    columns: Mapping[str, ColumnLook], texts: pl.DataFrame, numbers: NumberForm, ask: Ask
) -> dict[str, ColumnLook]:
    """What stands for nothing in a column of numbers or times stands for it in columns of text, too.

    A column that is text for such words alone is looked at again without them.
    """
    known = {mark for one in columns.values() for mark in one.nulls}
    found = dict(columns)
    for name, one in columns.items():
        if known and one.dtype == pl.String and name in texts.columns and texts[name].dtype == pl.String:
            held = texts[name].str.strip_chars()
            if marks := sorted(mark for mark in known if (held == mark).any()):
                again = look_at(name, one.spelled, texts[name], numbers, ask, nothing=marks)
                found[name] = again if again.nulls else replace(again, nulls=tuple(marks), is_complete=False)
    return found


def _provisional(
    name: str, form: Form, numbers: NumberForm, columns: Mapping[str, ColumnLook], files: Sequence[Path]
) -> Source:
    """The spec without a time or key, so that every row is accepted whose values have the types of their columns."""
    in_all = set.intersection(*(set(map(form.names.get, one)) for one in form.spelled))
    optional = {one for one in columns if one not in in_all} | (set(columns) if form.kind == "json lines" else set())
    nulls = {one.name: one.nulls for one in columns.values() if one.nulls}
    common = {marks for marks in nulls.values()}
    endings = {
        "csv": ("*.csv", "*.csv.gz"),
        "json lines": ("*.jsonl", "*.jsonl.gz", "*.ndjson"),
        "parquet": ("*.parquet",),
    }
    first = max(columns, key=lambda one: columns[one].is_complete and one in in_all)
    return Source(
        name=name,
        patterns=endings[form.kind],
        columns={one.name: one.dtype for one in columns.values()},
        primary_key=(first, REPEAT),
        kind=Kind.DELIVERY,
        optional=frozenset(optional - {first} if form.kind == "json lines" else optional),
        aliases=(
            {n: tuple(s for s in one.spelled if s != n) for n, one in columns.items() if set(one.spelled) - {n}}
            if form.header
            else {}
        ),
        null_values=next(iter(common)) if len(common) == 1 and len(nulls) > 3 else nulls,
        time_formats={one.name: one.time_format for one in columns.values() if one.time_format},
        epoch={one.name: one.epoch for one in columns.values() if one.epoch},
        delimiter=form.delimiter,
        header=form.header,
        skip_lines=form.skip_lines,
        encoding=form.encoding,
        decimal=numbers.decimal,  # type: ignore[arg-type]
        thousands=numbers.thousands,  # type: ignore[arg-type]
    )


# ------------------------------------------------------------------------------------------------------------- days


def _with_days(
    source: Source,
    columns: Mapping[str, ColumnLook],
    rows: pl.DataFrame,
    files: Sequence[Path],
    ask: Ask,
    answers: Answers,
) -> tuple[Source, list[Said], str]:
    """The spec with its kind, its time and its zone; why; and the zone of the days."""
    if answers.kind and answers.kind not in set(Kind):
        raise ValueError(f"--kind {answers.kind!r} is none of {', '.join(Kind)}")
    time, why = _time(columns, rows, ask, answers)
    if time is None or answers.kind in (Kind.DELIVERY, Kind.SNAPSHOT):
        kind, why_kind = _kind_without_time(source, columns, rows, files, answers)
        guess = Said("kind", kind, why_kind if time is None else "as you say")
        return replace(source, kind=kind, time=None), [guess], "UTC"
    zone, said = _zone(time, columns, rows, ask, answers)
    found = replace(
        source,
        kind=Kind.FACTS,
        time=time,
        timezone=zone,
        optional=source.optional - {time},
        calendar=Calendar(timezone=zone),
    )
    return found, [Said("kind", "facts", "its rows have a time of their own"), Said("time", time, why), *said], zone


def _span(rows: pl.DataFrame, ask: Ask) -> tuple[date, date | None]:
    """The first and the last day of the domain: asked, with those of the files as the answer that is proposed.

    Few rows that are years away from all others, as those of 1970 often are, are left out of it.

    Returns:
        The days; no last one if more will come.

    Raises:
        ValueError: the answer is no span of days.
    """
    held: list[tuple[date, int]] = rows["_day"].value_counts(name="rows").sort("_day").rows()
    first, last, few = 0, len(held) - 1, max(1, rows.height // 100)
    while first < last and held[first + 1][0] - held[first][0] > GAP and sum(n for _, n in held[: first + 1]) <= few:
        first += 1
    while first < last and held[last][0] - held[last - 1][0] > GAP and sum(n for _, n in held[last:]) <= few:
        last -= 1
    others = sum(n for place, (_, n) in enumerate(held) if not first <= place <= last)
    end = "now" if held[last][0] >= datetime.now(UTC).date() - RECENT else str(held[last][0])
    what = (
        f"{others:,} rows are years away from all others"
        if others
        else f"The rows are of {held[0][0]} to {held[-1][0]}"
    )
    answer = ask(Question("days", f"{what}: which days are made?", (), f"{held[first][0]} to {end}"))
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d) *(?:to|\.\.|–) *(\d{4}-\d\d-\d\d|now)", answer)
    if not found:
        raise ValueError(f"{answer!r} is no span of days; say one as 2013-01-01 to 2013-12-31, or 2013-01-01 to now")
    return date.fromisoformat(found[1]), None if found[2] == "now" else date.fromisoformat(found[2])


def _time(columns: Mapping[str, ColumnLook], rows: pl.DataFrame, ask: Ask, answers: Answers) -> tuple[str | None, str]:
    if answers.time == "none":
        return None, ""
    if answers.time:
        if answers.time not in columns or not columns[answers.time].is_time:
            known = [one.name for one in columns.values() if one.is_time]
            raise ValueError(
                f"--time {answers.time}: that is no column of times; there is {', '.join(known) or 'none'}"
            )
        return answers.time, "as you say"
    scores = {
        name: score
        for name, one in columns.items()
        if one.is_time and (score := _score(name, one, rows[name])) is not None
    }
    if not scores:
        return None, ""
    best = max(scores.values())
    first = [name for name, score in scores.items() if score == best]
    if len(first) > 1:
        shown = ", ".join(f"{name} (such as {rows[name].drop_nulls()[0]})" for name in first)
        question = Question("time", f"Which time does a row stand on: {shown}?", (*first, "none"), first[0])
        answer = ask(question)
        return (None if answer == "none" else answer), f"of {', '.join(first)}, as was answered"
    others = [name for name in scores if name != first[0]]
    missing = rows[first[0]].null_count()
    why = "the only column of times" if not others else f"rather than {', '.join(others)}, by its name"
    return first[0], why + (f"; {missing:,} rows without it are rejected" if missing else "; no row lacks it")


def _score(name: str, column: ColumnLook, held: pl.Series) -> int | None:
    """How likely it is the time of the rows; None if it is none of theirs."""
    name, missing = name.removesuffix("_field"), held.null_count() / max(1, len(held))
    if _NO_TIMES.search(name) or missing > 0.2:
        return None
    score = 4 if _GOOD_TIMES.match(name) else 2 if _TIMES.search(name) else 0
    return score - 3 * bool(_LATER_TIMES.search(name)) - 2 * bool(missing)


def _zone(
    time: str, columns: Mapping[str, ColumnLook], rows: pl.DataFrame, ask: Ask, answers: Answers
) -> tuple[str, list[Said]]:
    column = columns[time]
    naive = [one.name for one in columns.values() if one.is_time and one.dtype != pl.Date and not one.has_offset]
    zone, why = answers.timezone, "as you say"
    if not zone and naive:
        example = next((rows[one].drop_nulls()[0] for one in naive if rows[one].null_count() < rows.height), "")
        sentence = f"Times of {', '.join(naive)}, such as {example}, say no zone: which one are they in?"
        zone, why = ask(Question("timezone", sentence, (), "UTC")), "as was answered: the times say none"
    if not zone:
        if column.dtype == pl.Date:
            return "UTC", []
        zone, why = "UTC", "its times say their zone; --timezone makes days of another one"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{zone!r} is no zone; say one as Europe/Madrid or America/New_York") from error
    return zone, [Said("timezone", zone, why)]


def _kind_without_time(
    source: Source, columns: Mapping[str, ColumnLook], rows: pl.DataFrame, files: Sequence[Path], answers: Answers
) -> tuple[Kind, str]:
    if answers.kind:
        return Kind(answers.kind), "as you say"
    try:
        days = {source.day_in_path(file.name) for file in files}
    except ValueError:
        days = {UNDATED}
    if UNDATED in days:
        return Kind.DELIVERY, "no column says when a row happened: they stand on the day on which they are delivered"
    key = find_key(rows, columns, None, ["_source_file"])
    names = [name for name in key.columns if name != REPEAT]
    repeats = rows.height - rows.select(names).n_unique()
    if len(files) > 1 and repeats < rows.height * 0.1:
        return Kind.DELIVERY, "no column says when a row happened; each file of a day brings other rows"
    return Kind.SNAPSHOT, "each file is a list of its day: the same keys come again"


# ------------------------------------------------------------------------------------------- what a mart is made of


def _require_fit(columns: Mapping[str, ColumnLook], answers: Answers) -> None:
    """Checks the columns that somebody names for the mart.

    Raises:
        ValueError: there is no such column, its type does not fit, or it is named twice.
    """
    named: dict[str, str] = {}
    numbers = (pl.Int64, pl.Float64, AMOUNT)
    for option, names, fit in (
        ("--by", answers.by, (pl.String, pl.Boolean, pl.Int64, pl.Date)),
        ("--sum", answers.sum, numbers),
        ("--mean", answers.mean, numbers),
    ):
        for name in names:
            if name not in columns:
                raise ValueError(f"{option} names {name}; there is {', '.join(columns)}")
            if columns[name].dtype not in fit:
                raise ValueError(f"{option} names {name}, which holds {_type_said(columns[name])}: {columns[name].why}")
            if name in named:
                raise ValueError(f"{option} names {name}, and {named[name]} does already")
            named[name] = option


def _measures(
    source: Source, columns: Mapping[str, ColumnLook], rows: pl.DataFrame, answers: Answers
) -> tuple[tuple[MeasureLook, ...], list[Said]]:
    """The columns of numbers that are quantities, those that add up first; and those left out.

    Ids, codes, parts of dates and times of the clock are no quantities.
    """
    found = []
    named = {*answers.sum, *answers.mean}
    for name, one in columns.items():
        if name in named:
            found.append(MeasureLook(name, name in answers.mean, one.dtype == pl.Int64))
            continue
        if name in answers.by or _is_code(name, one, rows[name]):
            continue
        if not one.is_number or rows[name].null_count() == rows.height:
            continue
        if name in source.primary_key and not source.has_repeats:
            continue
        if is_of_id(name) and not name.startswith(("num_", "number_of", "no_of")):
            continue
        if is_of_calendar(name) or _OF_NO_MEASURE.search(name) or _is_of_clock(name, rows[name]):
            continue
        is_summed = is_sum(name) and (rows[name].min() or 0) >= 0  # type: ignore[operator]
        found.append(
            MeasureLook(name, not (is_summed or (one.dtype == AMOUNT and "price" not in name)), one.dtype == pl.Int64)
        )
    found = [replace(one, is_flag=is_flag(rows[one.name])) for one in found]
    found.sort(key=lambda one: (one.name not in named, one.is_mean))
    most = max(MOST_MEASURES, len(named))
    over = ", ".join(one.name for one in found[most:])
    why = f"{most} sums and means are enough; --sum and --mean name others"
    return tuple(found[:most]), [Said("left out", over, why)] if over else []


def is_flag(held: pl.Series) -> bool:
    """Whether whole numbers are 0 and 1, and both are there."""
    return held.dtype == pl.Int64 and set(held.drop_nulls().unique()) == {0, 1}


def _is_code(name: str, column: ColumnLook, held: pl.Series) -> bool:
    """Whether whole numbers name something, as 0 and 1 or the codes of a list do: few, and each in many rows."""
    if column.dtype != pl.Int64 or is_sum(name) or is_of_calendar(name):
        return False
    values = held.drop_nulls().n_unique()
    return 2 <= values <= (MOST_VALUES if is_of_id(name) else MOST_NUMBERS) and len(held) >= ROWS_OF_A_NUMBER * values


def _is_of_clock(name: str, held: pl.Series) -> bool:
    """Whether numbers are times of day, such as 1754."""
    if held.dtype != pl.Int64 or not name.endswith(("time", "hhmm")):
        return False
    known = held.drop_nulls()
    return bool(known.is_between(0, 2400).all() and (known % 100 < 60).all() and (known > 59).any())


def _dimensions(
    source: Source, columns: Mapping[str, ColumnLook], rows: pl.DataFrame, answers: Answers
) -> tuple[tuple[str, ...], list[Said]]:
    """Up to four columns with few values, as long as the mart stays small enough to be shown; and those left out."""
    if answers.by:
        if source.time in answers.by:
            raise ValueError(f"--by names {source.time}, by whose day each mart is split anyway")
        values_of = ", ".join(f"{name} has {rows[name].drop_nulls().n_unique()} values" for name in answers.by)
        return answers.by, [Said("split by", ", ".join(answers.by), f"as you say: {values_of}")]
    known = {}
    for name, one in columns.items():
        if set(source.primary_key) == {name} or name in (*answers.sum, *answers.mean):
            continue
        held = rows[name].drop_nulls()
        if one.dtype not in (pl.String, pl.Boolean) and not _is_code(name, one, rows[name]):
            continue
        if one.dtype == pl.String and mean_length(held) > LONGEST_DIMENSION:
            continue
        if 2 <= (values := held.n_unique()) <= MOST_VALUES and values < max(3, rows.height // 2):
            known[name] = values
    shown = rows
    if source.kind is Kind.FACTS and isinstance(newest := rows["_day"].max(), date):
        shown = rows.filter(pl.col("_day") > newest - YEAR)
    taken: list[str] = []
    left = []
    for name in sorted(known, key=lambda one: (is_of_id(one), columns[one].is_number, known[one])):
        by = ["_day", *taken, name] if source.kind is Kind.FACTS else [*taken, name]
        size = shown.select(by).n_unique() * (1 if source.kind is Kind.FACTS else 90)
        if len(taken) == MOST_DIMENSIONS:
            left.append(Said("left out", name, f"{MOST_DIMENSIONS} columns to split by are enough; --by names others"))
        elif size > MOST_ROWS_OF_MART:
            left.append(Said("left out", name, f"with it the mart would have {size:,} rows a year; --by names others"))
        else:
            taken.append(name)
    if not taken:
        return (), left
    values_of = ", ".join(f"{name} has {known[name]} values" for name in taken)
    return tuple(taken), [Said("split by", ", ".join(taken), values_of), *left]


def _of_columns(columns: Mapping[str, ColumnLook], measures: Sequence[MeasureLook]) -> list[Said]:
    how = {one.name: "share" if one.is_mean and one.is_flag else "mean" if one.is_mean else "sum" for one in measures}
    found = []
    for one in columns.values():
        spelled = [text for text in one.spelled if text != one.name]
        renamed = f"; “{said_plainly(spelled[0])}” in the files" if spelled else ""
        marks = (
            f"; {', '.join(one.nulls)} stands for nothing" if one.nulls and "stands for nothing" not in one.why else ""
        )
        kind = f" · {how[one.name]}" if one.name in how else ""
        found.append(Said(one.name, f"{type_name(one)}{kind}", f"{one.why}{marks}{renamed}"))
    return found


def _type_said(column: ColumnLook) -> str:
    return {"text": "texts", "yes or no": "yes or no"}.get(type_name(column), f"{type_name(column)}s")


def type_name(column: ColumnLook) -> str:
    """The type of a column in a word."""
    return {pl.String: "text", pl.Int64: "integer", pl.Float64: "number", pl.Boolean: "yes or no", pl.Date: "date"}.get(
        column.dtype,  # type: ignore[call-overload]
        "amount" if column.dtype == AMOUNT else "time",
    )
