"""The command that shows the health of all days."""

from datetime import UTC, datetime

import typer
from rich.table import Table

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import told_plainly
from analytics_assets.foundation.words import plural
from analytics_assets.settings import get_settings

commands = typer.Typer()


@commands.command()
def status() -> None:
    """Show the days that failed, are missing, stale, or made by older code, and the checks that failed.

    Exit code 1 if a day, a file, a pull or a check failed; 0 if there are only warnings, or days that wait to be made.
    """
    with told_plainly():
        from dagster import DagsterInstance

        from analytics_assets.definitions import defs, project
        from analytics_assets.operations.health import State, check_health, grouped
        from analytics_assets.operations.home import prepare_dagster_home

        settings = get_settings()
        prepare_dagster_home(settings)
        with DagsterInstance.get() as instance:
            found = check_health(defs.resolve_asset_graph(), project, instance, datetime.now(UTC))
    if found.off:
        console.print(f"Off, since nothing of them ever came: {', '.join(found.off)}. The first file turns them on.")
    when = f"{found.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    if not found.findings:
        console.print(
            f"All is well at {when}: {plural(found.assets, 'asset')} with {plural(found.days, 'day')} each are up to "
            "date."
        )
        return
    table = Table(title=f"What is not as it should be at {when}", title_justify="left", header_style="bold")
    for heading in ("asset", "state", "days"):
        table.add_column(heading, no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("why, and when it is tried again", overflow="fold")
    colours = {State.FAILED: "red", State.CHECK_FAILED: "red", State.WARNING: "yellow"}
    for finding in grouped(found.findings):
        colour = colours.get(finding.state, "default")
        count = f"{finding.count:,}" if finding.count else ""
        why = "; ".join(filter(None, (finding.why, finding.next_try)))
        table.add_row(finding.asset, line((finding.state, colour)), str(finding.days or ""), count, why)
    console.print(table)
    if found.failed:
        raise typer.Exit(1)
