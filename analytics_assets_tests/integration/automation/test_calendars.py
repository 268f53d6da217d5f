"""A domain's own days: its first and last, and the time zone in which they begin and end; and a domain switched off."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dagster import AssetKey, Definitions

from analytics_assets.ingest.rows_without_partition import waiting_rows
from analytics_assets.partitions import Calendar, Window, partitioned_days
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.report import Chart, Dataset, Format, Measure, Report, Sum, Table
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, ORDERS, SHOP, model, written

pytestmark = pytest.mark.models_alone

ZONE = ZoneInfo("America/New_York")
SPRING = Window(date(2013, 3, 9), date(2013, 3, 12))
"""Three local days; on the second the clocks are put forward, so that it has 23 hours."""

ABROAD = replace(SHOP, timezone="America/New_York", first_day=date(2013, 3, 9), last_day=date(2013, 3, 11))

KIOSK = Domain("kiosk", "team:kiosk", sources=(replace(ORDERS, name="sales", patterns=("sales-*.csv",)),))
"""A domain with the days of the settings, in UTC."""


def renamed(files: Mapping[str, str]) -> dict[str, str]:
    """The models of the shop as those of the kiosk."""
    pairs = (("shop", "kiosk"), ("orders", "sales"), ("order_", "sale_"), ("ordered", "ordered"))
    found = {}
    for name, text in files.items():
        for old, new in pairs:
            name, text = name.replace(old, new), text.replace(old, new)
        found[name] = text.replace("sale_id", "order_id")
    return found


MART = model(
    "mart_orders",
    "select order_date, cast(count(*) as bigint) as orders, cast(sum(amount) as bigint) as amount"
    " from {{ ref('stg_orders') }} where {{ in_window('order_date') }} group by order_date",
)
BEFORE = model(  # looks a day back, over the day that has 23 hours
    "mart_days_before",
    "select window_days.the_day as order_date, cast(count(orders.order_id) as bigint) as orders"
    " from {{ days_of_window() }} as window_days left join {{ ref('stg_orders') }} as orders"
    " on orders.order_date = {{ minus_days('window_days.the_day', 1) }}"
    " and {{ in_window('orders.order_date', of='stg_orders') }} group by window_days.the_day",
    "{day: order_date, reads: [{model: stg_orders, days: [-1, 0]}]}",
)
FILES = {**MODELS, **MART, **BEFORE, **renamed(MODELS)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with written(tmp_path_factory.mktemp("dbt") / "dbt_project", FILES):
        yield


@pytest.fixture
def project(files: None, tmp_path: Path) -> Project:
    return Project(tmp_path, (ABROAD, KIOSK))


def times() -> list[datetime]:
    """Times around each midnight of the local days and of UTC, and in the hour that is skipped in spring."""
    found = []
    for number in range(-1, 4):
        at = SPRING.start + timedelta(number)
        for midnight in (datetime(at.year, at.month, at.day, tzinfo=zone) for zone in (ZONE, UTC)):
            found += [(midnight.astimezone(UTC) + timedelta(minutes=m)) for m in (-1, 0, 1)]
    return [*found, datetime(2013, 3, 10, 6, 59, tzinfo=UTC), datetime(2013, 3, 10, 7, 0, tzinfo=UTC)]


def drop(project: Project, name: str, at: list[datetime], first: int = 0) -> None:
    rows = "".join(f"{first + n},{one:%Y-%m-%dT%H:%M:%SZ},{first + n}\n" for n, one in enumerate(at))
    file = project.settings.inbox_dir / "orders" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(HEADER + rows)


def by_local_day(at: list[datetime]) -> dict[date, set[str]]:
    """The orders of each local day that has a partition, as the standard library tells the day."""
    found: dict[date, set[str]] = {}
    for number, one in enumerate(at):
        if SPRING.holds(one.astimezone(ZONE).date()):
            found.setdefault(one.astimezone(ZONE).date(), set()).add(str(number))
    return found


def orders_of(project: Project, model: str = "stg_orders") -> dict[date, set[str]]:
    found: dict[date, set[str]] = {}
    frame = project.frame(model)
    for number, at in zip(frame["order_id"].to_list(), frame["order_date"].to_list(), strict=True):
        found.setdefault(at, set()).add(number)
    return found


def test_each_row_stands_on_its_local_day_through_all_layers(project: Project) -> None:
    at = times()
    drop(project, "orders-1.csv", at)
    project.settle()
    expected = by_local_day(at)
    assert len(expected) == 3
    assert orders_of(project) == expected
    counted = project.frame("mart_orders")
    assert dict(counted.select("order_date", "orders").rows()) == {one: len(rows) for one, rows in expected.items()}
    before = dict(project.frame("mart_days_before").select("order_date", "orders").rows())
    assert before == {one: len(expected.get(one - timedelta(1), ())) for one in SPRING.days()}
    assert project.requested() == {}, "it has settled"


def test_a_late_row_changes_its_local_day_and_what_looks_back_on_it(project: Project) -> None:
    at = times()
    drop(project, "orders-1.csv", at)
    before = project.settle() and project.tables(without=["_landed_at"])
    late = datetime(2013, 3, 11, 3, 30, tzinfo=UTC)  # half past eleven on the evening of the 10th, in New York
    drop(project, "orders-2.csv", [late], first=len(at))
    made = project.settle().outcome.made
    assert set(made["stg_orders"]) == {date(2013, 3, 10)}
    assert set(made["mart_days_before"]) == {date(2013, 3, 10), date(2013, 3, 11)}
    assert "stg_sales" not in made
    after = project.tables(without=["_landed_at"])
    assert {when for (name, when) in after if after[name, when] != before.get((name, when))} == {
        date(2013, 3, 10),
        date(2013, 3, 11),
    }


def test_other_domains_keep_the_days_of_the_settings(project: Project) -> None:
    drop(project, "orders-1.csv", times())
    made = project.settle().outcome.made
    assert set(made["raw_orders"]) == set(SPRING.days())
    assert set(made["raw_sales"]) == set(project.window.days())
    graph = project.definitions.resolve_asset_graph()
    definitions = {name: graph.get(AssetKey(name)).partitions_def for name in ("mart_orders", "stg_sales")}
    keys = {name: one.get_partition_keys() for name, one in definitions.items() if one}
    assert keys["mart_orders"] == [str(one) for one in SPRING.days()]
    assert keys["stg_sales"] == [str(one) for one in project.window.days()]


def test_a_range_makes_the_assets_that_have_these_days(project: Project) -> None:
    runner = project.runner()
    of_shop = runner.plan_of_range(set(project.assets), Window.of_days(date(2013, 3, 10), date(2013, 3, 10)))
    of_a_day = {name for run in of_shop for name in run.assets if run.window.holds(date(2013, 3, 10))}
    assert of_a_day == {name for name in project.assets if "sales" not in name}
    of_both = runner.plan_of_range(set(project.assets), Window(date(2013, 1, 1), day(1)))
    for run in of_both:
        assert len({name.endswith("sales") for name in run.assets}) == 1, "a run has days of one kind"


def test_rows_outside_of_the_days_wait_and_the_sentence_names_what_to_change(project: Project) -> None:
    drop(project, "orders-1.csv", [datetime(2013, 3, 1, 12, tzinfo=UTC), datetime(2013, 4, 1, 12, tzinfo=UTC)])
    project.land()
    (source,) = project.declared.domains[0].sources
    early, late = waiting_rows(source, project.settings, datetime.now(UTC))
    assert "set the `first_day` of its domain to 2013-03-01" in early
    assert "set the `last_day` of its domain to 2013-04-01" in late


def test_files_are_read_again_into_the_days_of_another_zone(project: Project, tmp_path: Path) -> None:
    at = [datetime(2013, 3, 10, 4, 30, tzinfo=UTC)]  # the evening before, in New York
    drop(project, "orders-1.csv", at)
    project.settle()
    assert set(orders_of(project)) == {date(2013, 3, 9)}
    moved = Project(tmp_path, (replace(ABROAD, timezone="UTC"), KIOSK), on=False)
    moved.settle()
    assert set(orders_of(moved)) == {date(2013, 3, 10)}


@pytest.mark.parametrize(
    ("zone", "now", "newest"),
    [
        ("UTC", datetime(2026, 3, 10, 10, 0, tzinfo=UTC), date(2026, 3, 9)),
        ("Pacific/Auckland", datetime(2026, 3, 10, 10, 59, tzinfo=UTC), date(2026, 3, 9)),
        ("Pacific/Auckland", datetime(2026, 3, 10, 11, 0, tzinfo=UTC), date(2026, 3, 10)),
        ("America/Los_Angeles", datetime(2026, 3, 10, 6, 59, tzinfo=UTC), date(2026, 3, 8)),
        ("America/Los_Angeles", datetime(2026, 3, 10, 7, 0, tzinfo=UTC), date(2026, 3, 9)),
    ],
)
def test_a_day_has_a_partition_once_it_is_over_where_it_is(
    project: Project, zone: str, now: datetime, newest: date
) -> None:
    settings = project.settings.model_copy(update={"end_date": None})
    days = partitioned_days(settings, now, Calendar(date(2026, 1, 1), None, zone))
    assert max(days.days()) == newest


def test_a_model_that_mixes_days_of_two_zones_is_left_out(tmp_path: Path) -> None:
    mixed = model(
        "mart_both", "select sale_date as order_date from {{ ref('stg_sales') }} where {{ in_window('sale_date') }}"
    )
    with written(tmp_path / "dbt_project", {**FILES, **mixed}):
        project = Project(tmp_path / "data", (ABROAD, KIOSK))
        assert "mart_both" not in project.declared.manifest.made
        (fault,) = [one for one in package_faults(project) if "mart_both" in one]
    assert "has days of America/New_York, but reads stg_sales, which has days of UTC; it is left out" in fault


def test_a_model_of_no_domain_that_reads_days_of_a_zone_is_told_as_any_other(tmp_path: Path) -> None:
    lost = model("mart_lost", "select order_date from {{ ref('stg_orders') }} where {{ in_window('order_date') }}")
    nowhere = {name.replace("/shop/", "/shopp/"): text for name, text in lost.items()}
    with written(tmp_path / "dbt_project", {**FILES, **nowhere}):
        project = Project(tmp_path / "data", (ABROAD, KIOSK))
        (fault,) = [one for one in package_faults(project) if "mart_lost" in one]
    assert "there is no domain 'shopp'" in fault


def test_a_report_of_days_of_another_zone_is_left_out(tmp_path: Path) -> None:
    public = {
        name: text.replace("meta: {day: order_date}", "meta: {day: order_date}, access: public")
        for name, text in MART.items()
    }
    report = Report(
        "orders",
        "Orders",
        days=3,
        datasets=(Dataset("mart_orders", (), ("orders",)),),
        dimensions=(),
        measures=(Measure("orders", "Orders", Sum("mart_orders", "orders"), Format.COUNT, "How many."),),
        key_figures=("orders",),
        charts=(Chart("Orders", "orders"),),
        tables=(Table("days", "Days", ("day",), ("orders",)),),
    )
    with written(tmp_path / "dbt_project", {**FILES, **public}):
        mixed = Project(tmp_path / "data", (ABROAD, replace(KIOSK, reports=(report,))))
        (fault,) = [one for one in package_faults(mixed) if "orders" in one]
        assert fault == "the report orders is left out: it reads mart_orders, whose days are of another time zone"
        own = Project(tmp_path / "own", (replace(ABROAD, reports=(report,)), KIOSK))
        assert package_faults(own) == []
        assert "orders_dashboard" in own.declared.catalog
    Definitions.validate_loadable(mixed.definitions)


def test_days_of_one_calendar_are_mapped_one_to_one(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    for name, parent in (("src_orders", "raw_orders"), ("stg_orders", "src_orders"), ("stg_sales", "src_sales")):
        assert AssetKey(parent) not in graph.get(AssetKey(name)).partition_mappings


def package_faults(project: Project) -> list[str]:
    """The faults that the project itself tells, which the tests' project sets aside."""
    from analytics_assets.build import open_project

    return list(open_project(project.settings, project.domains).faults)


def test_a_domain_that_is_switched_off_is_not_there_and_its_data_stay(files: None, tmp_path: Path) -> None:
    both = Project(tmp_path, (ABROAD, KIOSK))
    drop(both, "orders-1.csv", times())
    both.settle()
    off = Project(tmp_path, (ABROAD, KIOSK), {"domains_off": "shop"}, on=False)
    assert not [name for name in off.declared.catalog if "order" in name]
    assert off.requested().keys() == {"raw_sales", "src_sales", "stg_sales"}, "as in any new instance"
    runner = off.settle()
    assert not runner.outcome.warnings and not package_faults(off), "its folder in the inbox is no stranger"
    assert orders_of(Project(tmp_path, (ABROAD, KIOSK), on=False)) == by_local_day(times())


def test_a_domain_that_does_not_exist_cannot_be_switched_off(files: None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no domain 'shops'; there is kiosk, shop"):
        Project(tmp_path, (ABROAD, KIOSK), {"domains_off": "shops"})


@pytest.mark.parametrize("changes", [{"timezone": "Mars/Olympus"}, {"last_day": date(2013, 3, 1)}])
def test_days_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        replace(ABROAD, **changes)  # type: ignore[arg-type]


def test_a_project_without_a_domain_loads_and_has_nothing_to_do(tmp_path: Path) -> None:
    nothing = Project(tmp_path, (ABROAD,), {"domains_off": "shop"}, on=False)
    definitions = nothing.definitions
    Definitions.validate_loadable(definitions)
    assert {key.path[-1] for key in definitions.resolve_asset_graph().get_all_asset_keys()} == {"health"}
    assert nothing.settle().outcome.made == {}
