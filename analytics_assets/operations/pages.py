"""The text of docs/ that is made: the page of the tables, and the places within pages that people write.

A place begins with `<!-- made: NAME -->` and ends with `<!-- end: NAME -->`. The name is `timetable`, or `columns of` a
model.
"""

import re
from pathlib import Path

from dagster import Definitions

from analytics_assets.dbt.erd import erd_page
from analytics_assets.foundation.plain_text import markdown_table
from analytics_assets.operations.timetable import timetable
from analytics_assets.project import Project
from analytics_assets.spec.model_node import Manifest

TABLES = "erd.md"
"""The page of the tables, which is made as a whole."""

_COLUMNS_OF = "columns of "
_PLACE = re.compile(r"<!-- made: (?P<name>[^\n]+?) -->\n.*?<!-- end: (?P=name) -->", re.S)


def made_pages(definitions: Definitions, project: Project, folder: Path) -> dict[Path, str]:
    """The pages of a folder that hold made text, as they should be now.

    Raises:
        ValueError: a place has an unknown name.
    """
    found = {folder / TABLES: erd_page(project.manifest, [domain.name for domain in project.domains])}

    def made(place: re.Match[str]) -> str:
        name = place["name"]
        if name == "timetable":
            text = timetable(definitions, project)
        elif name.startswith(_COLUMNS_OF) and name.removeprefix(_COLUMNS_OF) in project.manifest.made:
            text = columns_of(project.manifest, name.removeprefix(_COLUMNS_OF))
        else:
            raise ValueError(f"nothing is called {name!r}; a page can hold `timetable`, or `columns of` a model")
        return f"<!-- made: {name} -->\n\n{text}\n\n<!-- end: {name} -->"

    for page in sorted(folder.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if page.name != TABLES and _PLACE.search(text):
            found[page] = _PLACE.sub(made, text)
    return found


def columns_of(manifest: Manifest, model: str) -> str:
    """A table of a model's columns in the order of its yml: name, meaning, type, and whether it may be empty."""
    node = manifest.made[model]
    tested = {
        test.arguments["column_name"]
        for test in manifest.tests
        if test.tested == node.unique_id and test.rule == "not_null"
    }
    rows = []
    for name, column in node.columns.items():
        is_filled = name in tested or any(one["type"] == "not_null" for one in column.get("constraints", ()))
        rows.append((f"`{name}`", column["description"], column["data_type"] or "", "no" if is_filled else "yes"))
    return markdown_table(("column", "meaning", "type", "may be empty"), rows)
