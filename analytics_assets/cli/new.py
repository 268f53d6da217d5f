"""Commands that write new code of a domain: a source from files, a mart of a model, a report of a mart."""

import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analytics_assets.console.terminal import console, line
from analytics_assets.console.words import shown, told_plainly, yesterday
from analytics_assets.settings import PROJECT_DIR, get_settings

if TYPE_CHECKING:
    from analytics_assets.project import Project
    from analytics_assets.scaffold.look import Look

commands = typer.Typer()


@commands.command()
def new_source(
    name: Annotated[str, typer.Argument(help="What the files are of, as orders: the name of the new domain.")],
    files: Annotated[
        list[str], typer.Argument(help="CSV, JSON Lines or Parquet; or a page of an API, by its address.")
    ],
    time_: Annotated[
        str, typer.Option("--time", help="The column of the rows' own time; none if they have none.")
    ] = "",
    key: Annotated[str, typer.Option(help="The columns that identify a row, as order_id,line.")] = "",
    timezone: Annotated[str, typer.Option(help="The zone of times that say none, and of the days.")] = "",
    kind: Annotated[str, typer.Option(help="facts, snapshot or delivery.")] = "",
    columns: Annotated[str, typer.Option(help="Names for the columns of files without a header, as a,b,c.")] = "",
    by: Annotated[str, typer.Option(help="The columns to split by, as country,plan.")] = "",
    sum_: Annotated[str, typer.Option("--sum", help="Columns to sum, as amount,quantity.")] = "",
    mean: Annotated[str, typer.Option(help="Columns whose mean is shown, as price,delay.")] = "",
    owner: Annotated[str, typer.Option(help="Who is responsible: team:NAME or a mail address.")] = "",
    drop: Annotated[
        bool | None, typer.Option("--drop/--no-drop", help="Copy the files into the inbox; asked without it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take what is likeliest.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Look at files, and write the domain that lands them: spec, models, report, sample data and test."""
    from analytics_assets.scaffold.domain import as_dropped, files_of, plan_of, said_of_report
    from analytics_assets.scaffold.look import Answers, look
    from analytics_assets.scaffold.names import require_free
    from analytics_assets.scaffold.pages import as_files
    from analytics_assets.scaffold.questions import ask_on_terminal, say_default
    from analytics_assets.scaffold.write import drop as drop_files
    from analytics_assets.scaffold.write import formatted, require_none_of, require_places, write_all

    with told_plainly():
        taken = _taken()
        require_free(name, taken)
        for model in (f"src_{name}", f"stg_{name}", f"mart_{name}_daily"):
            require_free(model, taken)
        require_none_of([f"analytics_assets/defs/{name}"], PROJECT_DIR)
        began = time.perf_counter()
        is_asked = sys.stdin.isatty() and not yes
        ask = ask_on_terminal if is_asked else say_default
        answers = Answers(
            time_,
            tuple(_listed(key)),
            timezone,
            kind,
            tuple(_listed(columns)),
            tuple(_listed(by)),
            tuple(_listed(sum_)),
            tuple(_listed(mean)),
        )
        with as_files(name, files) as (paths, page):
            found = look(name, paths, ask, answers)
            plan = plan_of(found, owner or f"team:{name}", page=page)
            texts = formatted(files_of(plan), PROJECT_DIR)
            _show_look(found, time.perf_counter() - began)
            if said := said_of_report(plan):
                console.print(line(("report: ", "green"), said))
            folder = get_settings().inbox_dir / name
            names = as_dropped(found, yesterday())
            if drop is not False:
                require_places(paths, folder, names)
            if not dry_run:
                write_all(texts, PROJECT_DIR)
            _show_written(texts, dry_run=dry_run)
            is_dropped = False
            if not dry_run:
                if drop is None:
                    drop = not is_asked or typer.confirm(f"Copy them into {shown(folder)}?", default=True)
                if drop:
                    drop_files(paths, folder, names)
                    is_dropped = True
                    console.print(f"copied {', '.join(names)} into {shown(folder)}")
    _show_next(name, shown(folder), is_dropped=is_dropped, dry_run=dry_run)


@commands.command()
def new_mart(
    name: Annotated[str, typer.Argument(help="The name of the new model, as mart_orders_by_country.")],
    of: Annotated[str, typer.Option(help="The model whose rows it sums.")],
    by: Annotated[str, typer.Option(help="The columns to split by, beside the day, as country,plan.")] = "",
    sum_: Annotated[str, typer.Option("--sum", help="The columns to sum, as amount,quantity.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Write a daily mart of a model: SQL, and yml with contract, tests and a unit test."""
    from analytics_assets.scaffold.names import require_free
    from analytics_assets.scaffold.of_models import mart_files
    from analytics_assets.scaffold.write import formatted, write_all

    with told_plainly():
        project = _project()
        require_free(name, {asset: "an asset" for asset in project.catalog} | _taken())
        types = _types(project, of)
        owner = next(domain.owner for domain in project.domains if domain.name == project.manifest.made[of].domain)
        texts = mart_files(name, project.manifest, types, of, _listed(by), _listed(sum_), owner)
        texts = formatted(texts, PROJECT_DIR)
        if not dry_run:
            write_all(texts, PROJECT_DIR)
        _show_written(texts, dry_run=dry_run)
    console.print(line(("analytics-assets materialize --new", "bold"), " makes its days"))


@commands.command()
def new_report(
    name: Annotated[str, typer.Argument(help="The name of the new report, as orders_by_country.")],
    of: Annotated[str, typer.Option(help="The mart that it shows.")],
    title: Annotated[str, typer.Option(help="Its title; the name without it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Write a report of a mart: key figures, charts and tables."""
    from analytics_assets.scaffold.names import require_free, title_of
    from analytics_assets.scaffold.of_models import has_few_rows, report_files
    from analytics_assets.scaffold.write import formatted, write_all

    with told_plainly():
        project = _project()
        require_free(name, _taken())
        types = _types(project, of)
        domain = next(one for one in project.domains if one.name == project.manifest.made[of].domain)
        title = title or title_of(name)
        opens_on_all = any(one.opens_on_all for one in domain.reports) or has_few_rows(_rows_by_day(project, of))
        texts = report_files(
            name, project.manifest, types, of, title, domain.owner, domain.calendar, opens_on_all=opens_on_all
        )
        texts = formatted(texts, PROJECT_DIR)
        if not dry_run:
            write_all(texts, PROJECT_DIR)
        _show_written(texts, dry_run=dry_run)
    where = f"analytics_assets.defs.{domain.name}"
    console.print(f"Two lines are yours, in analytics_assets/defs/{domain.name}/__init__.py:")
    console.print(line((f"from {where}.{name} import {name.upper()}_REPORT", "bold")))
    console.print(line((f"reports=(…, {name.upper()}_REPORT),", "bold"), " in its DOMAIN"))


def _project() -> "Project":
    from analytics_assets.definitions import project

    return project


def _types(project: "Project", model: str) -> dict[str, str]:
    """The columns of a model with their types: as its yml says, or else as they are in the warehouse.

    Raises:
        ValueError: there is no such model, or neither says it.
    """
    from analytics_assets.scaffold.of_models import model_of, types_in_yml, types_of
    from analytics_assets.warehouse.interface import NotMade

    node = model_of(project.manifest, model)
    if types := types_in_yml(node):
        return types
    try:
        with project.warehouse.reading() as reader:
            return types_of(reader.frame(f"select * from {node.raw['relation_name']} limit 0"))  # noqa: S608
    except NotMade as error:
        raise ValueError(
            f"the types of the columns of {model} are not known: make its days first, or say data_type in its yml"
        ) from error


def _rows_by_day(project: "Project", model: str) -> dict[date, int]:
    """How many rows a model has, by day; empty if it was never made."""
    from analytics_assets.partitions import partitioned_days
    from analytics_assets.warehouse.interface import NotMade, between

    node = project.manifest.made[model]
    window = partitioned_days(project.settings, datetime.now(UTC), project.catalog[model].calendar)
    day = project.warehouse.quoted(node.day)
    sql = f"select {day}, count(*) from {node.relation_name} where {between(day, window)} group by {day}"  # noqa: S608
    try:
        with project.warehouse.reading() as reader:
            return dict(reader.rows(sql).rows)
    except NotMade:
        return {}


def _taken() -> dict[str, str]:
    """The names that are in use, with what they are."""
    from analytics_assets import defs
    from analytics_assets.defs import find_domains

    models = Path(str(defs.__file__)).parents[2] / "dbt_project" / "models"
    taken = {file.stem: "a model" for file in models.rglob("*.sql")}
    for domain in find_domains():
        taken |= {source.name: f"a source of the domain {domain.name}" for source in domain.sources}
        taken |= {report.name: f"a report of the domain {domain.name}" for report in domain.reports}
        taken[domain.name] = "a domain"
    return taken


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _show_look(found: "Look", seconds: float) -> None:
    table = Table("what", "guess", "why", title="What the files are", title_justify="left", header_style="bold")
    for one in found.said:
        table.add_row(one.what, one.guess, one.why)
    console.print(table)
    rejected = sum(found.rejected.values())
    console.print(
        line(
            ("read: ", "green"),
            f"{_counted(found.rows.height, 'row')} of {_counted(len(found.files), 'file')} would be accepted, "
            f"{rejected:,} rejected ({seconds:.0f} s)",
        )
    )
    for reason in list(found.rejected)[:10]:
        console.print(line(("rejected: ", "yellow"), reason))
    if rejected:
        console.print(
            "Rejected rows are kept with their reasons. If their values stand for nothing, add them to null_values in "
            "the spec; if the column is a text, make it pl.String."
        )


def _show_written(texts: dict[str, str], *, dry_run: bool) -> None:
    table = Table("file", title="Would be written" if dry_run else "Written", title_justify="left", header_style="bold")
    table.add_column("lines", justify="right")
    total = 0
    for name, text in texts.items():
        lines = len(text.splitlines())
        total += lines
        table.add_row(name, f"{lines:,}")
    table.add_section()
    table.add_row("", f"{total:,}")
    console.print(table)


def _show_next(name: str, folder: str, *, is_dropped: bool, dry_run: bool) -> None:
    console.print()
    console.print(line(("What next", "bold")))
    places = Table.grid(padding=(0, 2))
    if dry_run:
        places.add_row(line(("the same without --dry-run", "bold")), "writes it")
    else:
        if not is_dropped:
            places.add_row(line((f"cp FILE… {folder}/", "bold")), "drops files")
        places.add_row(line(("analytics-assets materialize --new", "bold")), "lands them and makes their days")
        places.add_row(line((f"data/exports/{name}_dashboard.html", "bold")), "is then the dashboard")
        places.add_row(line((f"analytics_assets/defs/{name}/sources.py", "bold")), "is the spec, if a guess was wrong")
        places.add_row(line(("analytics-assets erd", "bold")), "draws its tables into docs/erd.md")
        places.add_row(line(("make test", "bold")), "fails once, since the graph has changed: see docs/add-a-source.md")
    console.print(places)
