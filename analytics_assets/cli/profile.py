"""The command that shows what each model takes."""

import typer
from rich.table import Table

from analytics_assets.cli.materialize import Select, selected_assets
from analytics_assets.console.terminal import console
from analytics_assets.console.words import as_bytes, told_plainly
from analytics_assets.foundation.words import plural
from analytics_assets.settings import get_settings

commands = typer.Typer()


@commands.command()
def profile(select: Select = None) -> None:
    """Show what each model takes: seconds to make it, rows, bytes, and the time to read all of it. Makes nothing."""
    with told_plainly():
        from dagster import DagsterInstance

        from analytics_assets.definitions import project
        from analytics_assets.operations.home import prepare_dagster_home
        from analytics_assets.operations.model_profile import profiles

        settings, names = get_settings(), selected_assets(select)
        prepare_dagster_home(settings)
        models = sorted(node.name for node in project.manifest.models if node.name in names)
        with DagsterInstance.get() as instance, console.status("reading every model"):
            found = profiles(project, instance, models)
    table = Table("model", title="What each model takes", title_justify="left", header_style="bold")
    table.add_column("is", no_wrap=True)
    for heading in ("seconds to make", "days", "rows", "bytes", "ms to read"):
        table.add_column(heading, justify="right")
    for one in found:
        table.add_row(
            one.model,
            one.materialized.replace("_", " "),
            "" if one.seconds is None else f"{one.seconds:,.2f}",
            "" if one.days is None else f"{one.days:,}",
            "" if one.rows is None else f"{one.rows:,}",
            "" if one.bytes is None else as_bytes(one.bytes),
            "" if one.seconds_to_read is None else f"{one.seconds_to_read * 1000:,.0f}",
        )
    console.print(table)
    console.print(
        f"{plural(len(found), 'model')}: {sum(one.seconds or 0 for one in found):,.1f} s to make, "
        f"{sum(one.rows or 0 for one in found if one.bytes is not None):,} rows and "
        f"{as_bytes(sum(one.bytes or 0 for one in found))} stored. Seconds to make are those of one run of so many "
        "days, by dbt's clock; bytes are as BigQuery counts them."
    )
