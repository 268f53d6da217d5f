"""The command that draws the tables."""

import typer

from analytics_assets.console.terminal import console
from analytics_assets.console.words import shown, told_plainly
from analytics_assets.settings import PROJECT_DIR, get_settings

commands = typer.Typer()

PAGE = PROJECT_DIR / "docs" / "erd.md"


@commands.command()
def erd() -> None:
    """Write docs/erd.md: the tables of each domain, their keys and how they refer to each other."""
    with told_plainly():
        from analytics_assets.dbt.erd import erd_page
        from analytics_assets.dbt.project import load_manifest
        from analytics_assets.defs import domains_in_use

        page = erd_page(load_manifest(get_settings()), [domain.name for domain in domains_in_use(get_settings())])
        PAGE.write_text(page, encoding="utf-8")
    console.print(f"wrote {shown(PAGE)}")
