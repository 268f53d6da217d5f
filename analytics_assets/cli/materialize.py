"""Commands that make days in this process: materialize, its dry run, and the rollout of changed code."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.status import Status
from rich.table import Table

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import as_bytes, shown, told_plainly, window_of
from analytics_assets.foundation.words import plural
from analytics_assets.settings import Settings, get_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from analytics_assets.operations.forecast import Forecast
    from analytics_assets.operations.runner import Outcome, Runner
    from analytics_assets.partitions import Window

SAID_EVERY = 10.0  # seconds between two lines of progress if the output is no terminal

Select = Annotated[
    str | None,
    typer.Option(
        help="Assets, in Dagster's selection syntax: 'group:consent', or '+mart_company_daily' and all above it."
    ),
]
DaysPerRun = Annotated[int, typer.Option(min=1, help="How many days one run makes.")]

commands = typer.Typer()


@commands.command()
def materialize(
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Land what is new, and make the days that it changes.")] = False,
    select: Select = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be made and, on BigQuery, the bytes it would read.")
    ] = False,
) -> None:
    """Pull the APIs that have an address, land the inbox, and make days of assets, all in this process.

    Exit code 1 if anything failed, including a check; 0 if there are only warnings.
    """
    with told_plainly():
        if new == bool(from_ or to) or bool(from_) != bool(to):
            raise ValueError("say which days: either --from DATE --to DATE, or --new for whatever is out of date")
        settings = get_settings()
        from analytics_assets.defs import domains_in_use

        window = (
            window_of(settings, from_.date(), to.date(), [domain.calendar for domain in domains_in_use(settings)])
            if from_ and to
            else None
        )
        if dry_run:
            _show_plan(settings, window, select)
            return
        outcome = make_days(settings, window, select)
    show_outcome(outcome)
    if outcome.failures:
        raise typer.Exit(1)


def make_days(
    settings: Settings, window: "Window | None", select: str | None, *, with_health: bool = False
) -> "Outcome":
    """Pulls, lands and makes the days of a window, or all days that are out of date, for some assets or all.

    Args:
        with_health: whether the health of all days is recorded at the end, which the schedule does once a day.
    """
    from analytics_assets.definitions import project
    from analytics_assets.reports.index_asset import differs, write_index

    with runner_of(settings) as runner:
        names = selected_assets(select)
        runner.pull(names)
        runner.land(names)
        make(runner, names, window, is_selected=select is not None)
        if differs(project):  # somebody may have deleted it, or have taken a report out
            write_index(project)
        if with_health:
            runner.record_health()
        return runner.outcome


def make(runner: "Runner", names: Set[str], window: "Window | None", *, is_selected: bool) -> None:
    """Makes of some assets the days of a window, or all that are out of date; a forecast plans them.

    Args:
        is_selected: whether the assets were chosen; if not, those of domains that are off are left out.
    """
    if window is None:
        runner.settle(names)
        return
    after = set(runner.views) | (runner.reports if names - runner.reports else set())
    stale = runner.stale(runner.readers_by_key(names))
    if not runner.make(runner.plan_of_range(names if is_selected else runner.on(names), window)):
        after |= runner.published & names  # publish the days that did not fail
    runner.settle_by_key(names, stale)
    runner.settle(names & after)


def _show_plan(settings: Settings, window: "Window | None", select: str | None) -> None:
    """Prints what `materialize` would make from what has landed, and how many bytes it would read; makes nothing."""
    from analytics_assets.dbt.dry_run import Estimate, estimate
    from analytics_assets.definitions import project
    from analytics_assets.partitions import WHOLE

    bills = project.warehouse.bills_bytes
    table = Table("asset", title="Would be made", title_justify="left", header_style="bold")
    for heading in ("days", "from", "to", *(("bytes read", "bytes of checks") if bills else ())):
        table.add_column(heading, justify="right")
    estimates: list[Estimate] = []
    with forecast_of(settings) as forecast, console.status("asking what would be read") as status:
        names = selected_assets(select)
        make(forecast, names, window, is_selected=select is not None)
        runs = [run for run in forecast.runs if run.window != WHOLE]
        without_days = [name for run in forecast.runs if run.window == WHOLE for name in run.assets]
        for run in runs:
            found: dict[str, Estimate] = {}
            if bills:
                status.update(line(f"asking what {run.window} would read"))
                asked = estimate([name for name in run.assets if name in project.manifest.made], run.window, project)
                found = {one.model: one for one in asked}
                estimates += asked
            for name in run.assets:
                row = [name, f"{len(run.window):,}", str(run.window.start), str(run.window.end - timedelta(1))]
                if one := found.get(name):
                    row += ["not known"] if one.unknown else [f"{one.bytes_of_days:,}", f"{one.bytes_of_checks:,}"]
                table.add_row(*row)
        by_key = forecast.by_key(names)
        waiting = sum(forecast.not_landed(names).values())
    if runs:
        console.print(table)
    if without_days:
        console.print(f"Would be made, without days of their own: {', '.join(dict.fromkeys(without_days))}")
    say_what_is_not_known(by_key, waiting, in_range=window is not None)
    if not runs:
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


def say_what_is_not_known(by_key: Mapping[str, Set[date]], waiting: int, *, in_range: bool = False) -> None:
    """Prints what no plan can know: days that a changed key occurs in, and what is in files that have not landed.

    Args:
        by_key: by asset the days that may be made for a changed key, at most.
    """
    if by_key:
        which = ", also outside the range" if in_range else ""
        at_most = ", ".join(f"{plural(len(days), 'day')} of {name}" for name, days in by_key.items())
        console.print(
            f"Not known before: the days in which a changed key occurs{which}. They are made, too: at most {at_most}."
        )
    if waiting:
        console.print(
            f"Of the inbox, {plural(waiting, 'file has', 'files have')} not landed; what that changes is not known "
            "before. `analytics-assets materialize --new --select 'landed_*'` lands them alone."
        )


def selected_assets(select: str | None) -> set[str]:
    """The names of the assets of a selection; of all without one."""
    from analytics_assets.cli.selection import selected
    from analytics_assets.definitions import defs

    return selected("*" if select is None else select, defs.resolve_asset_graph())


@contextmanager
def runner_of(settings: Settings) -> "Iterator[Runner]":
    """A runner in this process that shows its progress; ends runs whose process was killed first."""
    from analytics_assets.definitions import defs, project
    from analytics_assets.operations.runner import Runner

    with _instance(settings) as instance, _progress() as announce:
        yield Runner(defs, project, instance, announce)


@contextmanager
def forecast_of(settings: Settings, after: "Forecast | None" = None) -> "Iterator[Forecast]":
    """A runner that only plans what it is told to make, also after what another planned."""
    from analytics_assets.definitions import defs, project
    from analytics_assets.operations.forecast import Forecast

    with _instance(settings) as instance:
        forecast = Forecast(defs, project, instance, after.supposed if after else None)
        with forecast.looking_ahead():
            yield forecast


@contextmanager
def _instance(settings: Settings) -> "Iterator[DagsterInstance]":
    from dagster import DagsterInstance

    from analytics_assets.operations.home import prepare_dagster_home
    from analytics_assets.operations.launcher import end_abandoned_runs

    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        for run_id in end_abandoned_runs(instance):
            console.print(f"run {run_id[:8]} was killed; the days that it had begun are out of date now")
        yield instance


@commands.command()
def rollout(
    select: Annotated[
        str | None, typer.Option(help="Assets whose code has changed, in Dagster's selection syntax; all without it.")
    ] = None,
    days_per_run: DaysPerRun = 30,
) -> None:
    """Make the days again that older code or seeds made, newest first; resume where it was stopped."""
    with told_plainly():
        with runner_of(get_settings()) as runner:
            names = selected_assets(select)
            runner.outcome.warnings += runner.changed_specs(names)
            runner.roll_out(names, days_per_run)
        outcome = runner.outcome
    show_outcome(outcome, nothing="No day was made by older code.")
    if outcome.failures:
        raise typer.Exit(1)


class _Progress(logging.Handler):
    """The progress of a run: a line that changes on a terminal, one line per step elsewhere."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status, self._started, self._step = status, time.monotonic(), ""
        self._said_at = self._started

    def step(self, sentence: str) -> None:
        """Announces that a step begins."""
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
    """Shows the announced steps and, while they run, what the package logs."""
    package_logger = logging.getLogger("analytics_assets")
    with console.status("") as status:
        progress = _Progress(status)
        package_logger.addHandler(progress)
        package_logger.setLevel(logging.INFO)
        try:
            yield progress.step
        finally:
            package_logger.removeHandler(progress)


def show_outcome(outcome: "Outcome", nothing: str = "Nothing was out of date.") -> None:
    """Prints what was made, what was written, and what failed."""
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
        console.print(line(("wrote:", "green"), f" {shown(file)}"), soft_wrap=True)
    for title, colour, sentences in (("warning", "yellow", outcome.warnings), ("failed", "red", outcome.failures)):
        for sentence in dict.fromkeys(sentences):
            console.print(line((f"{title}:", colour), f" {sentence}"))
