"""Parses `--select`: Dagster's own selection syntax, in which a bare name stands for the asset of that name."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from dagster import DagsterError

from analytics_assets.dagster_internals import BaseAssetGraph, parse_asset_selection
from analytics_assets.spec.asset import name_of

_VALUE = r'(?:"[^"]*"|[\w./*-]+)'
_WORD = re.compile(rf"(?P<attribute>\w+:{_VALUE}(?:={_VALUE})?)|(?P<function>\w+)\(|(?P<name>{_VALUE})")
_OPERATORS = ("and", "or", "not")


def selected(text: str, graph: BaseAssetGraph) -> set[str]:
    """The names of the assets that a selection matches.

    Dagster's own `from_string` falls back to an older syntax, in which `+x` is one layer, if the text does not parse.

    Raises:
        ValueError: the text is no selection, or matches no asset; the message says what may have been meant.
    """
    names = {name_of(key) for key in graph.get_all_asset_keys()}
    if old := re.search(r"(?<![\w*:.\"])\*(\w+)", text):  # once selected all upstream assets; now it would select fewer
        name = old[1]
        raise ValueError(f"--select {text!r}: write +{name} for all that it is made from, key:*{name} for such names")
    try:
        selection = parse_asset_selection(_WORD.sub(_as_attribute, text))
        found = {name_of(key) for key in selection.resolve(graph)}
    except DagsterError:
        found = set()
    except Exception as error:  # the parser has no exception class of its own
        raise ValueError(
            f"--select {text!r} is no selection ({error}); it is one like +NAME, group:NAME or 'a or b'"
        ) from error
    if not found:
        groups = {f"group:{graph.get(key).group_name}" for key in graph.get_all_asset_keys()}
        raise ValueError(f"--select {text!r} selects no asset; {_suggestion(text, names | groups)}")
    return found


def _as_attribute(word: re.Match[str]) -> str:
    name = word["name"]
    if name is None or name.lower() in _OPERATORS or name.isdigit() or name == "*":
        return word[0]
    return f"key:{name}"


def _suggestion(text: str, known: Iterable[str]) -> str:
    words = [word[0].removeprefix("key:").strip('"') for word in _WORD.finditer(text)]
    close = [name for word in words for name in get_close_matches(word, known, n=1)]
    return f"did you mean {close[0]}?" if close else "`dagster asset list` prints their names"
