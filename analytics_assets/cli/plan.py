"""The command that shows what a change of data or code would make anew, before anything is made."""

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from analytics_assets.cli.materialize import (
    DaysPerRun,
    Select,
    forecast_of,
    make,
    say_what_is_not_known,
    selected_assets,
)
from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import told_plainly
from analytics_assets.foundation.words import listed, plural
from analytics_assets.settings import get_settings

if TYPE_CHECKING:
    from analytics_assets.operations.forecast import Forecast

SPANS_SHOWN = 3

commands = typer.Typer()


@commands.command()
def plan(select: Select = None, days_per_run: DaysPerRun = 30) -> None:
    """Show what `materialize --new`, and then `rollout`, would make: days, reasons, rows and seconds. Makes nothing."""
    with told_plainly():
        settings, names = get_settings(), selected_assets(select)
        with forecast_of(settings) as new, console.status("looking at every day"):
            make(new, names, None, is_selected=select is not None)
        _show("materialize --new", new)
        with new.looking_ahead():
            say_what_is_not_known(new.by_key(names), sum(new.not_landed(names).values()))
        with forecast_of(settings, new) as old, console.status("looking at the code of every day"):
            old.roll_out(names, days_per_run)
        _show("rollout", old, is_second=bool(new.planned))
        say_what_is_not_known(old.by_key(names | set(old.upstream) - old.reports), 0)
    for sentence in new.changed_specs(names):
        console.print(line(("warning:", "yellow"), f" {sentence}"))
    to_run = [command for command, planned in (("materialize --new", new), ("rollout", old)) if planned.planned]
    if to_run:
        console.print(f"To make this, run {', then '.join(f'`analytics-assets {one}`' for one in to_run)}.")


def _show(command: str, forecast: "Forecast", *, is_second: bool = False) -> None:
    """Prints what a command would make, perhaps after another: a row for each asset and reason."""
    planned = forecast.estimated()
    if not planned:
        console.print(f"`analytics-assets {command}` would make nothing{' more' if is_second else ''}.")
        return
    title = f"{'Then ' if is_second else ''}analytics-assets {command} would make"
    table = Table("asset", title=title, title_justify="left", header_style="bold")
    table.add_column("days", justify="right")
    table.add_column("which", overflow="fold")
    table.add_column("why", overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("seconds", justify="right")
    told: set[str] = set()
    for one in planned:
        seconds = None if one.asset in told else forecast.seconds(one.asset)
        told.add(one.asset)
        spans = [str(span) for span in one.spans]
        more = len(spans) - SPANS_SHOWN
        table.add_row(
            one.asset,
            f"{len(one.days):,}" if spans else "",
            ", ".join(spans[:SPANS_SHOWN]) + (f" and {plural(more, 'more span')}" if more > 0 else ""),
            one.why if not one.above else f"reads {listed(sorted(one.above))}",
            "" if one.rows is None else f"{one.rows:,}",
            "" if seconds is None else f"{seconds:,.1f}",
        )
    console.print(table)
    total, unknown = forecast.total_seconds()
    console.print(
        f"{plural(len(forecast.runs), 'run')}, about {total:,.0f} s of work by earlier runs"
        + (f", without {plural(unknown, 'asset')} of which no time is known" if unknown else "")
        + ". Nothing was made."
    )
