"""`analytics-assets …`: simulate, materialize, look at what came of it. Only options and words; the work is elsewhere.

Modules that take seconds to import are imported inside the commands, so that `--help` answers at once.
"""

import codecs
import locale
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Number
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.status import Status
from rich.table import Table

from analytics_assets.settings import PROJECT_DIR, Api, BigQuery, Settings, get_settings, is_secret
from analytics_assets.terminal import Terminal, console, line

if TYPE_CHECKING:
    from analytics_assets.partitions import Window
    from analytics_assets.runs import Outcome, Runner
    from analytics_assets.warehouse.paper import Query, Tables

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Raw files in, daily analytics out.")
DEMO_DAYS = 30
SAID_EVERY = 10.0  # seconds between two lines of progress where no line can change
SERVED_AHEAD = 30  # days to come, which appear when their time has come
ROWS_SHOWN = 200
WIDEST = 10_000  # characters of a line
INTERRUPTED_CODE = 130  # as shells have it: 128 and the number of SIGINT


@app.callback()
def _in_utf8() -> None:
    """Raw files in, daily analytics out."""
    # Libraries read and write text as the locale says: where that is not UTF-8, Python begins again with it.
    if codecs.lookup(locale.getpreferredencoding(False)).name != "utf-8" and not sys.flags.utf8_mode:
        os.execve(sys.executable, sys.orig_argv, os.environ | {"PYTHONUTF8": "1"})


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turns the errors that a user can do something about into one sentence and exit code 1."""
    from analytics_assets.failures import INTERRUPTS, damage_in, in_brief, sentence, transient_cause
    from analytics_assets.files import Damaged
    from analytics_assets.warehouse.dbt import DbtError
    from analytics_assets.warehouse.warehouse import CannotRead

    try:
        yield
    except INTERRUPTS as interrupt:
        if isinstance(interrupt, SystemExit):
            raise
        console.print(line(("interrupted:", "yellow"), " what was begun is made again by the next run"))
        raise typer.Exit(INTERRUPTED_CODE) from None
    except ValidationError as error:
        _explain(error)
        raise typer.Exit(1) from error
    except SettingsError as error:
        _say_error(f"{sentence(error)}; see analytics_assets/settings.py")
        raise typer.Exit(1) from error
    except (ValueError, Damaged, DbtError, CannotRead, OSError) as error:
        _say_error(in_brief(sentence(error)))
        raise typer.Exit(1) from error
    except Exception as error:
        cause = transient_cause(error) or damage_in(error)  # a full disk, say, under Dagster's own files
        if cause is None:
            raise
        _say_error(in_brief(sentence(cause)))
        raise typer.Exit(1) from error


def _say_error(what: str) -> None:
    console.print(line(("error:", "red"), f" {what}"))


def _explain(error: ValidationError) -> None:
    for fault in error.errors():
        name = "__".join(str(part) for part in fault["loc"]).upper()
        name = name if name == "DAGSTER_HOME" else f"ANALYTICS_{name}"
        shown = name if is_secret(name) or fault["type"] == "missing" else f"{name}={str(fault['input'])!r}"
        said = fault["msg"].removeprefix("Value error, ")
        if fault["loc"]:  # else it is about all settings, secrets among them
            said = f"{shown}: {said}"
        _say_error(f"{said}; see analytics_assets/settings.py")


# ------------------------------------------------------------------------------------------------------ simulate


@app.command()
def simulate(
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = DEMO_DAYS,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; yesterday without it.")
    ] = None,
    scale: Annotated[float, typer.Option(min=0.001, help="1 is some thousand rows a day.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.")] = 1,
    only: Annotated[str | None, typer.Option(help="One domain, by its name.")] = None,
) -> None:
    """Write sample files with real defects into the inbox."""
    with _told_plainly():
        _simulate(get_settings(), days, end.date() if end else _yesterday(), scale, seed, only)


def _simulate(
    settings: Settings, days: int, end: date, scale: float, seed: int, only: str | None, *, with_pulled: bool = True
) -> None:
    """Simulates the files of all domains or one; `with_pulled` those too that a pull would drop."""
    from analytics_assets.definitions import DOMAINS
    from analytics_assets.partitions import Window

    chosen = [domain for domain in DOMAINS if only in (None, domain.name)]
    if not chosen:
        raise ValueError(f"there is no domain {only!r}; there is {', '.join(domain.name for domain in DOMAINS)}")
    window = Window.of_days(end - timedelta(days=days - 1), end)
    for domain in chosen:
        if domain.extracts and not with_pulled:
            continue
        with console.status(f"simulating {domain.name} for {window}"):
            domain.simulate(settings.inbox_dir, window, scale, Random(f"{seed} {domain.name}"))
        console.print(f"simulated {domain.name} for {window} into {_shown(settings.inbox_dir)}")


# --------------------------------------------------------------------------------------------------- materialize


@app.command()
def materialize(
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Land what is new, and make the days that it changes.")] = False,
    select: Annotated[
        str | None,
        typer.Option(
            help="Assets, in Dagster's selection syntax: 'group:consent', or '+mart_company_daily' and all above it."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be made and, on BigQuery, the bytes it would read.")
    ] = False,
) -> None:
    """Pull the APIs that have an address, land the inbox, and make days of assets, all in this process.

    Exit code 1 if anything failed, be it a check; 0 if there are only warnings.
    """
    with _told_plainly():
        if new == bool(from_ or to) or bool(from_) != bool(to):
            raise ValueError("say which days: either --from DATE --to DATE, or --new for whatever is out of date")
        settings = get_settings()
        window = _window_of(settings, from_.date(), to.date()) if from_ and to else None
        if dry_run:
            _show_plan(settings, window, select)
            return
        outcome = _materialize(settings, window, select)
    _show_outcome(outcome)
    if outcome.failures:
        raise typer.Exit(1)


def _window_of(settings: Settings, first: date, last: date) -> "Window":
    from analytics_assets.partitions import Window, partitioned_days

    partitions = partitioned_days(settings, datetime.now(UTC))
    if first > last:
        raise ValueError(f"--from {first} is after --to {last}")
    if first < partitions.start:
        raise ValueError(
            f"{first} is before the first day that has a partition, {partitions.start}; "
            "set ANALYTICS_START_DATE to an earlier day to have it"
        )
    if settings.end_date and last > settings.end_date:
        raise ValueError(
            f"{last} is after the last day that has a partition, {settings.end_date}; "
            "set ANALYTICS_END_DATE to a later day, or to none, to have it"
        )
    if last >= partitions.end:
        raise ValueError(
            f"{last} is not over yet; the last day that has a partition is {partitions.end - timedelta(1)}"
        )
    return Window.of_days(first, last)


def _materialize(settings: Settings, window: "Window | None", select: str | None) -> "Outcome":
    from analytics_assets.versions import PUBLISHED_PREFIX

    with _runner(settings) as runner:
        names = _selected(select)
        runner.pull(names)
        runner.land(names)
        if window is None:
            runner.settle(names)
        else:
            after = set(runner.views) | (runner.reports if names - runner.reports else set())
            if not runner.make(runner.plan_of_range(names if select else runner.on(names), window)):
                after |= {name for name in names if name.startswith(PUBLISHED_PREFIX)}  # of the days that did not fail
            runner.settle(names & after)
        return runner.outcome


def _show_plan(settings: Settings, window: "Window | None", select: str | None) -> None:
    """What `materialize` would make of what has landed, and the bytes that it would read; makes nothing."""
    from analytics_assets.definitions import SOURCES
    from analytics_assets.warehouse.dbt import load_manifest
    from analytics_assets.warehouse.dry_run import Estimate, estimate
    from analytics_assets.warehouse.paper import as_bytes
    from analytics_assets.warehouse.warehouse import warehouse_of

    bills = warehouse_of(settings).bills_bytes
    table = Table("asset", title="Would be made", title_justify="left", header_style="bold")
    for heading in ("days", "from", "to", *(("bytes read", "bytes of checks") if bills else ())):
        table.add_column(heading, justify="right")
    estimates: list[Estimate] = []
    with _runner(settings) as runner, console.status("asking what would be read") as status:
        names = _selected(select)
        plan = (
            runner.plan_of_range(names if select else runner.on(names), window)
            if window
            else runner.plan_of_changes(names)
        )
        models = {node["name"] for node in load_manifest(settings)["nodes"].values()}
        for run in plan:
            found: dict[str, Estimate] = {}
            if bills:
                status.update(line(f"asking what {run.window} would read"))
                asked = estimate([name for name in run.assets if name in models], run.window, settings, SOURCES)
                found = {one.model: one for one in asked}
                estimates += asked
            for name in run.assets:
                row = [name, f"{len(run.window):,}", str(run.window.start), str(run.window.end - timedelta(1))]
                if one := found.get(name):
                    row += ["not known"] if one.unknown else [f"{one.bytes_of_days:,}", f"{one.bytes_of_checks:,}"]
                table.add_row(*row)
        waiting = sum(runner.not_landed(names).values())
    if plan:
        console.print(table)
    if waiting:
        console.print(f"Of the inbox, {waiting:,} files have not landed; what they change is not known before.")
    if not plan:
        console.print("Nothing would be made of what has landed.")
    elif bills:
        total = sum(one.bytes_of_days + one.bytes_of_checks for one in estimates)
        console.print(
            f"{total:,} bytes would be read ({as_bytes(total)}), before BigQuery rounds up, and without reports. "
            "Nothing was made."
        )
    else:
        console.print("The warehouse is DuckDB, where reading costs nothing. Nothing was made.")
    for one in estimates:
        if one.unknown:
            console.print(line(("not known:", "yellow"), f" {one.model}: {one.unknown}"))


def _selected(select: str | None) -> set[str]:
    from analytics_assets.definitions import defs
    from analytics_assets.selection import selected

    return selected("*" if select is None else select, defs.resolve_asset_graph())


@contextmanager
def _runner(settings: Settings) -> "Iterator[Runner]":
    """Runs in this process, with their progress; runs that a kill left behind are ended first."""
    from dagster import DagsterInstance

    from analytics_assets.definitions import FAULTS, SOURCES, defs
    from analytics_assets.operate.home import prepare_dagster_home
    from analytics_assets.operate.launcher import end_abandoned_runs
    from analytics_assets.runs import Runner

    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance, _progress() as announce:
        for run_id in end_abandoned_runs(instance):
            announce(f"run {run_id[:8]} was killed; the days that it had begun are out of date now")
        yield Runner(defs, SOURCES, settings, instance, announce, FAULTS)


@app.command()
def rollout(
    select: Annotated[
        str | None, typer.Option(help="Assets whose code has changed, in Dagster's selection syntax; all without it.")
    ] = None,
    days_per_run: Annotated[int, typer.Option(min=1, help="How many days one run makes.")] = 30,
) -> None:
    """Make the days anew that older code or lookups made, newest first; go on where it was stopped."""
    with _told_plainly():
        with _runner(get_settings()) as runner:
            runner.roll_out(_selected(select), days_per_run)
        outcome = runner.outcome
    _show_outcome(outcome, nothing="No day was made by older code.")
    if outcome.failures:
        raise typer.Exit(1)


class _Progress(logging.Handler):
    """What runs now: a line that changes on a terminal, a line a step elsewhere."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status, self._started, self._step = status, time.monotonic(), ""
        self._said_at = self._started

    def step(self, sentence: str) -> None:
        """Says which step begins."""
        self._step = sentence
        self._status.update(line(sentence))
        console.print(line((f"{time.monotonic() - self._started:6.1f} s", "dim"), f"  {sentence}"))

    def emit(self, record: logging.LogRecord) -> None:
        self._status.update(line(f"{self._step}  ", (record.getMessage(), "dim")))
        now = time.monotonic()
        if not console.is_terminal and now - self._said_at >= SAID_EVERY:
            self._said_at = now
            console.print(line((f"{now - self._started:6.1f} s  {record.getMessage()}", "dim")))


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows the steps that are announced and, until they end, what the package logs meanwhile."""
    package_logger = logging.getLogger("analytics_assets")
    with console.status("") as status:
        progress = _Progress(status)
        package_logger.addHandler(progress)
        package_logger.setLevel(logging.INFO)
        try:
            yield progress.step
        finally:
            package_logger.removeHandler(progress)


def _show_outcome(outcome: "Outcome", nothing: str = "Nothing was out of date.") -> None:
    if outcome.made:
        table = Table("asset", title="Made", title_justify="left", header_style="bold")
        for heading in ("days", "rows"):
            table.add_column(heading, justify="right")
        table.add_column("from")
        table.add_column("to")
        for name, days in outcome.made.items():
            table.add_row(name, f"{len(days):,}", f"{sum(days.values()):,}", str(min(days)), str(max(days)))
        console.print(table)
    if outcome.views:
        console.print(f"Made, without days of their own: {', '.join(outcome.views)}")
    if not (outcome.made or outcome.views):
        console.print(nothing)
    for file in outcome.files.values():
        console.print(line(("wrote:", "green"), f" {_shown(file)}"), soft_wrap=True)
    for title, colour, sentences in (("warning", "yellow", outcome.warnings), ("failed", "red", outcome.failures)):
        for sentence in dict.fromkeys(sentences):
            console.print(line((f"{title}:", colour), f" {sentence}"))


# ------------------------------------------------------------------------------------------------------- balance


@app.command()
def balance() -> None:
    """Show where every row is: records = accepted + rejected, and so on down to the staging models.

    Exit code 1 if something does not add up, or nothing has landed; 0 if it adds up as far as it is made.
    """
    with _told_plainly():
        from analytics_assets.balance import balance_of
        from analytics_assets.definitions import SOURCES
        from analytics_assets.ingest.ledger import Ledger

        settings = get_settings()
        landed = [source for source in SOURCES if Ledger(settings.lake_dir).has_landed(source)]
        if not landed:
            raise ValueError(
                f"nothing has landed yet: drop files into {_shown(settings.inbox_dir)}/<source>/, "
                "then run `analytics-assets materialize --new`"
            )
        narrow = (0, 1, 0, 0)
        table = Table("source", title="Rows of each source", title_justify="left", header_style="bold", padding=narrow)
        headings = ("records", "rejected", "accepted", "waiting", "superseded", "raw", "src", "stg", "duplicates")
        for heading in headings:
            table.add_column(heading, justify="right")
        table.add_column("adds up")
        balances = {source.name: balance_of(source, settings, datetime.now(UTC)) for source in landed}
    for name, found in balances.items():
        counts = [getattr(found, heading) for heading in headings]
        adds_up = "no" if found.faults else "not made yet" if found.unmade else "yes"
        table.add_row(name, *("" if count is None else f"{count:,}" for count in counts), adds_up)
    console.print(table)
    for name, found in balances.items():
        if found.unmade:
            told = f" {name}: {'; '.join(found.unmade)}. `analytics-assets materialize --new` makes them."
            console.print(line(("not made yet:", "yellow"), told))
    if off := [source.name for source in SOURCES if source not in landed]:
        console.print(f"Nothing ever came of: {', '.join(off)}.")
    for found in balances.values():
        for fault in found.faults:
            console.print(line(("failed:", "red"), f" {fault}"))
    if any(found.faults for found in balances.values()):
        raise typer.Exit(1)


# ----------------------------------------------------------------------------------------------------------- sql


@app.command()
def sql(statement: Annotated[str, typer.Argument(help="One SQL statement, in quotes.")]) -> None:
    """Run one SQL statement on the published copy: analytics-assets sql "select * from marts.mart_company_daily"."""
    with _told_plainly():
        settings = get_settings()
        names, rows, others = _query(settings, statement)
        behind = _behind(settings, statement)
    table = Table(header_style="bold")
    for name, values in zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True):
        is_number = all(isinstance(value, Number | None) and not isinstance(value, bool) for value in values)
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*map(_cell, row))
    Terminal(highlight=False, width=WIDEST).print(table)  # a table that is cut to the terminal no longer lines up
    if others:
        console.print(f"{others:,} more rows are not shown; say `limit` or `where` to see others.")
    elif not rows:
        console.print("No rows.")
    for name, days in behind.items():
        said = (
            f" {name}: of the days up to {max(days)}, {len(days):,} failed or are being made; the copy holds what "
            "passed last of each, if anything did. `analytics-assets status` says why."
        )
        console.print(line(("warning:", "yellow"), said))


def _behind(settings: Settings, statement: str) -> dict[str, set[date]]:
    """The days on which the copy holds less than there is, by the public models that a statement names."""
    from analytics_assets.partitions import partitioned_days
    from analytics_assets.warehouse.dbt import last_manifest
    from analytics_assets.warehouse.publish import days_behind, is_public

    manifest, days = last_manifest(settings), partitioned_days(settings, datetime.now(UTC))
    words = set(re.findall(r"\w+", statement.lower()))
    names = [node["name"] for node in manifest["nodes"].values() if is_public(node) and node["alias"].lower() in words]
    return {name: found for name in names if (found := days_behind(manifest, name, settings, days))}


def _query(settings: Settings, statement: str) -> tuple[list[str], list[tuple[Any, ...]], int]:
    """Names and first rows of what a statement gives, and how many rows come after them."""
    import duckdb

    from analytics_assets.warehouse.on_duckdb import IF_COPY_IS_DAMAGED, opened

    if settings.warehouse == "bigquery":
        raise ValueError("the warehouse is BigQuery, which is asked with `bq query` or in its console")
    if not settings.published_file.exists():
        raise ValueError("there is no published copy yet; `analytics-assets materialize --new` makes it")
    with opened(
        settings.published_file,
        IF_COPY_IS_DAMAGED,
        read_only=True,
        config={"enable_external_access": "false", "memory_limit": settings.duckdb_memory_limit},
    ) as connection:
        try:
            if len(connection.extract_statements(statement)) != 1:
                raise ValueError("say one statement")
            found = connection.execute(statement)
            rows = found.fetchmany(ROWS_SHOWN)
            others = sum(len(some) for some in iter(lambda: found.fetchmany(10_000), []))
        except duckdb.Error as error:
            raise ValueError(str(error).split("\n\nLINE ")[0]) from error
        return [column[0] for column in found.description or []], rows, others


def _cell(value: object) -> str:
    """A value as text, without the zeros that only say how exact a column is."""
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


# --------------------------------------------------------------------------------------------------------- bytes


@app.command("bytes")
def bytes_on_paper(
    scale: Annotated[float, typer.Option(min=0.001, help="So many times the volume that there is.")] = 1.0,
    price: Annotated[
        float, typer.Option(min=0, help="Of a TiB that on-demand queries are billed for; that of the US multi-region.")
    ] = 6.25,
    storage_price: Annotated[
        float, typer.Option(min=0, help="Of a GiB of active logical storage for a month; likewise.")
    ] = 0.02,
    currency: Annotated[str, typer.Option(help="Of both prices.")] = "USD",
) -> None:
    """On paper: what a day and a year of what is in DuckDB now would read, store and cost on BigQuery."""
    from analytics_assets.warehouse.paper import (
        DAYS_A_YEAR,
        MINIMUM,
        as_bytes,
        paper,
        price_of_query,
        price_of_storage,
    )

    with _told_plainly():
        found = paper(*_tables_and_queries(get_settings().model_copy(update={"warehouse": "duckdb"})), scale)
    table = Table("asset", title="A day on BigQuery, on paper", title_justify="left", header_style="bold")
    for heading in ("rows", "bytes a row", "stored", "queries", "read", "billed"):
        table.add_column(heading, justify="right")
    for one in found.lines:
        table.add_row(
            one.asset,
            "" if one.rows is None else f"{one.rows:,.0f}",
            "" if one.bytes_a_row is None else f"{one.bytes_a_row:,.0f}",
            as_bytes(one.stored) if one.stored else "",
            f"{one.queries:,}" if one.queries else "",
            as_bytes(one.read) if one.queries else "",
            as_bytes(one.billed) if one.queries else "",
        )
    table.add_section()
    table.add_row(
        "all", "", "", as_bytes(found.stored), f"{found.queries:,}", as_bytes(found.read), as_bytes(found.billed)
    )
    console.print(table)

    def money(amount: float) -> str:
        return f"{amount:,.2f} {currency}"

    day, year = price_of_query(found.billed, price), price_of_query(found.billed * DAYS_A_YEAR, price)
    stored = found.lookups + found.stored * DAYS_A_YEAR
    month = price_of_storage(stored, storage_price)
    for sentence in (
        f"On paper, at {scale:,.10g} times the volume that there is, and {price:g} {currency} a TiB:",
        f"A day reads {as_bytes(found.read)} in {found.queries:,} queries. At least {as_bytes(MINIMUM)} are billed for "
        f"each table that a query names: {as_bytes(found.billed)}, which costs {money(day)}.",
        f"A year reads {as_bytes(found.read * DAYS_A_YEAR)}, is billed for {as_bytes(found.billed * DAYS_A_YEAR)} and "
        f"costs {money(year)}. What is free of charge in each month is not taken off.",
        f"A day stores {as_bytes(found.stored)}; its load jobs cost nothing. After a year that is {as_bytes(stored)}, "
        f"which costs {money(month)} a month at {storage_price:g} {currency} a GiB, and {money(month * 12 / 2)} for "
        "the year in which it gathers.",
        "A day that is made again costs as much as a day. Of Google nothing was asked: what a query was really billed "
        "for is in the metadata of each run.",
    ):
        console.print(sentence)


def _tables_and_queries(settings: Settings) -> "tuple[Tables, list[Query]]":
    """What is in DuckDB, whichever warehouse is in use, and what a day of it asks."""
    from analytics_assets.definitions import DOMAINS, SOURCES
    from analytics_assets.warehouse.dbt import load_manifest
    from analytics_assets.warehouse.paper import measure, queries_of

    manifest = load_manifest(settings)
    tables = measure(settings, manifest, SOURCES)
    reports = [report for domain in DOMAINS for report in domain.reports]
    return tables, queries_of(manifest, SOURCES, reports, tables)


# -------------------------------------------------------------------------------------------------------- status


@app.command()
def status() -> None:
    """Show the days that failed, are missing, out of date, or made by older code, and what checks object to.

    Exit code 1 if a day, a file, a pull or a check failed; 0 if there are only warnings, or days that wait to be made.
    """
    with _told_plainly():
        from dagster import DagsterInstance

        from analytics_assets.definitions import FAULTS, SOURCES, defs
        from analytics_assets.operate.home import prepare_dagster_home
        from analytics_assets.operate.inventory import State, take_inventory

        settings = get_settings()
        prepare_dagster_home(settings)
        with DagsterInstance.get() as instance:
            found = take_inventory(defs.resolve_asset_graph(), SOURCES, settings, instance, datetime.now(UTC), FAULTS)
    if found.off:
        console.print(f"Off, since nothing of them ever came: {', '.join(found.off)}. The first file turns them on.")
    when = f"{found.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    if not found.findings:
        console.print(f"All is well at {when}: {found.assets} assets with {found.days:,} days each are up to date.")
        return
    table = Table(title=f"What is not as it should be at {when}", title_justify="left", header_style="bold")
    for heading in ("asset", "state", "days"):
        table.add_column(heading, no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("why, and when it is tried again", overflow="fold")
    colours = {State.FAILED: "red", State.CHECK_FAILED: "red", State.WARNING: "yellow"}
    for finding in found.findings:
        colour = colours.get(finding.state, "default")
        count = f"{finding.count:,}" if finding.count else ""
        why = "; ".join(filter(None, (finding.why, finding.next_try)))
        table.add_row(finding.asset, line((finding.state, colour)), str(finding.days or ""), count, why)
    console.print(table)
    if found.failed:
        raise typer.Exit(1)


# ---------------------------------------------------------------------------------------------------------- demo


@app.command()
def demo() -> None:
    """Simulate 30 days ending yesterday, make every day of every asset, and say where to look."""
    from analytics_assets.campaigns.api import CampaignsApi, served, simulated
    from analytics_assets.partitions import Window

    with _told_plainly():
        _write_env_once(_yesterday() - timedelta(days=DEMO_DAYS - 1))
        days = Window.of_days(_yesterday() - timedelta(days=DEMO_DAYS - 1), _yesterday())
        api = CampaignsApi(simulated(days, 1.0, 1), clock=lambda: datetime.now(UTC))
        with served(api) as url:
            os.environ |= {"ANALYTICS_API__CAMPAIGNS__URL": url, "ANALYTICS_API__CAMPAIGNS__KEY": api.key}
            settings = get_settings()
            _simulate(settings, DEMO_DAYS, _yesterday(), 1.0, 1, None, with_pulled=False)
            outcome = _materialize(settings, _window_of(settings, settings.start_date, _yesterday()), None)
    _show_outcome(outcome)
    if outcome.failures:
        raise typer.Exit(1)
    places = Table.grid(padding=(0, 2))
    for ending, what in (("html", "a dashboard: open it in a browser"), ("xlsx", "its tables")):
        for file in sorted(settings.exports_dir.glob(f"*.{ending}")):
            places.add_row(_shown(file), what)
    places.add_row(line(("make dev", "bold")), "the asset graph, its days and checks, at http://127.0.0.1:3000")
    places.add_row(line(("analytics-assets balance", "bold")), "where every row went (it is in .venv/bin)")
    places.add_row(_shown(settings.inbox_dir), "drop files here, then: analytics-assets materialize --new")
    places.add_row(_shown(settings.published_file), "the marts, in DuckDB; start with marts.mart_company_daily")
    places.add_row(_shown(settings.rejects_dir), "rows that were rejected, each with its reason")
    console.print()
    console.print(line(("Where to look", "bold")))
    console.print(places)


def _write_env_once(first_day: date) -> None:
    """Writes `.env` with every variable at its default, except the first day, unless there is one already."""
    file = PROJECT_DIR / ".env"
    if file.exists() or "ANALYTICS_START_DATE" in os.environ:
        return
    lines = ["# Settings of this clone; see analytics_assets/settings.py.", f"ANALYTICS_START_DATE={first_day}"]
    for name, field in Settings.model_fields.items():
        if name not in ("start_date", "dagster_home", "api", "bigquery"):
            default = "" if field.default is None else field.default
            lines += ["", f"# {field.description}", f"#ANALYTICS_{name.upper()}={default}"]
    for begin, of in (("API__CAMPAIGNS", Api), ("BIGQUERY", BigQuery)):
        lines += ["", f"# {Settings.model_fields[begin.partition('__')[0].lower()].description}"]
        for name, field in of.model_fields.items():
            default = "" if field.is_required() or field.default is None else field.default
            lines += [f"# {field.description}", f"#ANALYTICS_{begin}__{name.upper()}={default}"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print(f"wrote {file.name}: the first day is {first_day}")


# ---------------------------------------------------------------------------------------------------------- APIs


@app.command()
def serve_campaigns_api(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 8099,
    key: Annotated[str, typer.Option(help="What the header api_key must hold.")] = "demo",
    days: Annotated[int, typer.Option(min=1, help="How many days back the campaigns go.")] = DEMO_DAYS,
    scale: Annotated[float, typer.Option(min=0.001, help="1 is 24 campaigns.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same campaigns.")] = 1,
    page_size: Annotated[int, typer.Option(min=1, max=500, help="Records on a page that asks for no size.")] = 100,
    refusal: Annotated[int, typer.Option(help="The status that a wrong key gets: 401 or 403.")] = 401,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many requests are answered in any --limit-seconds.")
    ] = None,
    limit_seconds: Annotated[float, typer.Option(min=0.1, help="The span of --limit.")] = 60.0,
    retry_after: Annotated[
        str, typer.Option(help="How 429 says when to come again: seconds, date or none.")
    ] = "seconds",
    fault: Annotated[
        list[str] | None, typer.Option(help="What goes wrong with which requests, as 503@3,7 or cut@5; see --faults.")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List what can be made to go wrong.")] = False,
) -> None:
    """Serve simulated campaigns as an advertising API would: with its limits, and what goes wrong with one."""
    from analytics_assets.campaigns.api import FAULTS, CampaignsApi, parse_faults, served, simulated
    from analytics_assets.partitions import Window

    if faults:
        table = Table("fault", "what the API then does", header_style="bold")
        for name, what in FAULTS.items():
            table.add_row(name, what)
        console.print(table)
        return
    with _told_plainly():
        if refusal not in (401, 403):
            raise ValueError(f"--refusal {refusal} is neither 401 nor 403")
        if retry_after not in ("seconds", "date", "none"):
            raise ValueError(f"--retry-after {retry_after!r} is none of seconds, date, none")
        window = Window.of_days(_yesterday() - timedelta(days=days - 1), _yesterday() + timedelta(days=SERVED_AHEAD))
        api = CampaignsApi(
            simulated(window, scale, seed),
            key=key,
            refusal=refusal,
            page_size=page_size,
            limit=limit,
            limit_seconds=limit_seconds,
            retry_after=retry_after,
            faults=parse_faults(fault or []),
            clock=lambda: datetime.now(UTC),
        )
        with served(api, port) as url:
            console.print(
                f"{len(api.visible()):,} records are at {url}/campaigns; Ctrl-C ends it. For the pulls, in .env:"
            )
            console.print(f"ANALYTICS_API__CAMPAIGNS__URL={url}")
            console.print("ANALYTICS_API__CAMPAIGNS__KEY=(the key)")
            told = 0
            while True:
                time.sleep(0.2)
                for number, asked in enumerate(api.requests[told:], start=told + 1):
                    went_wrong = f"  {api.faults[number]}" if number in api.faults else ""
                    console.print(line((f"{number:6,}", "dim"), f"  {asked}", (went_wrong, "yellow")))
                    told = number


# --------------------------------------------------------------------------------------------------------- other


@app.command()
def repair() -> None:
    """Make the ledger again from the journals beside the landed pieces, after it was lost or damaged."""
    with _told_plainly():
        from analytics_assets.ingest.ledger import Ledger

        rebuilt = Ledger(get_settings().lake_dir).rebuild()
    if rebuilt is None:
        console.print("The ledger is whole: nothing was repaired.")
        return
    console.print(f"The ledger is there again: {rebuilt.contents:,} contents of files, {rebuilt.rows:,} rows.")
    for file in rebuilt.gone:
        console.print(line(("gone:", "red"), f" {file}; restore it from a backup"), soft_wrap=True)
    if rebuilt.gone:
        raise typer.Exit(1)


@app.command()
def prepare() -> None:
    """Make DAGSTER_HOME and dbt's manifest ready, and print the former; `make dev` does so first."""
    with _told_plainly():
        from dagster import DagsterInstance

        from analytics_assets.operate.home import prepare_dagster_home
        from analytics_assets.operate.launcher import end_abandoned_runs
        from analytics_assets.warehouse.dbt import project_faults

        settings = get_settings()
        home = prepare_dagster_home(settings)
        for fault in project_faults(settings):
            typer.echo(f"warning: {fault}", err=True)
        with DagsterInstance.get() as instance:
            end_abandoned_runs(instance)
        print(home)  # noqa: T201 for whoever starts Dagster next: as it is, and alone


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(
    context: typer.Context,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included.")] = None,
) -> None:
    """Run dbt by hand with this project's variables: analytics-assets dbt --from DATE --to DATE -- compile -s MODEL."""
    with _told_plainly():
        from analytics_assets.definitions import SOURCES
        from analytics_assets.warehouse.dbt import run_dbt

        if not context.args:
            raise ValueError(
                "say what dbt should do, for example: analytics-assets dbt -- compile -s mart_company_daily"
            )
        settings = get_settings()
        window = _window_of(settings, from_.date(), to.date()) if from_ and to else None
        run = run_dbt(context.args, settings, SOURCES, window, quiet=False)
        if run.failures:
            raise typer.Exit(1)


def _yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


def _shown(path: object) -> str:
    """A path as short as it can be from here."""
    text = str(path)
    return os.path.relpath(text) if text.startswith(str(PROJECT_DIR)) else text


if __name__ == "__main__":
    sys.exit(app())
