"""`analytics-assets …`: gathers all groups of commands.

Modules that take seconds to import are imported inside the commands, so that `--help` answers at once.
"""

import codecs
import locale
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated

import typer

from analytics_assets import __version__
from analytics_assets.cli import (
    costs,
    dbt,
    demo,
    erd,
    health,
    maintenance,
    materialize,
    new,
    plan,
    profile,
    reconciliation,
    simulate,
    sql,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Raw files in, daily analytics out.")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"analytics-assets {__version__}")
        raise typer.Exit


@app.callback()
def _in_utf8(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Raw files in, daily analytics out."""
    # Libraries read and write text in the locale's encoding: if that is not UTF-8, restart Python in UTF-8 mode.
    if codecs.lookup(locale.getpreferredencoding(False)).name != "utf-8" and not sys.flags.utf8_mode:
        os.execve(sys.executable, sys.orig_argv, os.environ | {"PYTHONUTF8": "1"})


def commands_of_domains(defs: Path) -> list[typer.Typer]:
    """The commands of the domains in a folder.

    It does not import the domains' packages, which takes seconds.
    """
    found = []
    for file in sorted(defs.glob("*/commands.py")):
        spec = spec_from_file_location(f"analytics_assets.defs.{file.parent.name}.commands", file)
        assert spec is not None and spec.loader is not None  # the file exists
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append(module.commands)
    return found


_GROUPS = (simulate, new, materialize, plan, reconciliation, sql, costs, profile, health, demo, maintenance, dbt, erd)

for group in _GROUPS:
    app.add_typer(group.commands)
for commands in commands_of_domains(Path(__file__).parents[1] / "defs"):
    app.add_typer(commands)
