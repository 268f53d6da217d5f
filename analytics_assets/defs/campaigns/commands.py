"""The campaigns' own commands: a stand-in for the advertising API."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import told_plainly, yesterday
from analytics_assets.foundation.words import plural

DEMO_DAYS = 30
SERVED_AHEAD = 30  # future days, which appear when their time comes

commands = typer.Typer()


@commands.command()
def serve_campaigns_api(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 8099,
    key: Annotated[str, typer.Option(help="What the header api_key must hold.")] = "demo",
    days: Annotated[int, typer.Option(min=1, help="How many days back the campaigns go.")] = DEMO_DAYS,
    scale: Annotated[float, typer.Option(min=0.001, help="1 is 24 campaigns.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same campaigns.")] = 1,
    page_size: Annotated[int, typer.Option(min=1, max=500, help="Records on a page that asks for no size.")] = 100,
    refusal: Annotated[int, typer.Option(help="The status that a wrong key gets: 401 or 403.")] = 401,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many requests are answered in any --limit-seconds.")
    ] = None,
    limit_seconds: Annotated[float, typer.Option(min=0.1, help="The span of --limit.")] = 60.0,
    retry_after: Annotated[
        str, typer.Option(help="How 429 says when to come again: seconds, date or none.")
    ] = "seconds",
    fault: Annotated[
        list[str] | None, typer.Option(help="What goes wrong with which requests, as 503@3,7 or cut@5; see --faults.")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List what can be made to go wrong.")] = False,
) -> None:
    """Serve simulated campaigns as an advertising API would, with its limits and faults."""
    from analytics_assets.defs.campaigns.api import FAULTS, CampaignsApi, parse_faults, served, simulated
    from analytics_assets.partitions import Window

    if faults:
        table = Table("fault", "what the API then does", header_style="bold")
        for name, what in FAULTS.items():
            table.add_row(name, what)
        console.print(table)
        return
    with told_plainly():
        if refusal not in (401, 403):
            raise ValueError(f"--refusal {refusal} is neither 401 nor 403")
        if retry_after not in ("seconds", "date", "none"):
            raise ValueError(f"--retry-after {retry_after!r} is none of seconds, date, none")
        window = Window.of_days(yesterday() - timedelta(days=days - 1), yesterday() + timedelta(days=SERVED_AHEAD))
        api = CampaignsApi(
            simulated(window, scale, seed),
            key=key,
            refusal=refusal,
            page_size=page_size,
            limit=limit,
            limit_seconds=limit_seconds,
            retry_after=retry_after,
            faults=parse_faults(fault or []),
            clock=lambda: datetime.now(UTC),
        )
        with served(api, port) as url:
            console.print(
                f"{plural(len(api.visible()), 'record is', 'records are')} at {url}/campaigns; Ctrl-C ends it. For the "
                "pulls, in .env:"
            )
            console.print(f"ANALYTICS_API__CAMPAIGNS__URL={url}")
            console.print("ANALYTICS_API__CAMPAIGNS__KEY=(the key)")
            told = 0
            while True:
                time.sleep(0.2)
                for number, asked in enumerate(api.requests[told:], start=told + 1):
                    went_wrong = f"  {api.faults[number]}" if number in api.faults else ""
                    console.print(line((f"{number:6,}", "dim"), f"  {asked}", (went_wrong, "yellow")))
                    told = number
