"""The command that shows the reconciliation of every source."""

from datetime import UTC, datetime

import typer
from rich.table import Table

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import shown, told_plainly
from analytics_assets.settings import get_settings

commands = typer.Typer()


@commands.command("reconcile")
def show_reconciliation() -> None:
    """Show where every row is: records = accepted + rejected, and so on down to the staging models.

    Exit code 1 if rows do not add up, or nothing has landed; 0 if everything made so far adds up.
    """
    with told_plainly():
        from analytics_assets.definitions import project
        from analytics_assets.operations.reconciliation import reconcile
        from analytics_assets.state.ledger import Ledger

        settings = get_settings()
        landed = [source for source in project.sources if Ledger(settings.lake_dir).has_landed(source)]
        if not landed:
            raise ValueError(
                f"nothing has landed yet: drop files into {shown(settings.inbox_dir)}/<source>/, "
                "then run `analytics-assets materialize --new`"
            )
        narrow = (0, 1, 0, 0)
        table = Table("source", title="Rows of each source", title_justify="left", header_style="bold", padding=narrow)
        headings = ("records", "rejected", "accepted", "waiting", "superseded", "raw", "src", "stg", "duplicates")
        for heading in headings:
            table.add_column(heading, justify="right")
        table.add_column("adds up")
        reconciled = {source.name: reconcile(source, project, datetime.now(UTC)) for source in landed}
    for name, found in reconciled.items():
        counts = [getattr(found, heading) for heading in headings]
        adds_up = "no" if found.faults else "not made yet" if found.unmade else "yes"
        table.add_row(name, *("" if count is None else f"{count:,}" for count in counts), adds_up)
    console.print(table)
    for name, found in reconciled.items():
        if found.unmade:
            told = f" {name}: {'; '.join(found.unmade)}. `analytics-assets materialize --new` makes them."
            console.print(line(("not made yet:", "yellow"), told))
    if off := [source.name for source in project.sources if source not in landed]:
        console.print(f"Nothing ever came of: {', '.join(off)}.")
    for found in reconciled.values():
        for fault in found.faults:
            console.print(line(("failed:", "red"), f" {fault}"))
    if any(found.faults for found in reconciled.values()):
        raise typer.Exit(1)


commands.command("balance", hidden=True)(show_reconciliation)  # its name until 0.2
