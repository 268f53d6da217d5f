"""Maintenance commands: prepare Dagster's home, rebuild a lost ledger, remove domains."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import shown, told_plainly
from analytics_assets.foundation.words import plural
from analytics_assets.settings import PROJECT_DIR, Settings, get_settings

if TYPE_CHECKING:
    from analytics_assets.spec.source import Source

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
    console.print(
        f"The ledger is there again: {plural(rebuilt.contents, 'content of a file', 'contents of files')}, "
        f"{plural(rebuilt.rows, 'row')}."
    )
    for file in rebuilt.gone:
        console.print(line(("gone:", "red"), f" {file}; restore it from a backup"), soft_wrap=True)
    if rebuilt.gone:
        raise typer.Exit(1)


@commands.command("remove-domain")
def remove_domain(
    names: Annotated[list[str] | None, typer.Argument(help="The domains, by their names.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Those of the demo. Their code stays, switched off.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove domains: their files in the inbox, data, tables, reports and code. The others stay as they are."""
    with told_plainly():
        from analytics_assets.defs import domains_in_use
        from analytics_assets.operations.processes import working_in
        from analytics_assets.operations.removal import code_of, delete, remove_data, switch_off

        settings = get_settings()
        if bool(names) == demo:
            raise ValueError("say which domains, or --demo for those of the demo")
        known = {domain.name: domain for domain in domains_in_use(settings)}
        if unknown := sorted(set(names or ()) - known.keys()):
            raise ValueError(f"there is no domain {unknown[0]!r}; there is {', '.join(known)}")
        chosen = [one for one in known.values() if one.name in (names or ()) or (demo and one.is_demo)]
        if not chosen:
            console.print("The demo's domains are switched off already: nothing was removed.")
            return
        if at_work := working_in(PROJECT_DIR):
            what = ", ".join(f"{program} ({pid})" for pid, program in at_work.items())
            raise ValueError(f"end first what works in this project: {what}")
        for domain in chosen:
            of_it = [f"{shown(settings.inbox_dir / one.name)} ({_held(settings, one)})" for one in domain.sources]
            of_it += ["its data, tables and reports", *([] if domain.is_demo else map(shown, code_of(domain.name)))]
            console.print(line((domain.name, "bold"), f": {', '.join(of_it)}"))
        if not yes:
            typer.confirm("Remove all of this?", abort=True)
        from analytics_assets.definitions import project

        left = project
        for domain in chosen:
            with console.status(f"removing {domain.name}"):
                left = remove_data(left, domain)
            if not domain.is_demo:
                for folder in code_of(domain.name):
                    delete([folder])
            console.print(f"removed {domain.name}")
        if off := [domain.name for domain in chosen if domain.is_demo]:
            switch_off(off)
            console.print("The code of the demo stays; ANALYTICS_DOMAINS_OFF, in .env, switches it off.")


def _held(settings: Settings, source: "Source") -> str:
    """How many files of a source are in the inbox, and how many of its rows have landed; both are removed with it."""
    from analytics_assets.partitions import partitioned_days
    from analytics_assets.state.ledger import Ledger

    files = sum(1 for path in (settings.inbox_dir / source.name).rglob("*") if path.is_file())
    days = partitioned_days(settings, datetime.now(UTC), source.calendar)
    landed = Ledger(settings.lake_dir).totals(source, days).accepted
    return f"{plural(files, 'file')}, {plural(landed, 'row')} landed"


@commands.command()
def env() -> None:
    """Print what a shell needs to find the project by dagster, dg and dbt: eval "$(.venv/bin/analytics-assets env)"."""
    with told_plainly():
        from analytics_assets.operations.home import prepare_dagster_home

        dbt = PROJECT_DIR / "dbt_project"
        variables = {
            "DAGSTER_HOME": prepare_dagster_home(get_settings()),
            "DAGSTER_MODULE_NAME": "analytics_assets.definitions",
            "DBT_PROJECT_DIR": dbt,
            "DBT_PROFILES_DIR": dbt,
        }
        for name, value in variables.items():
            print(f"export {name}={quote(str(value))}")  # noqa: T201 a shell reads it
        print(f"export PATH={quote(str(Path(sys.executable).parent))}:$PATH")  # noqa: T201 as above


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
