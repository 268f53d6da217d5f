"""The demo: simulates thirty days and makes them."""

import os
from contextlib import ExitStack
from datetime import date, timedelta

import typer
from pydantic import BaseModel
from rich.table import Table

from analytics_assets.cli.materialize import make_days, show_outcome
from analytics_assets.cli.simulate import DEMO_DAYS, simulate_files
from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import shown, told_plainly, window_of, yesterday
from analytics_assets.settings import PROJECT_DIR, Api, BigQuery, Settings, Sheets, get_settings

commands = typer.Typer()


@commands.command()
def demo() -> None:
    """Simulate 30 days ending yesterday, make every day of every asset, and say where to look."""
    from analytics_assets.defs import find_domains
    from analytics_assets.partitions import Window
    from analytics_assets.reports.index_asset import index_file

    with told_plainly(), ExitStack() as served:
        _write_env_once(yesterday() - timedelta(days=DEMO_DAYS - 1))
        days = Window.of_days(yesterday() - timedelta(days=DEMO_DAYS - 1), yesterday())
        for domain in find_domains():
            if domain.is_demo and domain.demo:
                os.environ |= served.enter_context(domain.demo(days))
        settings = get_settings()
        simulate_files(settings, DEMO_DAYS, yesterday(), 1.0, 1, None, with_pulled=False)
        outcome = make_days(settings, window_of(settings, settings.start_date, yesterday()), None, with_health=True)
    show_outcome(outcome)
    if outcome.failures:
        raise typer.Exit(1)
    places = Table.grid(padding=(0, 2))
    index = index_file(settings)
    if index.is_file():
        places.add_row(shown(index), "open this first, in a browser: all reports, with links to each")
    for ending, what in (("html", "a dashboard"), ("xlsx", "its tables and charts")):
        for file in sorted(settings.exports_dir.glob(f"*.{ending}")):
            if file != index:
                places.add_row(shown(file), what)
    places.add_row(line(("make dev", "bold")), f"the asset graph, its days and checks, at {settings.ui_url}")
    places.add_row(line(("analytics-assets reconcile", "bold")), "where every row went (it is in .venv/bin)")
    places.add_row(shown(settings.inbox_dir), "drop files here, then: analytics-assets materialize --new")
    places.add_row(shown(settings.published_file), "the marts, in DuckDB; start with marts.mart_company_daily")
    places.add_row(shown(settings.rejects_dir), "rows that were rejected, each with its reason")
    console.print()
    console.print(line(("Where to look", "bold")))
    console.print(places)


def _write_env_once(first_day: date) -> None:
    """Writes `.env` with every variable at its default, except the first day, unless the file exists."""
    from analytics_assets.defs import find_domains

    file = PROJECT_DIR / ".env"
    if file.exists() or "ANALYTICS_START_DATE" in os.environ:
        return
    lines = ["# Settings of this clone; see analytics_assets/settings.py.", f"ANALYTICS_START_DATE={first_day}"]
    for name, field in Settings.model_fields.items():
        if name not in ("start_date", "dagster_home", "api", "bigquery", "sheets"):
            default = "" if field.default is None else field.default
            lines += ["", f"# {field.description}", f"#ANALYTICS_{name.upper()}={default}"]
    apis = [(f"API__{extract.source.name.upper()}", Api) for domain in find_domains() for extract in domain.extracts]
    nested: list[tuple[str, type[BaseModel]]] = [*apis, ("BIGQUERY", BigQuery), ("SHEETS", Sheets)]
    for begin, of in nested:
        lines += ["", f"# {Settings.model_fields[begin.partition('__')[0].lower()].description}"]
        for name, field in of.model_fields.items():
            default = "" if field.is_required() or field.default is None else field.default
            lines += [f"# {field.description}", f"#ANALYTICS_{begin}__{name.upper()}={default}"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print(f"wrote {file.name}: the first day is {first_day}")
