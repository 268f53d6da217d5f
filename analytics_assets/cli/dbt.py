"""The command that runs dbt by hand."""

from datetime import datetime
from typing import Annotated

import typer

from analytics_assets.console.words import told_plainly, window_of
from analytics_assets.settings import get_settings

commands = typer.Typer()


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(
    context: typer.Context,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included.")] = None,
) -> None:
    """Run dbt by hand with this project's variables: analytics-assets dbt --from DATE --to DATE -- compile -s MODEL."""
    with told_plainly():
        from analytics_assets.dbt.invocation import WRITING, why_not_in_production
        from analytics_assets.dbt.runner import run_dbt
        from analytics_assets.definitions import project
        from analytics_assets.partitions import all_days

        if not context.args:
            raise ValueError(
                "say what dbt should do, for example: analytics-assets dbt -- compile -s mart_company_daily"
            )
        settings = get_settings()
        command = next((word for word in context.args if word in WRITING), "")
        if bool(from_) != bool(to):
            raise ValueError("say both --from and --to, or neither")
        if command and settings.dbt_target == "prod":
            dev = "ANALYTICS_DBT_TARGET=dev"
            raise ValueError(f"{why_not_in_production(command)} or set {dev} to write a schema of your own")
        window = window_of(settings, from_.date(), to.date(), project.calendars.values()) if from_ and to else None
        run = run_dbt(
            context.args,
            settings,
            project.sources,
            window,
            calendar=all_days(settings, project.calendars.values()),
            quiet=False,
        )
        if run.failures:
            raise typer.Exit(1)
