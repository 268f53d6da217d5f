"""Texts of Python, SQL and yml files: what stands in them is quoted for each."""

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml  # type: ignore[import-untyped]

_WIDTH = 84  # characters of a literal in one line

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    # dbt's own braces stand in the templates as they are
    variable_start_string="<<",
    variable_end_string=">>",
    block_start_string="<%",
    block_end_string="%>",
    comment_start_string="<#",
    comment_end_string="#>",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # each value is quoted by a filter, for the language that it stands in
)


def literal(text: str) -> str:
    """A text as a Python literal, in several lines if it is long."""
    if len(text) <= _WIDTH:
        return _quoted(text)
    parts = textwrap.wrap(text, _WIDTH, drop_whitespace=False, replace_whitespace=False, expand_tabs=False)
    return "(\n" + "\n".join(_quoted(part) for part in parts) + "\n)"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def names(held: Sequence[str]) -> str:
    """Texts as a Python tuple."""
    if not held:
        return "()"
    return f"({', '.join(map(literal, held))}{',' if len(held) == 1 else ''})"


def rendered(template: str, **values: Any) -> str:
    """A template of this room, filled in."""
    return _TEMPLATES.get_template(template).render(**values)


def lower_first(text: str) -> str:
    """A title within a sentence."""
    return text[:1].lower() + text[1:]


class _Dumper(yaml.SafeDumper):
    """Lists stand further in than what they belong to, as in the yml files of the project; nothing is said by alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


class Flow(dict[str, Any]):
    """A mapping that stands in one line."""


_Dumper.add_representer(
    Flow, lambda dumper, held: dumper.represent_mapping("tag:yaml.org,2002:map", held, flow_style=True)
)


def yml(held: Any) -> str:
    """A yml file."""
    text = yaml.dump(held, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False)
    return re.sub(r"\n(?=[a-z]|  - name: )", r"\n\n", text).replace(":\n\n  - name", ":\n  - name")


def from_title(text: str) -> str:
    """A title, from a name."""
    from analytics_assets.scaffold.names import title_of

    return title_of(text)


_TEMPLATES.filters |= {"literal": literal, "names": names, "lower_first": lower_first, "title": from_title}
