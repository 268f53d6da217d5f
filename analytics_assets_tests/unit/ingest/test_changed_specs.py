"""A spec that changes under files that have landed: it is told, until its version is raised."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from analytics_assets.ingest.landed_files import SPEC_HAS_CHANGED, file_checks
from analytics_assets.operations.health import State, _landing_findings
from analytics_assets.partitions import Calendar
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.check_results import first_finding
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import MakeInbox

PURCHASES = Source(
    name="purchases",
    patterns=("*.csv",),
    columns={"user_id": pl.String, "bought_at": pl.Datetime("us"), "amount": pl.Int64},
    time="bought_at",
    primary_key=("user_id", "bought_at"),
)
CSV = "user_id,bought_at,amount\np,2025-06-01 12:00:00,5\n"

READS_OTHERWISE: dict[str, Mapping[str, Any]] = {
    "columns": {"columns": {**PURCHASES.columns, "amount": pl.Float64}},
    "primary_key": {"primary_key": ("user_id", "bought_at", "_repeat")},
    "kind": {"kind": Kind.SNAPSHOT},
    "time": {"kind": Kind.SNAPSHOT, "time": None},
    "timezone": {"timezone": "Europe/Madrid"},
    "epoch": {"epoch": {"bought_at": "s"}},
    "plausible": {"plausible": (date(2020, 1, 1), date.max)},
    "may_be_empty": {"may_be_empty": frozenset({"user_id"})},
    "optional": {"optional": frozenset({"amount"})},
    "aliases": {"aliases": {"amount": ("Amount",)}},
    "null_values": {"null_values": ("-",)},
    "time_formats": {"time_formats": {"bought_at": "%d/%m/%Y"}},
    "rules": {"rules": {"amount is negative": pl.col("amount") >= 0}},
    "derived": {"derived": {"is_large": pl.col("amount") > 100}},
    "explode": {"explode": lambda record: [record]},
    "delimiter": {"delimiter": ";"},
    "header": {"header": False},
    "skip_lines": {"skip_lines": 1},
    "encoding": {"encoding": "cp1252"},
    "decimal": {"decimal": ","},
    "thousands": {"thousands": "'"},
}
READS_ALIKE: dict[str, Mapping[str, Any]] = {
    "name": {"name": "bought"},
    "patterns": {"patterns": ("p*.csv",)},
    "description": {"description": "What was bought."},
    "dedup_order": {"dedup_order": ("amount desc",)},
    "whole": {"dedup_order": ("amount desc",), "whole": ("user_id",)},
    "version": {"version": 2},
    "calendar": {"calendar": Calendar(timezone="Europe/Madrid")},
}


def objection(inbox: Inbox) -> str:
    """What the check of the spec says, or nothing."""
    (check,) = (
        one
        for one in file_checks(inbox.source, inbox.settings, closed={}, ignored={})
        if one.check_name == "spec_is_as_it_was"
    )
    return first_finding(check.metadata)


@pytest.mark.parametrize("change", READS_OTHERWISE.values(), ids=READS_OTHERWISE)
def test_what_decides_how_a_file_is_read_is_in_the_digest(change: Mapping[str, Any]) -> None:
    assert replace(PURCHASES, **change).reads_by != PURCHASES.reads_by


@pytest.mark.parametrize("change", READS_ALIKE.values(), ids=READS_ALIKE)
def test_what_reads_no_file_is_not(change: Mapping[str, Any]) -> None:
    assert replace(PURCHASES, **change).reads_by == PURCHASES.reads_by


def test_every_field_of_a_spec_is_one_or_the_other() -> None:
    assert {one.name for one in fields(Source)} == READS_OTHERWISE.keys() | READS_ALIKE.keys() | {"complete"}
    delivery = replace(PURCHASES, kind=Kind.DELIVERY, time=None)
    assert replace(delivery, complete=True).reads_by == delivery.reads_by


def test_the_digest_depends_on_no_order_that_means_nothing() -> None:
    assert replace(PURCHASES, columns=dict(reversed(PURCHASES.columns.items()))).reads_by == PURCHASES.reads_by
    bare = replace(PURCHASES, header=False)
    assert replace(bare, columns=dict(reversed(bare.columns.items()))).reads_by != bare.reads_by


def test_a_changed_spec_is_told_until_its_version_is_raised_or_its_files_are_gone(inbox: MakeInbox) -> None:
    before = inbox(PURCHASES)
    before.drop("a.csv", CSV)
    file = before.drop("b.csv", CSV.replace("p,", "q,"))
    before.land()
    assert not objection(before)
    changed = replace(PURCHASES, null_values=("-",))
    after = Inbox(before.settings, changed)
    after.land()
    assert objection(after) == f": files 2, first a.csv: {SPEC_HAS_CHANGED}"
    (found,) = _landing_findings(changed, before.settings, "", datetime.now(UTC))
    assert (found.state, found.why) == (State.WARNING, f"spec_is_as_it_was: files 2, first a.csv: {SPEC_HAS_CHANGED}")
    file.unlink()
    assert objection(after) == f": files 1, first a.csv: {SPEC_HAS_CHANGED}"
    raised = Inbox(before.settings, replace(changed, version=2))
    assert not objection(raised), "its files are about to be read again"
    raised.land()
    assert not objection(raised)


def test_files_that_landed_before_this_was_noted_are_not_told_of(inbox: MakeInbox) -> None:
    before = inbox(PURCHASES)
    before.drop("a.csv", CSV)
    before.land()
    with closing(sqlite3.connect(before.settings.lake_dir / "ledger.sqlite")) as ledger:
        ledger.executescript("alter table contents drop column spec; pragma user_version = 0;")
    after = Inbox(before.settings, replace(PURCHASES, delimiter=";"))
    assert not objection(after)
    after.drop("b.csv", CSV.replace(",", ";"))
    after.land()
    assert not objection(after)
    assert objection(Inbox(before.settings, PURCHASES)) == f": files 1, first b.csv: {SPEC_HAS_CHANGED}"
