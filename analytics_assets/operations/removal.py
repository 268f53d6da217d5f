"""Removes what a domain has left: files, rows, tables, reports and what is remembered of them. Its code is not touched.

Each step can be repeated: a removal that was cut off is ended by the next one.
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from analytics_assets.foundation.files import only_one, replacing
from analytics_assets.partitions import EVER
from analytics_assets.project import Project, published_asset
from analytics_assets.reports.index_asset import facts_file, write_index
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import builds_of
from analytics_assets.state.check_results import CheckResults
from analytics_assets.state.ledger import Ledger
from analytics_assets.warehouse.duckdb.warehouse import IF_DAMAGED, drop, opened
from analytics_assets.warehouse.published import unpublish


def remove_data(project: Project, domain: Domain) -> Project:
    """Removes all data of a domain, its files in the inbox included. No run may be in progress.

    Returns:
        The project without the domain.

    Raises:
        ValueError: the warehouse is BigQuery, whose tables only its owner may drop.
        CannotRead: another program uses the warehouse.
    """
    settings = project.settings
    if settings.warehouse != "duckdb":
        raise ValueError("the warehouse is BigQuery: drop the domain's tables there, and switch the domain off")
    nodes = [node for node in project.manifest.made.values() if node.domain == domain.name]
    _forget(project, [*names_of(domain), *(node.name for node in nodes)])
    _drop(project, nodes)
    for source in domain.sources:
        _remove_source(project, source)
    delete([settings.warehouse_dir / "dbt_target"])  # what dbt compiled last, of all domains
    for name in names_of(domain):
        delete([*settings.exports_dir.glob(f"{name}.*"), settings.exports_dir / name, facts_file(settings, name)])
    rest = replace(project, domains=[one for one in project.domains if one.name != domain.name])
    write_index(rest)
    return rest


def code_of(name: str) -> list[Path]:
    """The folders and files of a domain's code, models, seeds and tests that are there."""
    models, tests = PROJECT_DIR / "dbt_project", PROJECT_DIR / "analytics_assets_tests"
    return sorted(
        [
            *(PROJECT_DIR / "analytics_assets" / "defs").glob(name),
            *models.glob(f"models/*/{name}"),
            *models.glob(f"seeds/{name}"),
            *tests.glob(f"*/defs/test_{name}.py"),
        ]
    )


def switch_off(names: Iterable[str]) -> None:
    """Adds domains to those that `.env` switches off; the file's other lines stay as they are."""
    file, setting = PROJECT_DIR / ".env", "ANALYTICS_DOMAINS_OFF="
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    known = [one for text in lines if text.startswith(setting) for one in text.removeprefix(setting).split(",")]
    off = ",".join(dict.fromkeys(one.strip() for one in [*known, *names] if one.strip()))
    kept = [text for text in lines if not text.startswith(setting)]
    with replacing(file) as temporary:
        temporary.write_text("\n".join([*kept, f"{setting}{off}"]) + "\n", encoding="utf-8")


def names_of(domain: Domain) -> list[str]:
    """The names of a domain's assets that are no dbt models."""
    return [
        *(source.raw_asset for source in domain.sources),
        *(extract.asset for extract in domain.extracts),
        published_asset(domain.name),
        *(analysis.name for analysis in domain.analyses),
        *(file.asset(report.name) for report in domain.reports for file in report.files),
    ]


def _forget(project: Project, names: Iterable[str]) -> None:
    lake_dir = project.settings.lake_dir
    for name in names:
        if name in project.catalog:
            builds_of(project.catalog[name], project.settings).forget_all(name)
        Attempts(lake_dir).end(name, Attempts(lake_dir).read(name, EVER))
    CheckResults(lake_dir).forget(names)


def _drop(project: Project, nodes: list[ModelNode]) -> None:
    """Drops tables, those that others read last."""
    settings, in_order = project.settings, [*reversed(nodes)]
    unpublish(settings, in_order)
    if settings.warehouse_file.exists():
        with opened(settings.warehouse_file, IF_DAMAGED) as connection:
            drop(connection, in_order)


def _remove_source(project: Project, source: Source) -> None:
    settings = project.settings
    with only_one(settings.lake_dir / f".landing-{source.name}.lock"):
        delete([settings.landed_dir / source.name, settings.rejects_dir / source.name])
        Ledger(settings.lake_dir).forget(source)
    delete(
        [
            *settings.lake_dir.glob(f".landing-{source.name}.*"),
            settings.raw_dir / f".{source.raw_asset}.lock",
            settings.raw_dir / source.raw_asset,
            settings.lake_dir / "extracts" / source.name,
            settings.inbox_dir / source.name,
        ]
    )


def delete(paths: Iterable[Path]) -> None:
    """Deletes files and folders, as far as they are there; of a link, the link."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
