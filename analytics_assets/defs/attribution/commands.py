"""The domain's own command: touches and revenue for users that are given."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from analytics_assets.console.terminal import console
from analytics_assets.console.words import shown, told_plainly

commands = typer.Typer()


@commands.command()
def simulate_user_activity(
    users: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file of users.")],
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; without it, that of the last install.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same activity of a user.")] = 1,
) -> None:
    """Write touchpoints and revenue of given users into the inbox, for files that cannot be had."""
    from analytics_assets.defs.attribution.given_users import write_activity
    from analytics_assets.settings import get_settings

    with told_plainly():
        for file, rows in write_activity(users, get_settings().inbox_dir, end.date() if end else None, seed).items():
            console.print(f"wrote {rows:,} rows to {shown(file)}")
