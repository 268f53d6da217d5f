"""Validates the `meta` of models and their tests when the project is loaded.

A misspelt name would not fail by itself: days of an unknown model would mean the same day, and a misspelt check
would never run. So each name must be an existing key, model, source or column, as far as the project knows them. A name
that only the database knows fails when the model is made.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from analytics_assets.spec.model_node import Manifest, ModelNode, name_in

_OF_MODEL = ("day", "reads", "adds_up", "published", "dagster")
_OF_READ = ("model", "days", "key", "of", "columns")
_OF_TEST = ("description", "dagster")
_UPSTREAM_OF_SUMS = ("rows_of_raw", "keys_of_raw", "rows_of", "measures_of")
_OF_SUMS = (*_UPSTREAM_OF_SUMS, "measures", "counted_on", "where", "newest_delivery")
_IN_WINDOW_OF = re.compile(r"in_window\([^()]*\bof\s*=\s*['\"](\w+)['\"]")
_BY_KEY = re.compile(r"by_key\(\s*['\"](\w+)['\"]")
_REF = re.compile(r"\bref\(\s*['\"](\w+)['\"]")


def meta_faults(manifest: Manifest, sources: Iterable[str]) -> dict[str, str]:
    """What is wrong with the meta of models and their tests, by unique id of the model; the sentence names the file.

    Args:
        sources: the names of all sources.
    """
    models = {node.name: node for node in manifest.models}
    tests = list(manifest.tests)
    found = {}
    for node in models.values():
        of_model = [test for test in tests if test.tested == node.unique_id]
        if fault := next(_faults(node, models, of_model, set(sources)), None):
            found[node.unique_id] = f"{node.yml or node.file}: {node.name}: {fault}"
    return found


def _faults(
    node: ModelNode, models: Mapping[str, ModelNode], tests: list[ModelNode], sources: set[str]
) -> Iterator[str]:
    meta = node.meta
    yield from _unknown("meta", meta, _OF_MODEL)
    if "day" in meta:
        yield from _faults_of_day(node)
    yield from _faults_of_reads(node, models)
    rules = {test.rule for test in tests}
    if "adds_up" in meta:
        yield from _faults_of_sums(node, models, sources)
        if "adds_up" not in rules:
            yield "meta.adds_up is checked by nobody: add adds_up to its data_tests"
    elif "adds_up" in rules:
        yield "its test adds_up needs meta.adds_up, which says what must add up"
    for test in tests:
        yield from _unknown(f"meta of its test {test.name}", test.meta, _OF_TEST)


def _faults_of_day(node: ModelNode) -> Iterator[str]:
    yield from _lacks_column(node, "meta.day", node.day)
    if node.materialized not in ("incremental", "view"):
        yield (
            f"it has days and is materialized as {node.materialized}, so that each run would leave its own days"
            " alone in it; leave `materialized` out, or make it a view"
        )
    elif node.materialized == "incremental" and node.config.get("incremental_strategy") != "delete+insert":
        yield (
            f"the incremental_strategy {node.config.get('incremental_strategy')} does not replace the days of a run;"
            " leave it out"
        )


def _faults_of_reads(node: ModelNode, models: Mapping[str, ModelNode]) -> Iterator[str]:
    declared = node.meta.get("reads", [])
    if not isinstance(declared, list) or not all(isinstance(one, Mapping) and "model" in one for one in declared):
        yield f"meta.reads is {declared!r}; it must be like [{{model: stg_events, days: [-1, 0]}}]"
        return
    if declared and not node.has_days:
        yield "meta.reads is said of a model without meta.day"
    faults = [fault for one in declared for fault in _faults_of_read(node, one, models)]
    yield from faults
    if not faults:
        yield from _faults_of_use(node)


def _faults_of_read(node: ModelNode, said: Mapping[str, Any], models: Mapping[str, ModelNode]) -> Iterator[str]:
    name, where = said["model"], f"meta.reads of {said['model']}"
    yield from _unknown(where, said, _OF_READ)
    read = {name_in(one) for one in node.reads if one.startswith("model.")}
    if name not in read:
        yield f"meta.reads names {name}, {_none_of(name, read, 'models that it reads')}"
        return
    if not models[name].has_days:
        yield f"meta.reads names {name}, which has no days"
    days = said.get("days", [0, 0])
    if (
        not isinstance(days, list)
        or len(days) != 2
        or not all(offset is None or type(offset) is int for offset in days)
        or (None not in days and days[0] > days[1])
    ):
        yield f"{where} says days: {days!r}; it must be two whole numbers, first to last, or ~ for no end: [-1, 0]"
    by_key = [part for part in ("key", "of", "columns") if said.get(part) or (part == "columns" and part in said)]
    if by_key and len(by_key) < 3:
        yield f"{where} says {' and '.join(by_key)}; by key, it must say key, of and columns ([] for the key alone)"
    elif by_key:
        yield from _faults_of_key(node, said, models, read)


def _faults_of_key(
    node: ModelNode, said: Mapping[str, Any], models: Mapping[str, ModelNode], read: set[str]
) -> Iterator[str]:
    name, driver, where = said["model"], said["of"], f"meta.reads of {said['model']}"
    key, columns = ([text] if isinstance(text, str) else text for text in (said["key"], said["columns"] or []))
    if not all(isinstance(names, list) and all(isinstance(one, str) for one in names) for names in (key, columns)):
        yield f"{where} must name the columns of key and columns, as a name or a list of names"
        return
    if not models[name].holds_rows:
        yield f"meta.reads names {name} with a key, but it is a view, so that no run replaces its rows: read a table"
    if driver not in read:
        yield f"{where} says of: {driver}, {_none_of(driver, read, 'models that it reads')}"
        return
    if not models[driver].has_days:
        yield f"{where} says of: {driver}, which has no days"
    elif not models[driver].holds_rows:
        yield f"{where} says of: {driver}, which is a view: its rows change before its days are recorded; name a table"
    if not node.holds_rows:
        yield f"{where} says a key, but {node.name} is a view, and keys are those of a run's days: make it a table"
    if any(one["model"] == driver and one.get("key") for one in node.meta["reads"]) and driver not in _REF.findall(
        node.sql
    ):
        yield f"{where} says of: {driver}, which it must also read by day: from {{{{ ref('{driver}') }}}}"
    if reserved := {"_for_day", "_day", "_invocation", "_copies"} & {column.lower() for column in (*key, *columns)}:
        yield f"{where} names {', '.join(sorted(reserved))}, which the project keeps for itself: rename it upstream"
        return
    for column in key:
        yield from _lacks_column(models[name], where, column)
        yield from _lacks_column(models[driver], where, column)
    for column in columns:
        yield from _lacks_column(models[name], where, column)


def _faults_of_use(node: ModelNode) -> Iterator[str]:
    """What the SQL reads in another way than `meta.reads` says."""
    whole = [read.asset for read in node.mappings if not read.is_by_key]
    keyed = [read.asset for read in node.mappings if read.is_by_key]
    for name in sorted({one for names in (whole, keyed) for one in names if names.count(one) > 1}):
        yield f"meta.reads names {name} twice"
    for name in _IN_WINDOW_OF.findall(node.sql):
        if name not in whole:
            yield f"its SQL asks for in_window(…, of='{name}'), {_none_of(name, whole, 'models in meta.reads')}"
    used = set(_BY_KEY.findall(node.sql))
    for name in sorted(used - set(keyed)):
        yield f"its SQL reads by_key('{name}'), {_none_of(name, keyed, 'models that meta.reads names with a key')}"
    for name in sorted(set(keyed) - used):
        yield f"meta.reads names {name} with a key, and its SQL never reads by_key('{name}')"
    drivers = {read.of for read in node.mappings if read.is_by_key}
    for name in sorted((set(keyed) - set(whole) - drivers) & set(_REF.findall(node.sql))):
        yield (
            f"its SQL reads all of {name}, of which meta.reads names rows by key alone: read"
            f" by_key('{name}'), or name the days that it reads, too"
        )


def _faults_of_sums(node: ModelNode, models: Mapping[str, ModelNode], sources: set[str]) -> Iterator[str]:
    rule = node.meta["adds_up"]
    if not isinstance(rule, Mapping):
        yield f"meta.adds_up is {rule!r}; it must be like {{rows_of: stg_events}}"
        return
    yield from _unknown("meta.adds_up", rule, _OF_SUMS)
    said = [key for key in _UPSTREAM_OF_SUMS if key in rule]
    if len(said) != 1:
        yield f"meta.adds_up must name one of {', '.join(_UPSTREAM_OF_SUMS)}, and names {' and '.join(said) or 'none'}"
        return
    measures = rule.get("measures", {})
    if ("measures_of" in rule) != bool(measures) or not isinstance(measures, Mapping):
        yield "meta.adds_up must say both, as {measures_of: stg_orders, measures: {sum_of_amounts: amount}}"
        return
    (kind,), name = said, rule[said[0]]
    if kind.endswith("_of_raw"):
        if name not in sources:
            yield f"meta.adds_up.{kind} names {name}, {_none_of(name, sources, 'sources with a spec')}"
        return
    if name not in models or not models[name].has_days:
        with_days = [other for other, model in models.items() if model.has_days]
        yield f"meta.adds_up.{kind} names {name}, {_none_of(name, with_days, 'models with days')}"
        return
    for own, upstream in measures.items():
        yield from _lacks_column(node, "meta.adds_up.measures", own)
        yield from _lacks_column(models[name], "meta.adds_up.measures", upstream)
    if "counted_on" in rule:
        yield from _lacks_column(models[name], "meta.adds_up.counted_on", rule["counted_on"])


def _lacks_column(node: ModelNode, where: str, name: object) -> Iterator[str]:
    """Checks a plain column name against the columns that the yml lists; only the database can check expressions."""
    if not isinstance(name, str):
        if where == "meta.day":
            yield f"meta.day is {name!r}; it must be the name of a column"
        return
    columns = {column.lower() for column in node.columns}
    if columns and re.fullmatch(r"[A-Za-z_]\w*", name) and name.lower() not in columns:
        yield f"{where} names {name}, {_none_of(name, columns, 'columns that the yml of ' + node.name + ' names')}"


def _unknown(where: str, said: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    for key in said:
        if key not in known:
            yield f"{where} says {key}, {_none_of(key, known, 'keys that it may have')}"


def _none_of(name: object, names: Iterable[str], what: str) -> str:
    """Says that a name is none of the known ones, and which one may have been meant."""
    names = sorted(names)
    close = difflib.get_close_matches(str(name), names, 1)
    there_is = f"did you mean {close[0]}?" if close else f"there is {', '.join(names[:20]) or 'none'}"
    return f"which is none of the {what}: {there_is}"
