"""The command that writes what is made of docs/."""

import typer

from analytics_assets.console.terminal import console
from analytics_assets.console.words import shown, told_plainly
from analytics_assets.settings import PROJECT_DIR, get_settings

commands = typer.Typer()

DOCS = PROJECT_DIR / "docs"


@commands.command()
def erd() -> None:
    """Write docs/erd.md, which draws the tables of each domain, and what other pages list of columns and schedules."""
    with told_plainly():
        from analytics_assets.build import build_definitions, open_project
        from analytics_assets.defs import find_domains
        from analytics_assets.operations.pages import made_pages

        project = open_project(get_settings(), find_domains())
        for page, text in made_pages(build_definitions(project), project, DOCS).items():
            page.write_text(text, encoding="utf-8")
            console.print(f"wrote {shown(page)}")
