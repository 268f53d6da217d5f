"""The command that runs SQL on the published copy."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analytics_assets.console.tables import as_lines, as_table, is_cut
from analytics_assets.console.terminal import Terminal, console, line
from analytics_assets.console.words import shown, told_plainly
from analytics_assets.foundation.files import replacing
from analytics_assets.foundation.words import plural
from analytics_assets.settings import Settings, get_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_SHOWN = 200
WIDEST = 10_000  # characters of a line

commands = typer.Typer()


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    VERTICAL = "vertical"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


_FOR_PEOPLE = (Format.TABLE, Format.VERTICAL)

_OPTIONS = {Format.CSV: "format csv, header", Format.JSON: "format json, array true", Format.PARQUET: "format parquet"}
"""What DuckDB's `copy` is told. It writes values in full: a null is empty in CSV, and an empty text is `\"\"`."""

_LISTS_TABLES = re.compile(r"\s*show\s+(all\s+)?tables\s*;?\s*", re.IGNORECASE)
_LISTS_COLUMNS = re.compile(r"\s*desc(?:ribe)?\s+(?:(\w+)\.)?(\w+)\s*;?\s*", re.IGNORECASE)

_SHOW_TABLES = """
select * from (
    select schema_name as "schema", table_name as name, estimated_size as rows, comment
    from duckdb_tables() where not internal
    union all
    select schema_name, view_name, null, comment from duckdb_views() where not internal
    union all
    select schema_name, function_name || '(' || array_to_string(parameters, ', ') || ')', null, comment
    from duckdb_functions() where not internal and function_type = 'table_macro'
) order by all
"""
"""DuckDB's own `show tables` lists one schema, and no comments."""

_INNER = r"\b(?:raw|src|stg)_\w+"
"""The names of tables that are in the warehouse alone."""

_NOT_PUBLISHED = "Tables raw_…, src_… and stg_… are in the warehouse, not in the published copy."

_DESCRIBE = """
select column_name as "column", data_type as type, comment
from duckdb_columns()
where not internal and lower(table_name) = lower('{name}') and lower(schema_name) like lower('{schema}')
order by schema_name, table_name, column_index
"""


@commands.command()
def sql(
    statement: Annotated[
        str, typer.Argument(help="One SQL statement, in quotes; also 'show tables', 'describe NAME'.")
    ],
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="For people: a table (the default), or vertical, which has a line a value. For programs, in full: csv,"
            " json or parquet.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; its ending may say the format.")
    ] = None,
) -> None:
    """Run one SQL statement on the published copy: analytics-assets sql "select * from marts.mart_company_daily"."""
    with told_plainly():
        settings, chosen = get_settings(), _format(format_, output)
        if chosen is None or chosen in _FOR_PEOPLE:
            names, rows, others = _query(settings, statement)
        else:
            _write(settings, statement, chosen, output)
        behind = _behind(settings, statement)
    if chosen is None or chosen in _FOR_PEOPLE:
        _show(names, rows, chosen, is_listing=_is_listing(statement))
        if others:
            rest = plural(others, "more row is", "more rows are")
            console.print(f"{rest} not shown; say `limit` or `where`, or `--format csv` for all of them.")
        elif not rows:
            console.print("No rows.")
        if _LISTS_TABLES.fullmatch(statement) or (not rows and _is_listing(statement) and re.search(_INNER, statement)):
            console.print(_NOT_PUBLISHED)
    notes = Terminal(highlight=False, stderr=chosen is not None and chosen not in _FOR_PEOPLE)
    for name, days in behind.items():
        some = plural(len(days), "day failed or is", "days failed or are")
        said = (
            f" {name}: up to {max(days)}, {some} being made; the copy holds what passed last of each, if anything did. "
            "`analytics-assets status` says why."
        )
        notes.print(line(("warning:", "yellow"), said))


def _format(said: Format | None, output: Path | None) -> Format | None:
    """The format that is asked for, if any: by name, or by the ending of the file.

    Raises:
        ValueError: a file is asked for that only people would read, or binary output would go to a terminal.
    """
    if output and said is None:
        known = {f".{one}": one for one in _OPTIONS}
        if output.suffix not in known:
            raise ValueError(f"say the format of {output}: --format csv, json or parquet")
        return known[output.suffix]
    if output and said in _FOR_PEOPLE:
        raise ValueError(f"--format {said} is for a terminal; a file is csv, json or parquet")
    if said is Format.PARQUET and not output and sys.stdout.isatty():
        raise ValueError("parquet is no text: say `--output FILE`, or send it to another program")
    return said


def _is_listing(statement: str) -> bool:
    """Whether a statement lists tables or columns, with what is said of them."""
    return bool(_LISTS_TABLES.fullmatch(statement) or _LISTS_COLUMNS.fullmatch(statement))


def _show(
    names: Sequence[str], rows: Sequence[Sequence[object]], chosen: Format | None, *, is_listing: bool = False
) -> None:
    """Prints rows for people. On a terminal that is too narrow for a table, each value gets a line of its own.

    Comments of tables and columns are of several lines; a listing has each on one, and a table of it is cut everywhere.
    """
    if is_listing:
        rows = [[" ".join(one.split()) if isinstance(one, str) else one for one in row] for row in rows]
    width = console.width if console.is_terminal or is_listing else None
    table = as_table(names, rows, width) if chosen is not Format.VERTICAL else None
    if table is None and chosen is Format.TABLE:
        table = as_table(names, rows, None)  # asked for by name: the terminal wraps it
        width = None
    if table is None:
        for part in as_lines(names, rows):
            console.print(part)
        return
    (console if width else Terminal(highlight=False, width=WIDEST)).print(table)
    if width and is_cut(names, rows, width):
        console.print("Some values are cut; `--format vertical` shows them whole.")


def _behind(settings: Settings, statement: str) -> dict[str, list[date]]:
    """The days on which the copy is behind, by public model that a statement names."""
    from analytics_assets.dbt.project import last_manifest
    from analytics_assets.defs import domains_in_use
    from analytics_assets.warehouse.published import days_behind

    manifest, calendars = last_manifest(settings), {domain.name: domain.calendar for domain in domains_in_use(settings)}
    words = set(re.findall(r"\w+", statement.lower()))
    names = [node.name for node in manifest.models if node.is_published and node.alias.lower() in words]
    return days_behind(manifest, names, settings, calendars)


@contextmanager
def _asked(settings: Settings, statement: str, folder: str = "") -> Iterator[tuple["DuckDBPyConnection", str]]:
    """A connection to the published copy, and the statement as it is to be run.

    The statement reaches no file but the copy, and those in a folder.

    Raises:
        ValueError: it is not one statement, or fails; the message says why.
    """
    import duckdb

    from analytics_assets.warehouse.duckdb.warehouse import IF_COPY_IS_DAMAGED, opened

    if settings.warehouse == "bigquery":
        raise ValueError("the warehouse is BigQuery, which is asked with `bq query` or in its console")
    if not settings.published_file.exists():
        raise ValueError("there is no published copy yet; `analytics-assets materialize --new` makes it")
    options = {"memory_limit": settings.duckdb_memory_limit}
    with opened(settings.published_file, IF_COPY_IS_DAMAGED, read_only=True, config=options) as connection:
        if folder:
            connection.execute("set allowed_directories = [{}]".format("'" + folder.replace("'", "''") + "'"))
        connection.execute("set enable_external_access = false")
        try:
            found = connection.extract_statements(statement)
            if len(found) != 1:
                raise ValueError("say one statement")
            text = found[0].query.strip().rstrip(";").strip()
            if _LISTS_TABLES.fullmatch(text):
                text = _SHOW_TABLES
            elif table := _LISTS_COLUMNS.fullmatch(text):
                text = _DESCRIBE.format(name=table[2], schema=table[1] or "%")
            yield connection, text
        except duckdb.Error as error:
            said = str(error).split("\n\nLINE ")[0]
            if lacking := re.search(rf'Table with name "?(?:\w+\.)*{_INNER}"? does not exist', said, re.IGNORECASE):
                said = f"{lacking[0]}. {_NOT_PUBLISHED}"
            raise ValueError(said) from error


def _query(settings: Settings, statement: str) -> tuple[list[str], list[tuple[Any, ...]], int]:
    """The column names and first rows of a statement's result, and how many more rows it has."""
    with _asked(settings, statement) as (connection, text):
        found = connection.execute(text)
        rows = found.fetchmany(ROWS_SHOWN)
        others = sum(len(some) for some in iter(lambda: found.fetchmany(10_000), []))
        return [column[0] for column in found.description or []], rows, others


def _write(settings: Settings, statement: str, chosen: Format, output: Path | None) -> None:
    """Writes all rows of a statement's result to a file, or else to the standard output."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        with _asked(settings, statement, folder) as (connection, text):
            if chosen is Format.PARQUET:  # DuckDB would write them as floats, without their last digits
                types = connection.execute(f"describe select * from (\n{text}\n)").fetchall()  # noqa: S608 a person's own
                wide = [name.replace('"', '""') for name, kind, *_ in types if kind in ("HUGEINT", "UHUGEINT")]
                if wide:
                    exact = ", ".join(f'cast("{name}" as decimal(38, 0)) as "{name}"' for name in wide)
                    text = f"select * replace ({exact}) from (\n{text}\n)"  # noqa: S608 as above
            connection.execute(f"copy (select * from (\n{text}\n)) to '{file}' ({_OPTIONS[chosen]})")  # noqa: S608 as above
        with file.open("rb") as written:
            if output is None:
                copyfileobj(written, sys.stdout.buffer)
                sys.stdout.buffer.flush()
                return
            with replacing(output) as temporary, temporary.open("wb") as target:
                copyfileobj(written, target)
    console.print(line(("wrote:", "green"), f" {shown(output)}"), soft_wrap=True)
