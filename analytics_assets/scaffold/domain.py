"""The files of a new domain: spec, models, report, simulator and test, from what the files of its source hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from analytics_assets.scaffold.columns import AMOUNT, TIME, ColumnLook
from analytics_assets.scaffold.keys import is_of_id
from analytics_assets.scaffold.look import MOST_ROWS_OF_MART, Look, is_flag
from analytics_assets.scaffold.marts import (
    FEWEST_ROWS_SHOWN,
    FIRST_SHOWN,
    Mart,
    Summed,
    exposure_of,
    report_of,
    sql_of,
    summed,
    yml_of,
)
from analytics_assets.scaffold.names import free, label_of, said_plainly, title_of
from analytics_assets.scaffold.pages import Page
from analytics_assets.scaffold.texts import Flow, literal, names, rendered, yml
from analytics_assets.spec.source import REPEAT, UNDATED, Kind, PolarsType, file_format

LONGEST_REPORT = 366  # days
USUAL_REPORT = 90  # days
ONE_DAY = timedelta(days=1)
ROWS_OF_A_VOLUME = 10  # a day: the number of fewer varies too much to have a usual one
FEWEST_STEADY_DAYS = 14
FEWEST_OF_A_CATEGORY = 5  # rows: a rarer value may tell of somebody
MOST_CATEGORIES = 40
MOST_SIMULATED = 1_000  # rows a day
_QUANTILES = tuple(round(0.02 + 0.08 * step, 2) for step in range(13))  # the outermost values are somebody's own
_OF_PERSONS = (
    "name",
    "mail",
    "phone",
    "address",
    "street",
    "user",
    "customer",
    "person",
    "iban",
    "ssn",
    "comment",
    "note",
)

_TYPES: Mapping[PolarsType, tuple[str, str]] = {
    pl.String: ("pl.String", "varchar"),
    pl.Int64: ("pl.Int64", "bigint"),
    pl.Float64: ("pl.Float64", "double"),
    pl.Boolean: ("pl.Boolean", "boolean"),
    pl.Date: ("pl.Date", "date"),
    AMOUNT: ("pl.Decimal(38, 9)", "decimal(38, 9)"),
    TIME: ('pl.Datetime("us")', "timestamp"),
}
"""A type in a spec, and as DuckDB writes it."""


@dataclass(frozen=True)
class Plan:
    """A domain that is to be written.

    Attributes:
        day: the models' column that holds the day.
        page: the page of an API that the files are of; pulls then bring more of them.
    """

    look: Look
    owner: str
    title: str
    day: str
    sums: tuple[Summed, ...]
    page: Page | None = None

    @property
    def name(self) -> str:
        """The name of the domain and of its source."""
        return self.look.source.name

    @property
    def mart(self) -> str:
        """The name of its mart."""
        return f"mart_{self.name}_daily"


def plan_of(look: Look, owner: str, page: Page | None = None) -> Plan:
    """What is to be written for what was found in files."""
    time = look.source.time
    is_date = time is not None and look.source.columns[time] == pl.Date
    day = time if time and is_date else "date"
    if not is_date and day in look.source.columns:
        day = free("date_day", look.source.columns)
    sums = summed(
        [(one.name, one.is_whole, one.is_mean) for one in look.measures],
        [*look.dimensions, day],
        {one.name for one in look.measures if one.is_flag},
    )
    return Plan(look, owner, title_of(look.source.name), day, tuple(sums), page)


def files_of(plan: Plan) -> dict[str, str]:
    """The files of a domain, by their path below the project."""
    name, defs, models = plan.name, f"analytics_assets/defs/{plan.name}", "dbt_project/models"
    mart = _mart(plan)
    staging, marts = f"{models}/staging/{name}", f"{models}/marts/{name}"
    found = {
        f"{defs}/__init__.py": _init(plan),
        f"{defs}/sources.py": _sources(plan),
        f"{defs}/reports.py": report_of(
            mart,
            name,
            plan.title,
            _report_days(plan),
            _values(plan),
            _notes(plan),
            is_over_time=plan.look.source.kind is Kind.FACTS,
            opens_on_all=_opens_on_all(plan),
            is_steady=_is_steady(plan),
        ),
        f"{defs}/simulator.py": _simulator(plan),
        f"{staging}/src_{name}.sql": rendered("src.sql.j2", name=name, groups=_groups(plan, of_src=True)),
        f"{staging}/stg_{name}.sql": rendered(
            "stg.sql.j2", name=name, day=plan.day, groups=_groups(plan, of_src=False)
        ),
        f"{staging}/_staging_{name}.yml": _staging(plan),
        f"{marts}/{plan.mart}.sql": sql_of(mart),
        f"{marts}/_marts_{name}.yml": yml_of(mart),
        f"{marts}/_exposures.yml": exposure_of(mart, name, plan.title),
        f"analytics_assets_tests/integration/defs/test_{name}.py": _test(plan),
    }
    if plan.page:
        source = plan.look.source
        changed = source.dedup_steps[0].column if source.dedup_steps else source.time
        found[f"{defs}/extracts.py"] = rendered(
            "extracts.py.j2", name=name, const=name.upper(), title=plan.title, page=plan.page, changed=changed
        )
    return found


# ------------------------------------------------------------------------------------------------------------ Python


def _init(plan: Plan) -> str:
    look = plan.look
    of_days = [f'timezone="{look.timezone}",'] if look.timezone != "UTC" else []
    of_days += [f"first_day={_day(look.first_day)},"] if look.first_day else []
    of_days += [f"last_day={_day(look.last_day)},"] if look.last_day else []
    return rendered(
        "init.py.j2",
        name=plan.name,
        const=plan.name.upper(),
        title=plan.title,
        description="by day, with a report.",
        owner=plan.owner,
        of_days=of_days,
        has_date=any("date(" in line for line in of_days),
        extract=plan.page,
    )


def _day(at: date) -> str:
    return f"date({at.year}, {at.month}, {at.day})"


def _sources(plan: Plan) -> str:
    source = plan.look.source
    columns = [
        {
            "name": one.name,
            "type": _TYPES[one.dtype][0],
            "comment": _comment(one),
        }
        for one in plan.look.columns.values()
    ]
    of_pulls = ["pulled_at"] if plan.page else []
    columns += [
        {"name": name, "type": 'pl.Datetime("us")', "comment": "when the row's pull began"} for name in of_pulls
    ]
    said = []
    if source.kind is not Kind.FACTS:
        said.append(f"kind=Kind.{source.kind.name},")
    if source.time:
        said.append(f'time="{source.time}",')
    if source.timezone != "UTC":
        said.append(f'timezone="{source.timezone}",')
    if source.epoch:
        said.append(f"epoch={_mapping({n: literal(unit) for n, unit in source.epoch.items()})},")
    said.append(f"primary_key={names(source.primary_key)},")
    for field in ("dedup_order",):
        if held := getattr(source, field):
            said.append(f"{field}={names(held)},")
    for field in ("may_be_empty", "optional"):
        if held := [name for name in source.columns if name in getattr(source, field)] + (
            of_pulls if field == "optional" else []
        ):
            said.append(f"{field}=frozenset({{{', '.join(map(literal, held))}}}),")
    if source.aliases:
        said.append(f"aliases={_mapping({n: names(held) for n, held in source.aliases.items()})},")
    if isinstance(source.null_values, tuple) and source.null_values:
        said.append(f"null_values={names(source.null_values)},")
    elif isinstance(source.null_values, Mapping) and source.null_values:
        said.append(f"null_values={_mapping({n: names(held) for n, held in source.null_values.items()})},")
    if source.time_formats:
        said.append(f"time_formats={_mapping({n: literal(held) for n, held in source.time_formats.items()})},")
    for field, usual in ("delimiter", ","), ("encoding", "utf-8"), ("decimal", "."), ("thousands", ""):
        if (value := getattr(source, field)) != usual:
            said.append(f"{field}={literal(value)},")
    if not source.header:
        said.append("header=False,")
    if source.skip_lines:
        said.append(f"skip_lines={source.skip_lines},")
    if plan.page:
        said.append("explode=flattened,")
    return rendered(
        "sources.py.j2",
        name=plan.name,
        const=plan.name.upper(),
        title=plan.title,
        rows_are={
            Kind.FACTS: f"each row stands on the day of its {source.time}",
            Kind.SNAPSHOT: "each is a list that holds until the next one",
            Kind.DELIVERY: "each row stands on the day of its delivery",
        }[source.kind],
        description=f"{plan.title}, as their files hold them.",
        patterns=names(source.patterns),
        kind=source.kind.name,
        columns=columns,
        fields=said,
        extract=plan.page,
    )


def _comment(column: ColumnLook) -> str:
    if column.time_format or column.epoch or (column.decimals and column.dtype == AMOUNT):
        return said_plainly(column.why.partition("; rows with")[0], 70)
    return ""


def _mapping(held: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {text}' for name, text in held.items()) + "}"


# ----------------------------------------------------------------------------------------------------------- samples


def _simulator(plan: Plan) -> str:
    source, rows = plan.look.source, plan.look.rows
    columns = {
        name: _distribution(plan, name, column) for name, column in plan.look.columns.items() if name != source.time
    }
    used = {text.partition("(")[0] for text in columns.values()} | {"Sample"}
    if any("Numbers(" in text for text in columns.values()):
        used.add("Numbers")
    hours: list[float] = []
    if source.time and source.columns[source.time] == TIME:
        local = rows[source.time].dt.replace_time_zone("UTC").dt.convert_time_zone(source.timezone).dt.hour()
        counts = dict(local.alias("hour").value_counts().rows())
        hours = [round(counts.get(hour, 0) / rows.height, 3) for hour in range(24)]
        hours = hours if sum(hours) else []
    a_day = rows.height
    if source.kind is Kind.FACTS:
        a_day = int(rows.group_by("_day").len()["len"].median() or 1)  # type: ignore[arg-type]
    elif source.kind is Kind.DELIVERY:
        a_day = max(1, rows.height // len(plan.look.files))
    ending = {"csv": "csv", "parquet": "parquet", "json lines": "jsonl"}[
        file_format(source.patterns[0].replace("*", "x"))
    ]
    return rendered(
        "simulator.py.j2",
        name=plan.name,
        const=plan.name.upper(),
        title=plan.title,
        columns=list(columns.items()),
        rows=max(1, min(a_day, MOST_SIMULATED)),
        rows_of="in each list" if source.kind is Kind.SNAPSHOT else "a day",
        hours="(" + ", ".join(map(str, hours)) + ")" if hours else "",
        ending=ending,
        used=", ".join(sorted(used)),
    )


def _distribution(plan: Plan, name: str, column: ColumnLook) -> str:
    held = plan.look.rows[name]
    known = held.drop_nulls()
    share = round(held.null_count() / max(1, len(held)), 3)
    if name in set(plan.look.source.primary_key) - plan.look.source.may_be_empty:
        share = 0.0
    missing = f", missing={share}" if share else ""
    if known.is_empty():
        return f"MadeUp(missing=1.0{', prefix=' + literal(name + '-') if column.dtype == pl.String else ''})"
    if column.is_time:
        return _since(plan, name, column, missing)
    if column.dtype == pl.Boolean:
        yes = round(float(known.mean()), 3)  # type: ignore[arg-type]
        return f'Categories({{"true": {yes}, "false": {round(1 - yes, 3)}}}{missing})'
    if column.is_number and not (column.dtype == pl.Int64 and (is_of_id(name) or _is_key(plan, name))):
        if name in plan.look.dimensions and known.n_unique() <= MOST_CATEGORIES:
            return _categories(known.cast(pl.String), missing)
        decimals = 0 if column.dtype == pl.Int64 else min(column.decimals, 6)
        return f"{_numbers(known, decimals)[:-1]}{missing})"
    if column.is_number:
        return f"MadeUp({missing.removeprefix(', ')})"
    counts = known.alias("value").value_counts(sort=True, name="times").sort("times", "value", descending=[True, False])
    often = counts.filter(pl.col("times") >= FEWEST_OF_A_CATEGORY)
    is_category = (
        often.height
        and counts.height <= 10 * MOST_CATEGORIES
        and not is_of_id(name)
        and not any(word in name for word in _OF_PERSONS)
    )
    if not is_category:
        return f"MadeUp({literal(name[:20] + '-')}{missing})"
    return _categories(known.filter(known.is_in(often["value"].to_list())), missing)


def _categories(known: pl.Series, missing: str) -> str:
    """The commonest texts, by their shares."""
    counts = known.alias("value").value_counts(sort=True, name="times").sort("times", "value", descending=[True, False])
    shares = {value: round(count / len(known), 4) for value, count in counts.head(MOST_CATEGORIES).rows()}
    return f"Categories({{{', '.join(f'{literal(v)}: {s}' for v, s in shares.items())}}}{missing})"


def _is_key(plan: Plan, name: str) -> bool:
    return name in plan.look.source.primary_key and not plan.look.source.has_repeats


def _numbers(known: pl.Series, decimals: int) -> str:
    found = [known.cast(pl.Float64).quantile(at, "linear") or 0.0 for at in _QUANTILES]
    values = [round(value, decimals) if decimals else round(value) for value in found]
    if len(set(values)) == 1:
        values = values[:1]
    quantiles = f"({', '.join(map(str, values))}{',' if len(values) == 1 else ''})"
    return f"Numbers({quantiles}, {decimals})" if decimals else f"Numbers({quantiles})"


def _since(plan: Plan, name: str, column: ColumnLook, missing: str) -> str:
    """How long after the time of its row a time is; without such a time, how long after the oldest one."""
    rows, time = plan.look.rows, plan.look.source.time
    held = rows[name].cast(TIME)
    base = rows[time].cast(TIME) if time else pl.Series([held.min()] * len(held), dtype=TIME)
    seconds = (held - base).dt.total_seconds().drop_nulls()
    is_date = ", is_date=True" if column.dtype == pl.Date else ""
    return f"Since({_numbers(seconds, 0)}{is_date}{missing})"


# --------------------------------------------------------------------------------------------------------------- dbt


def _groups(plan: Plan, *, of_src: bool) -> list[list[str]]:
    """The columns as they are selected, in groups: ids, texts, numbers, booleans, times."""
    source, summed_ones = plan.look.source, {one.column: one for one in plan.sums}
    groups: dict[int, list[str]] = {}
    for name, one in plan.look.columns.items():
        if name == plan.day:
            continue  # it is the partition, whose name it has
        place = 2 if one.is_number else 3 if one.dtype == pl.Boolean else 4 if one.is_time else 1
        if name in source.primary_key and one.dtype != TIME:
            place = 0
        text = name
        if not of_src and name in summed_ones and (macro := summed_ones[name].macro):
            text = f"cast({name} as {{{{ type_{macro}() }}}}) as {name}"
        groups.setdefault(place, []).append(text)
    if source.has_repeats:
        groups.setdefault(0, []).append(f"{REPEAT} as repeat_number" if of_src else "repeat_number")
    if of_src:
        groups.setdefault(4, []).append(f"_day as {plan.day}")
    return [groups[place] for place in sorted(groups)]


def _key(plan: Plan) -> list[str]:
    """The primary key, by the names that the models have for it."""
    return ["repeat_number" if name == REPEAT else name for name in plan.look.source.primary_key]


def _described(plan: Plan, name: str) -> str:
    column = plan.look.columns[name]
    spelled = [text for text in column.spelled if text != name]
    said = f"“{said_plainly(spelled[0])}” in the files" if spelled else f"{title_of(name)}, as in the files"
    if column.dtype == TIME:
        said += ", in UTC"
    return f"{said}."


def _staging(plan: Plan) -> str:
    source, name = plan.look.source, plan.name
    key = list(dict.fromkeys([plan.day, *_key(plan)]))
    types = {one.column: one.type for one in plan.sums}

    def columns(*, of_src: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for one in plan.look.columns.values():
            dtype = _TYPES[one.dtype][1] if of_src else types.get(one.name, _TYPES[one.dtype][1])
            if one.name == plan.day:
                continue
            column = Flow(name=one.name, data_type=dtype, description=_described(plan, one.name))
            if not of_src and one.name in source.required:
                column["data_tests"] = ["not_null"]
            found.append(column)
        if source.has_repeats:
            what = "Numbers the rows of a file that are equal in the rest of the key, from 1."
            found.append(Flow(name="repeat_number", data_type="bigint", description=what))
        if of_src:
            found += [
                Flow(name="duplicate_rank", description="1 for the row that stays of those of a day with one key."),
                Flow(name="extra_columns", description="What the source's spec does not know, as JSON."),
                Flow(name="source_file", description="The file that the row was landed from."),
                Flow(name="source_row", description="Number of the record in that file."),
            ]
        what = {
            Kind.FACTS: f"Day of {source.time}; the partition.",
            Kind.SNAPSHOT: "Day on which the list holds; the partition.",
            Kind.DELIVERY: "Day of the delivery; the partition.",
        }[source.kind]
        found.append(Flow(name="landed_at", description="When the file landed (UTC)."))
        found.append(Flow(name=plan.day, data_type="date", description=what))
        return found

    tests: list[Any] = ["adds_up", Flow(unique_together={"arguments": {"columns": key}})]
    own = _key(plan)
    if source.kind is Kind.FACTS and len(own) == 1 and own[0] != source.time:
        tests.append(Flow(key_on_one_day={"arguments": {"key": own[0]}, "config": {"severity": "warn"}}))
    by = [name for name in plan.look.dimensions[:4] if plan.look.columns[name].dtype == pl.String]
    stg: dict[str, Any] = {**({"cluster_by": by} if by else {})}
    held = {
        "version": 2,
        "sources": [
            {"name": "raw", "tables": [{"name": name, "description": f"{plan.title}, as their files hold them."}]}
        ],
        "models": [
            {
                "name": f"src_{name}",
                "description": f"{plan.title} by their raw rows; duplicates are still in, and ranked.",
                "config": {"meta": Flow(day=plan.day, adds_up={"rows_of_raw": name})},
                "data_tests": ["adds_up"],
                "columns": columns(of_src=True),
            },
            {
                "name": f"stg_{name}",
                "description": f"{plan.title}, one row for each key and day.",
                "config": {**stg, "meta": Flow(day=plan.day, adds_up={"keys_of_raw": name})},
                "data_tests": tests,
                "columns": columns(of_src=False),
            },
        ],
    }
    return yml(held)


def _mart(plan: Plan) -> Mart:
    look = plan.look
    by = {name: _TYPES[look.columns[name].dtype][1] for name in look.dimensions}
    is_daily = False
    if look.source.kind is Kind.FACTS:
        newest, oldest = look.rows["_day"].max(), look.rows["_day"].min()
        assert isinstance(newest, date) and isinstance(oldest, date)
        is_daily = look.rows["_day"].n_unique() == (newest - oldest).days + 1 >= 7
    return Mart(
        plan.mart,
        plan.title,
        plan.name,
        plan.owner,
        f"stg_{plan.name}",
        plan.day,
        by,
        {name: _described(plan, name) for name in by},
        plan.sums,
        is_daily=is_daily,
        has_volume=_rows_a_day(plan) >= ROWS_OF_A_VOLUME,
        labels={
            name: label
            for name, one in look.columns.items()
            if (label := label_of(name, one.spelled)) != title_of(name)
        },
        flags={
            name: ("true", "false") if look.columns[name].dtype == pl.Boolean else ("1", "0")
            for name in look.dimensions
            if look.columns[name].dtype == pl.Boolean or is_flag(look.rows[name])
        },
    )


def _rows_a_day(plan: Plan) -> float:
    """How many rows a day has on average; of what has no days of its own, how many a file has."""
    span = _span(plan)
    return plan.look.rows.height / ((span[1] - span[0] + ONE_DAY).days if span else len(plan.look.files))


def _is_steady(plan: Plan) -> bool:
    """Whether nearly all days with rows have the same number of them, as where something is measured every hour."""
    rows = plan.look.rows["_day"].value_counts()["count"]
    return len(rows) >= FEWEST_STEADY_DAYS and rows.quantile(0.05, "nearest") == rows.quantile(0.95, "nearest")


def _span(plan: Plan) -> tuple[date, date] | None:
    """The first and the newest day of the domain; None if its rows have no days of their own."""
    first, newest = plan.look.first_day, plan.look.last_day or plan.look.rows["_day"].max()
    return (first, newest) if first and isinstance(newest, date) else None


# ------------------------------------------------------------------------------------------------------------ report


def _values(plan: Plan) -> dict[str, int]:
    return {name: plan.look.rows[name].n_unique() for name in plan.look.dimensions}


def _report_days(plan: Plan) -> int:
    """All days of a history that has ended; else a year, as long as a page takes its rows, or a quarter."""
    if (span := _span(plan)) is None:
        return 1 if plan.look.source.kind is Kind.SNAPSHOT else USUAL_REPORT
    if plan.look.last_day:
        return (span[1] - span[0] + ONE_DAY).days
    shown = plan.look.rows.filter(pl.col("_day") > span[1] - timedelta(days=LONGEST_REPORT))
    is_small = shown.select("_day", *plan.look.dimensions).n_unique() <= MOST_ROWS_OF_MART
    return LONGEST_REPORT if is_small else USUAL_REPORT


def _opens_on_all(plan: Plan) -> bool:
    """Whether the days on which the page would open have few rows."""
    span = _span(plan)
    if span is None:
        return False
    newest = plan.look.rows.filter(pl.col("_day").is_between(span[1] - timedelta(days=FIRST_SHOWN - 1), span[1]))
    return newest.height < FEWEST_ROWS_SHOWN


def said_of_report(plan: Plan) -> str:
    """Which days the report of a domain shows; empty if its rows have no days of their own."""
    if _span(plan) is None:
        return ""
    ended = ", all that there are: what is beyond 3 MB, the page leaves out" if plan.look.last_day else ""
    opens = f"; it opens on all of them, since the newest {FIRST_SHOWN} have few rows" if _opens_on_all(plan) else ""
    return f"shows {_report_days(plan):,} days{ended}{opens}"


def _notes(plan: Plan) -> list[str]:
    source = plan.look.source
    found = []
    if source.kind is Kind.FACTS:
        zone = (
            "UTC"
            if source.columns[source.time or ""] != pl.Date and plan.look.timezone == "UTC"
            else plan.look.timezone
        )
        days = f"of {source.time}" if source.columns[source.time or ""] == pl.Date else f"of {source.time}, in {zone}"
        found.append(f"A row stands on the day {days}.")
    elif source.kind is Kind.SNAPSHOT:
        found.append("Figures are those of the newest list: a list holds until the next one, and days do not add up.")
    else:
        found.append("A row stands on the day of its delivery.")
    found.append("Means are ratios of sums over what is selected, never means of means.")
    return found


def _test(plan: Plan) -> str:
    source = plan.look.source
    return rendered(
        "test.py.j2",
        name=plan.name,
        title=plan.title,
        mart=plan.mart,
        key=", ".join(literal(name) for name in source.primary_key),
        numbers="[" + ", ".join(literal(name) for name in ["row_count", *(one.total for one in plan.sums)]) + "]",
        measures=plan.sums,
    )


def _has_day(look: Look, name: str) -> bool:
    try:
        return look.source.day_in_path(name) != UNDATED
    except ValueError:
        return False


def as_dropped(look: Look, yesterday: date) -> Sequence[str]:
    """The files' names in the inbox: what has no time and no date is of yesterday, the newest day that is over."""
    found: list[str] = []
    for file in look.files:
        name = file.name
        if look.source.kind is not Kind.FACTS and not _has_day(look, name):
            stem, dot, ending = name.partition(".")
            number = f"-{len(found) + 1}" if len(look.files) > 1 else ""
            stem = look.source.name + number if any(one.isdigit() for one in stem) else stem
            name = f"{stem}-{yesterday}{dot}{ending}"
        found.append(name)
    return found
