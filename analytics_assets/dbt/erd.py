"""Draws the tables that people and other domains may read: one entity-relationship diagram a domain, in Mermaid.

Everything comes from the manifest. Entities are the public models with days, and the staging models that models outside
of staging read. A key is what a test says is unique. Relationships are the `relationships` tests, and
the reads by key of `meta.reads`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from analytics_assets.partitions import by_key
from analytics_assets.spec.model_node import Manifest, ModelNode

_STAGING = "staging"

_HEAD = """\
# Which tables are there, and how do they belong together?

`analytics-assets erd` writes this page from the dbt project. Shown are the public tables with days, and those that
staging gives to the other layers: the day of each, its key (PK) and its references (FK). All columns are in the dbt
docs (`make docs`). A line is a reference that a test checks, or rows that a model finds by their key. A circle at its
end says that there may be no such row.
"""


@dataclass(frozen=True, order=True)
class _Line:
    """A relationship: many rows of a table refer to one row of another, or to any number if `is_by_key`."""

    table: str
    other: str
    columns: tuple[str, ...]
    is_by_key: bool = False
    is_certain: bool = False

    @property
    def text(self) -> str:
        one = "}o" if self.is_by_key else "||" if self.is_certain else "|o"
        return f'{self.other} {one}--o{{ {self.table} : "{", ".join(self.columns)}"'


def erd_page(manifest: Manifest, domains: Iterable[str]) -> str:
    """The page with the diagrams of some domains, as Markdown."""
    return "\n".join([_HEAD, *(_diagram(manifest, domain) for domain in sorted(domains))])


def _diagram(manifest: Manifest, domain: str) -> str:
    nodes = [node for node in manifest.models if node.domain == domain]
    lines = sorted({line for node in nodes for line in _lines(manifest, node)})
    names = {node.name for node in nodes if _is_shown(manifest, node)}
    names |= {name for line in lines for name in (line.table, line.other)}
    shown = [_entity(manifest, manifest.made[name], lines) for name in sorted(names)]
    drawn = "\n".join(f"    {text}" for text in [*(line.text for line in lines), *shown])
    return f"## {domain.capitalize()}\n\n```mermaid\nerDiagram\n{drawn}\n```\n"


def _is_shown(manifest: Manifest, node: ModelNode) -> bool:
    if node.is_public:
        return node.has_days
    return _layer(node) == _STAGING and any(
        node.unique_id in other.reads and _layer(other) != _STAGING for other in manifest.models
    )


def _layer(node: ModelNode) -> str:
    return node.file.split("/")[1]


def _tests(manifest: Manifest, node: ModelNode, rule: str) -> list[ModelNode]:
    return [test for test in manifest.tests if test.tested == node.unique_id and test.rule == rule]


def _lines(manifest: Manifest, node: ModelNode) -> Iterator[_Line]:
    for test in _tests(manifest, node, "relationships"):
        named = re.search(r"ref\(\s*['\"](\w+)['\"]", test.arguments["to"])
        if named:
            # On any day, the other table may hold the key several times: the line is that of a read by the key.
            several = bool(test.arguments.get("on_any_day"))
            certain = test.config["severity"].lower() == "error" and not several
            yield _Line(node.name, named[1], (test.arguments["column_name"],), several, certain)
    for read in by_key(node.mappings):
        if read.of != read.asset:  # else it only finds its own other rows
            yield _Line(read.of, read.asset, read.key, is_by_key=True)


def _entity(manifest: Manifest, node: ModelNode, lines: Sequence[_Line]) -> str:
    """The day, the key and the references of a table."""
    keys = [column for test in _tests(manifest, node, "unique_together") for column in test.arguments["columns"]]
    keys += [test.arguments["column_name"] for test in _tests(manifest, node, "unique")]
    refers = [column for line in lines if line.table == node.name for column in line.columns]
    referred = [column for line in lines if line.other == node.name for column in line.columns]
    day = [node.day] if node.has_days else []
    rows = []
    for column in dict.fromkeys([*day, *keys, *refers, *referred]):
        marks = ", ".join(mark for mark, marked in (("PK", keys), ("FK", refers)) if column in marked)
        rows.append(f"        {'day' if column in day else 'column'} {column} {marks}".rstrip())
    return "\n".join([f"{node.name} {{", *rows, "    }"])
