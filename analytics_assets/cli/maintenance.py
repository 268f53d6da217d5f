"""Maintenance commands: prepare Dagster's home, and rebuild a lost ledger."""

import typer

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import told_plainly
from analytics_assets.settings import get_settings

commands = typer.Typer()


@commands.command()
def repair() -> None:
    """Rebuild a lost or damaged ledger from the journals beside the landed pieces."""
    with told_plainly():
        from analytics_assets.state.ledger import Ledger

        rebuilt = Ledger(get_settings().lake_dir).rebuild()
    if rebuilt is None:
        console.print("The ledger is whole: nothing was repaired.")
        return
    console.print(f"The ledger is there again: {rebuilt.contents:,} contents of files, {rebuilt.rows:,} rows.")
    for file in rebuilt.gone:
        console.print(line(("gone:", "red"), f" {file}; restore it from a backup"), soft_wrap=True)
    if rebuilt.gone:
        raise typer.Exit(1)


@commands.command()
def prepare() -> None:
    """Prepare DAGSTER_HOME and dbt's manifest, and print DAGSTER_HOME; `make dev` does this first."""
    with told_plainly():
        from dagster import DagsterInstance

        from analytics_assets.dbt.project import project_faults
        from analytics_assets.operations.home import prepare_dagster_home
        from analytics_assets.operations.launcher import end_abandoned_runs

        settings = get_settings()
        home = prepare_dagster_home(settings)
        for fault in project_faults(settings):
            typer.echo(f"warning: {fault}", err=True)
        with DagsterInstance.get() as instance:
            end_abandoned_runs(instance)
        print(home)  # noqa: T201 a script that starts Dagster reads it: the plain path and nothing else
