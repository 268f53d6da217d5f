"""The domain's own commands: touches and revenue for users that are given; models beside a known truth."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from analytics_assets.console.terminal import console
from analytics_assets.console.words import shown, told_plainly
from analytics_assets.foundation.words import plural

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
            console.print(f"wrote {plural(rows, 'row')} to {shown(file)}")


@commands.command()
def attribution_truth(
    days: Annotated[int, typer.Option(min=7, help="Days that are simulated.")] = 60,
    scale: Annotated[float, typer.Option(min=0.1, help="1 is some 60 installs a day.")] = 2.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 1,
) -> None:
    """Simulate files whose truth is known, make all models of attribution of them, and say how near each comes to it.

    It works in a temporary folder, and takes a minute or two.
    """
    import tempfile

    from analytics_assets.defs.attribution.truth import made_in, true_order, verdicts

    with told_plainly(), tempfile.TemporaryDirectory() as folder, console.status("making all models"):
        table, lift = made_in(Path(folder), days, scale, seed)
    order = true_order(lift)
    console.print(f"The true order of the channels: {', '.join(order)}", soft_wrap=True)
    found = Table("model", title="Models of attribution beside the truth", title_justify="left", header_style="bold")
    for heading in ("rank correlation", "misplaced"):
        found.add_column(heading, justify="right")
    found.add_column("order")
    for model, correlation, misplaced, of_model in verdicts(table, lift).rows():
        said = "as it is" if of_model == order else ", ".join(of_model)
        found.add_row(model, f"{correlation:.2f}", f"{misplaced:.1%}", said)
    console.print(found)
