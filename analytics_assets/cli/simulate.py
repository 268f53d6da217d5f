"""The command that simulates sample files."""

from datetime import date, datetime, timedelta
from random import Random
from typing import Annotated

import typer

from analytics_assets.console.terminal import console
from analytics_assets.console.words import shown, told_plainly, yesterday
from analytics_assets.settings import Settings, get_settings

DEMO_DAYS = 30

commands = typer.Typer()


@commands.command()
def simulate(
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = DEMO_DAYS,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; yesterday without it.")
    ] = None,
    scale: Annotated[float, typer.Option(min=0.001, help="1 is some thousand rows a day.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.")] = 1,
    only: Annotated[str | None, typer.Option(help="One domain, by its name.")] = None,
) -> None:
    """Write sample files with real defects into the inbox: of the demo's domains, or of one."""
    with told_plainly():
        simulate_files(get_settings(), days, end.date() if end else yesterday(), scale, seed, only)


def simulate_files(
    settings: Settings, days: int, end: date, scale: float, seed: int, only: str | None, *, with_pulled: bool = True
) -> None:
    """Simulates the files of the demo's domains or of one; `with_pulled` includes domains whose files come from pulls.

    Raises:
        ValueError: there is no such domain, or it is switched off.
    """
    from analytics_assets.defs import domains_in_use
    from analytics_assets.partitions import Window

    known = domains_in_use(settings)
    chosen = [domain for domain in known if domain.name == only or (only is None and domain.is_demo)]
    if not chosen and only is None:
        raise ValueError("the demo's domains are switched off: take them out of ANALYTICS_DOMAINS_OFF, in .env")
    if not chosen:
        raise ValueError(f"there is no domain {only!r}; there is {', '.join(domain.name for domain in known)}")
    window = Window.of_days(end - timedelta(days=days - 1), end)
    for domain in chosen:
        if domain.extracts and not with_pulled:
            continue
        with console.status(f"simulating {domain.name} for {window}"):
            domain.simulate(settings.inbox_dir, window, scale, Random(f"{seed} {domain.name}"))
        console.print(f"simulated {domain.name} for {window} into {shown(settings.inbox_dir)}")
