"""Texts of Python, SQL and yml files: what stands in them is quoted for each."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2

from analytics_assets.foundation.words import lower_first

_WIDTH = 84  # characters of a literal in one line
_LINE = 116  # characters of a line of yml

_PLAIN = r"[A-Za-z_][\w./-]*"
_NOT_PLAIN = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")

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


class Flow(dict[str, Any]):
    """A mapping that stands in one line, if it fits."""


def yml(held: Mapping[str, Any]) -> str:
    """A yml file, written as the project's own are: `Flow` in one line, long texts folded, a line between models."""
    lines = list(_block(held, 0))
    parted = [f"\n{line}" if _begins_part(line, before) else line for before, line in pairwise(["", *lines])]
    return "\n".join(parted) + "\n"


def _begins_part(line: str, before: str) -> bool:
    if not before:
        return False
    return line[0].isalpha() or (line.startswith("  - name: ") and not before.endswith(":"))


def _block(held: Any, indent: int) -> Iterator[str]:
    """The lines of a mapping or list."""
    pad = " " * indent
    if isinstance(held, Mapping):
        for key, value in held.items():
            yield from _entry(f"{pad}{key}:", value, indent + 2)
        return
    for one in held:
        if isinstance(one, Mapping) and not isinstance(one, Flow):
            lines = list(_block(one, indent + 2))
            yield f"{pad}- {lines[0].lstrip()}"
            yield from lines[1:]
        else:
            yield from _entry(f"{pad}-", one, indent + 2)


def _entry(begin: str, value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, Flow) or not isinstance(value, Mapping | list):
        line = f"{begin} {_flow(value)}"
        if len(line) <= _LINE:
            yield line
        elif isinstance(value, str):
            yield f"{begin} >-"
            yield from textwrap.wrap(value, _LINE, initial_indent=" " * indent, subsequent_indent=" " * indent)
        else:
            parts = [f"{key}: {_flow(one)}" for key, one in value.items()]
            if max(map(len, parts)) + len(begin) + 4 <= _LINE:
                yield from _wrapped(f"{begin} {{", parts)
            else:
                lines = list(_block(dict(value), indent))
                yield from [f"{begin} {lines[0].lstrip()}", *lines[1:]] if begin.endswith("-") else [begin, *lines]
        return
    if isinstance(value, list) and all(not isinstance(one, Mapping | list) for one in value):
        line = f"{begin} {_flow(value)}"
        if len(line) <= _LINE:
            yield line
            return
    yield begin
    yield from _block(value, indent)


def _wrapped(begin: str, parts: Sequence[str]) -> Iterator[str]:
    """A flow mapping in several lines, which stand below its first key."""
    line, pad = begin, " " * len(begin)
    for number, part in enumerate(parts):
        text = part + ("," if number < len(parts) - 1 else "}")
        if len(line) + len(text) + 1 > _LINE and line.strip() != begin.strip():
            yield line.rstrip()
            line = pad
        line += text if line in (begin, pad) else f" {text}"
    yield line


def _flow(value: Any) -> str:
    """A value within a line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and not (re.fullmatch(_PLAIN, value) and value.lower() not in _NOT_PLAIN):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return value if isinstance(value, str) else json.dumps(value)


_TEMPLATES.filters |= {"literal": literal, "names": names, "lower_first": lower_first}
