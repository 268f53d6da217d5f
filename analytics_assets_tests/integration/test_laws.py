"""The five laws, held by every partitioned asset of the graph, whatever domain it belongs to."""

import shutil
from collections.abc import Iterator
from datetime import date
from itertools import zip_longest
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics_assets.automation.run_grouping import PlannedRun, group_into_runs, tied_windows
from analytics_assets.dbt.project import load_manifest
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Read, Window, by_day, by_key
from analytics_assets.spec.asset import AssetKind
from analytics_assets.spec.source import Kind, Source
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import between
from analytics_assets_tests.support.laws import (
    Tables,
    dated_above,
    differing,
    drop_a_change,
    drop_a_row_with_a_key,
    drop_everything_again_but_one_day,
    held_by_key,
    still_has_input,
    tied_to,
)
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, SHOP, model, written

pytestmark = pytest.mark.models_alone

SOME_DAY = day(2)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Five days of everything, made by the automation."""
    project = Project(tmp_path_factory.mktemp("laws") / "data")
    project.simulate(attribution=1, commerce=1)  # few touches are conversions, and few orders are reviewed within days
    project.settled()
    return project


@pytest.fixture(scope="module")
def tables(settled: Project) -> Tables:
    found = settled.tables()
    empty = [asset for asset in settled.assets if not any(name == asset for name, _ in found)]
    assert not empty, f"the sample data leaves {empty} without a row, so no law says anything of them"
    return found


# --------------------------------------------------------------------------------------------------- 1: again


def test_law_1_a_partition_that_is_made_again_has_the_same_rows(settled: Project, tables: Tables) -> None:
    runner = settled.runner()
    runner.make([PlannedRun(tuple(settled.assets), Window.of_days(SOME_DAY, SOME_DAY))])
    assert runner.outcome.made.keys() == set(settled.assets)
    assert differing(tables, settled.tables()) == {}


# ------------------------------------------------------------------------------------------------ 2: replaced


def test_law_2_a_partition_whose_input_has_become_empty_ends_up_empty(
    settled: Project, tables: Tables, tmp_path: Path
) -> None:
    project = settled.copy_to(tmp_path / "data", with_state=True)
    for source in project.sources:
        if source.kind is not Kind.SNAPSHOT:
            drop_everything_again_but_one_day(project, source, SOME_DAY)
    project.settle()
    after = project.tables()
    emptied = [asset for asset in project.assets if dated_above(project, asset)]
    assert emptied
    left = {asset for asset in emptied if (asset, SOME_DAY) in after}
    assert left == {asset for asset in left if still_has_input(project, asset, SOME_DAY, after)}
    kept = [asset for asset in left if project.kind(asset) is AssetKind.MODEL]
    if kept:  # what they hold is of other days alone, as in a project that never knew of the day
        rebuilt = project.copy_to(tmp_path / "rebuilt")
        rebuilt.forget_builds()
        rebuilt.settle(*kept)
        for asset in kept:
            rows = [one.frame(asset).filter(pl.col("the_day") == SOME_DAY) for one in (project, rebuilt)]
            assert rows[0].sort(pl.all()).equals(rows[1].sort(pl.all())), asset
    assert all((asset, day(1)) in after for asset in emptied if (asset, day(1)) in tables)
    assert len([asset for asset in emptied if (asset, SOME_DAY) in tables]) > 0.9 * len(emptied)


# ----------------------------------------------------------------------------------------------- 3: any order


@pytest.mark.parametrize(
    "order",
    [
        pytest.param("a range", marks=pytest.mark.proof),  # as the days before the last are in the next one
        "its last day first",
        pytest.param("its days singly", marks=pytest.mark.proof),
        pytest.param("its days in reverse", marks=pytest.mark.proof),
    ],
)
def test_law_3_the_order_of_making_makes_no_difference(
    settled: Project, tables: Tables, tmp_path: Path, order: str
) -> None:
    """From nothing, each time: raw days and warehouse are gone."""
    project = settled.copy_to(tmp_path / "data")
    project.forget_builds()
    days = list(project.window.days())
    singles = [Window.of_days(at, at) for at in days]
    windows = {
        "a range": [project.window],
        "its last day first": [singles[-1], Window.of_days(days[0], days[-2])],
        "its days singly": singles,
        "its days in reverse": singles[::-1],
    }[order]
    for window in windows:
        runner = project.runner()
        tied = tied_windows(runner.upstream, set(project.assets), window, lambda _: project.window)
        runner.make(group_into_runs(runner.upstream, {name: [span] for name, span in tied.items()}))
        assert not [f for f in runner.outcome.failures if not f.startswith("check ")]
    project.settle()
    assert differing(tables, project.tables()) == {}


# --------------------------------------------------------------------------------------------- 4: window-true


SOURCES = [source for domain in Project.__dataclass_fields__["domains"].default for source in domain.sources]
ROUNDS = list(zip_longest(*(domain.sources for domain in Project.__dataclass_fields__["domains"].default)))
"""The sources, one of each domain at a time: what changes in one domain changes no day of another."""


@pytest.mark.parametrize("sources", ROUNDS, ids=lambda sources: " ".join(source.name for source in sources if source))
def test_law_4_one_changed_upstream_day_changes_exactly_the_days_that_its_mapping_ties_to_it(
    settled: Project, tables: Tables, tmp_path: Path, sources: tuple[Source | None, ...]
) -> None:
    project = settled.copy_to(tmp_path / "data", with_state=True)
    assert project.requested() == {}

    before = held_by_key(project)
    changed_days = {source.name: drop_a_change(project, source, SOME_DAY)[1] for source in filter(None, sources)}
    runner = project.settle()
    expected: dict[str, set[date]] = {}
    for name, raw_days in changed_days.items():
        tied = tied_to(project, f"raw_{name}", raw_days, before)
        assert not expected.keys() & tied.keys(), "these are not of different domains: it would not show which did what"
        expected |= tied

    made = {asset: set(days) for asset, days in runner.outcome.made.items()}
    assert made == expected
    changed = differing(tables, project.tables())
    assert all(days <= expected[asset] for asset, days in changed.items())
    for name in changed_days:
        assert changed[f"raw_{name}"] == expected[f"raw_{name}"]
    assert project.requested() == {}


def keyed_reads(project: Project) -> Iterator[tuple[str, Read]]:
    """The mappings by key of some assets."""
    return ((asset, read) for asset, reads in project.upstream.items() for read in by_key(reads))


def test_law_4_one_changed_key_changes_exactly_the_days_in_which_it_occurs(
    settled: Project, tables: Tables, tmp_path: Path
) -> None:
    days = set(settled.window.days())
    shown: set[tuple[str, Read]] = set()
    for number, (asset, read) in enumerate(keyed_reads(settled)):
        # Not every row changes what is read of it: a touch after the conversion, for one, changes no credit. One row
        # may change what several models read.
        for attempt in (1, 0, 3, 2, 5, 4, 7, 6):
            if (asset, read) in shown:
                break
            project = settled.copy_to(tmp_path / f"data-{number}-{attempt}", with_state=True)
            before = held_by_key(project)
            source, raw_days = drop_a_row_with_a_key(project, asset, read, attempt)
            made = {name: set(days) for name, days in project.settle().outcome.made.items()}
            expected = tied_to(project, f"raw_{source.name}", raw_days, before)
            assert made == expected, read
            changed = differing(tables, project.tables())
            assert all(days <= expected[name] for name, days in changed.items()), read
            assert project.requested() == {}
            after = held_by_key(project)
            shown |= {
                (name, one)
                for name, one in keyed_reads(project)
                if before[one] != after[one] and name in changed and expected[name] < days
            }
        assert (asset, read) in shown, f"{asset}: {read}: no row changed it on some of the days, so nothing is shown"


def reads_beyond_its_mapping(project: Project, at: date, folder: Path) -> list[str]:
    """The models whose rows of a day differ when they are shown no days of a parent but those that the mapping names.

    The SQL of each is run as dbt compiles it for that day, in a database that holds views alone.
    """
    compiled = run_dbt(
        ["compile", "--select", *project.models], project.settings, project.sources, Window.of_days(at, at)
    )
    sql = {result.name: result.sql or "" for result in compiled.results}
    nodes = [node for node in load_manifest(project.settings).raw["nodes"].values() if node["relation_name"]]
    found = []
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = 'UTC'; attach '{project.settings.warehouse_file}' as held (read_only)")
        connection.execute(f"attach ':memory:' as {project.settings.warehouse_file.stem}")

        def show(node: dict, where: str = "true") -> None:
            name = f"{node['schema']}.{node['alias']}"
            rows = f"({sql[node['name']]})" if node["config"]["materialized"] == "view" else f"held.{name}"
            connection.execute(f"create schema if not exists {node['database']}.{node['schema']}")
            connection.execute(
                f"create or replace view {node['database']}.{name} as select * from {rows} as shown where {where}"
            )

        def rows_of(model: str, raw_dir: Path) -> list[tuple]:
            connection.execute(f"set file_search_path = '{raw_dir}'")
            day = project.node(model)["config"]["meta"]["day"]
            rows = connection.execute(f"select * from ({sql[model]}) where {day} = date '{at}'").fetchall()
            return sorted(rows, key=repr)

        raw_dir = project.settings.raw_dir
        connection.execute(f"set file_search_path = '{raw_dir}'")

        for node in nodes:
            if node["resource_type"] == "seed" and node["name"] in project.seeds:
                show(node)
        for model in project.models:
            for read in by_day(project.upstream[model]):
                parent, days, shown = read.asset, read.days.upstream_of(Window.of_days(at, at)), raw_dir
                if parent.startswith("raw_"):
                    shown = folder / model / parent
                    named = {f"_day={the_day}" for the_day in days.days()}
                    for of_day in raw_dir.glob("raw_*/_day=*"):
                        if of_day.parent.name != parent or of_day.name in named:
                            shutil.copytree(of_day, shown / of_day.relative_to(raw_dir))
                else:
                    show(project.node(parent), between(project.node(parent)["config"]["meta"]["day"], days))
                seen = rows_of(model, shown)
                if not parent.startswith("raw_"):
                    show(project.node(parent))
                if seen != rows_of(model, raw_dir):
                    found.append(f"{model} reads more days of {parent} than its meta names")
            show(project.node(model))
    return found


def test_law_4_a_day_is_made_from_no_days_but_those_that_its_mapping_names(settled: Project, tmp_path: Path) -> None:
    assert reads_beyond_its_mapping(settled, SOME_DAY, tmp_path) == []


PEEKING = {
    **model(
        "running_total",
        """
        select * from (
            select order_id, order_date, sum(amount) over (order by order_date, order_id) as total
            from {{ ref('stg_orders') }}
        ) as totals
        where {{ in_window('order_date') }}
        """,
    ),
    **model(
        "orders_of_yesterday",
        """
        select today.order_id, today.order_date, yesterday.order_id as before
        from {{ ref('stg_orders') }} as today
        left join {{ ref('stg_orders') }} as yesterday on {{ minus_days('today.order_date', 1) }} = yesterday.order_date
        where {{ in_window('today.order_date') }}
        """,
    ),
    **model(
        "orders_of_yesterday_and_said_so",
        """
        with orders as (select * from {{ ref('stg_orders') }} where {{ in_window('order_date', of='stg_orders') }})
        select today.order_id, today.order_date, yesterday.order_id as before
        from orders as today
        left join orders as yesterday on {{ minus_days('today.order_date', 1) }} = yesterday.order_date
        where {{ in_window('today.order_date') }}
        """,
        "{day: order_date, reads: [{model: stg_orders, days: [-1, 0]}]}",
    ),
    **model(
        "newest_order",
        """
        select *, (select max(ordered_at) from {{ raw('orders') }}) as newest_at
        from {{ ref('stg_orders') }} where {{ in_window('order_date') }}
        """,
    ),
    **model(
        "of_a_view",
        """
        select order_date, (select count(*) from {{ ref('src_orders') }}) as orders
        from {{ ref('stg_orders') }} where {{ in_window('order_date') }}
        """,
    ),
}


def test_law_4_names_the_models_that_read_more_days_than_their_meta_says(tmp_path: Path) -> None:
    """Each is held to its window and adds up; it would be made of what happens to be there."""
    with written(tmp_path / "dbt", {**MODELS, **PEEKING}):
        project = Project(tmp_path / "data", [SHOP])
        orders = "".join(f"{number},{day(number)} 12:00:00,{number}\n" for number in range(5))
        project.drop("orders", "orders-1.csv", HEADER + orders)
        project.settle()
        assert sorted(reads_beyond_its_mapping(project, SOME_DAY, tmp_path / "alone")) == [
            "newest_order reads more days of raw_orders than its meta names",
            "of_a_view reads more days of src_orders than its meta names",
            "orders_of_yesterday reads more days of stg_orders than its meta names",
            "running_total reads more days of stg_orders than its meta names",
        ]


# -------------------------------------------------------------------------------------------- 5: nothing lost


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_law_5_every_row_of_a_source_is_somewhere(settled: Project, source: Source) -> None:
    from datetime import UTC, datetime

    found = reconcile(source, settled.declared, datetime.now(UTC))
    assert found.faults == []
    assert found.raw > 0


def test_law_5_stg_keeps_one_row_for_each_key_and_day_and_it_is_the_first_by_the_dedup_order(settled: Project) -> None:
    """An oracle of its own: the rule of the spec, applied to the raw files with Polars."""
    for source in SOURCES:
        raw = settled.frame(f"raw_{source.name}")
        in_order = raw.sort(
            [step.column for step in source.dedup_steps] or ["the_day"],
            descending=[step.largest for step in source.dedup_steps] or [False],
            nulls_last=True,
            maintain_order=True,
        )
        if source.whole:  # only the newest version of what is delivered as a whole
            versions, whole = [step.column for step in source.dedup_steps], ["the_day", *source.whole]
            first = in_order.unique(whole, keep="first", maintain_order=True)
            in_order = in_order.join(first, on=[*whole, *versions], how="semi", nulls_equal=True, maintain_order="left")
        best = in_order.unique(["the_day", *source.primary_key], keep="first", maintain_order=True)
        src = settled.frame(f"src_{source.name}")
        stg = settled.frame(f"stg_{source.name}")
        if source.complete:
            stg = stg.filter(~pl.col("is_withdrawn"))
        assert stg.height == best.height
        assert src.filter(pl.col("duplicate_rank") == 1).height == stg.height
        if source.dedup_steps:
            names = dict(zip(["_source_file", "_source_row"], ["source_file", "source_row"], strict=True))
            kept = src.filter(pl.col("duplicate_rank") == 1).join(
                raw, left_on=["the_day", *names.values()], right_on=["the_day", *names.keys()], how="inner"
            )
            columns = ["the_day", *source.primary_key, *(step.column for step in source.dedup_steps)]
            assert sorted(kept.select(columns).rows()) == sorted(best.select(columns).rows())


def test_law_5_every_model_has_the_check_that_its_days_add_up(settled: Project) -> None:
    checks = {key for key in settled.definitions.resolve_asset_graph().asset_check_keys}
    lacking = [
        model
        for model in settled.models
        if not any(key.asset_key.path[-1] == model and key.name.startswith("adds_up_") for key in checks)
        or "adds_up" not in settled.node(model)["config"]["meta"]
    ]
    assert lacking == []


@pytest.mark.parametrize(
    "model",
    ["stg_consent_events", "mart_company_daily", "mart_sessions", "stg_campaigns", "daily_campaign_summary"],
)
def test_law_5_a_lost_row_is_named_with_its_day(settled: Project, tmp_path: Path, model: str) -> None:
    if model not in settled.models:
        pytest.skip("it is of a domain that was not chosen")
    project = settled.copy_to(tmp_path / "data")
    node = project.node(model)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        where = f"where {node['config']['meta']['day']} = date '{SOME_DAY}'"
        connection.execute(
            f"delete from {node['schema']}.{model} {where}"
            f" and rowid = (select min(rowid) from {node['schema']}.{model} {where})"
        )
    from analytics_assets.dbt.runner import run_dbt

    run = run_dbt(["test", "--select", f"adds_up_{model}_"], project.settings, project.sources, project.window)
    assert list(run.failures) == [f"adds_up_{model}_"]
    with warehouse_of(project.settings).reading() as reader:
        rows = reader.rows(run.failing_tests[f"adds_up_{model}_"]).rows
    assert [row[0] for row in rows] == [SOME_DAY]
