"""What a model selects is held to the days of its run, on both warehouses, whatever its SQL forgot."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.partitions import Window
from analytics_assets_tests.support.emulator import BigQueryProject, emulating
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, SHOP, model, written

OF_WINDOW = "from {{ ref('stg_orders') }} where {{ in_window('order_date') }}"

PLANTED = {
    **model("without_window", "select * from {{ ref('stg_orders') }}"),
    **model("without_day", "select order_id, cast(null as date) as order_date " + OF_WINDOW),
    **model(
        "of_another_day", "select order_id, cast({{ minus_days('order_date', 1) }} as date) as order_date " + OF_WINDOW
    ),
    **model("of_a_time", "select order_id, cast(order_date as timestamp) as order_date " + OF_WINDOW),
    **model("in_a_comment", "select order_id, order_date " + OF_WINDOW + " -- the end"),
    **model(
        "with_contract",
        "select order_id, order_date from {{ ref('stg_orders') }}",
        config=", contract: {enforced: true}",
    ),
}
PLANTED["models/marts/shop/_with_contract.yml"] += (
    "    columns: [{name: order_id, data_type: varchar}, {name: order_date, data_type: date}]\n"
)


@pytest.fixture(scope="module", params=["duckdb", "bigquery"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Five days of a shop whose staged orders are made."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        stack.enter_context(written(folder / "dbt", {**MODELS, **PLANTED}))
        if request.param == "duckdb":
            project = Project(folder / "data", [SHOP])
        else:
            project = BigQueryProject(folder / "data", [SHOP], emulator=stack.enter_context(emulating()))
        orders = "".join(f"{number},{day(number)} 12:00:00,{number}\n" for number in range(5))
        project.drop("orders", "orders-1.csv", HEADER + orders)
        project.land()
        runner = project.runner()
        assert runner.make([PlannedRun(("raw_orders", "src_orders", "stg_orders"), project.window)]), (
            runner.outcome.failures
        )
        yield project


def run(project: Project, first: int, last: int, *models: str) -> dict[str, str]:
    """Makes some days of some models; what failed, and what was said of it."""
    arguments = ["run", "--full-refresh", "--select", *models]
    return run_dbt(arguments, project.settings, project.sources, Window.of_days(day(first), day(last))).failures


def is_there(project: Project, model: str) -> bool:
    try:
        project.frame(model)
    except Exception:
        return False
    return True


@pytest.mark.parametrize(
    ("model", "days", "rows"),
    [
        ("without_window", (1, 2), {"duckdb": f"3 from {day(0)} to {day(4)}", "bigquery": f"of {day(0)} at least"}),
        ("with_contract", (1, 2), {"duckdb": f"3 from {day(0)} to {day(4)}", "bigquery": f"of {day(0)} at least"}),
        ("without_day", (1, 2), {"duckdb": "2 without any order_date", "bigquery": "without any order_date"}),
        ("of_another_day", (1, 2), {"duckdb": f"1 from {day(0)} to {day(0)}", "bigquery": f"of {day(0)} at least"}),
    ],
)
def test_rows_outside_the_window_fail_their_model_by_name_and_nothing_is_written(
    project: Project, model: str, days: tuple[int, int], rows: dict[str, str]
) -> None:
    (said,) = run(project, *days, model).values()
    span = f"({day(days[0])} and on, before {day(days[1] + 1)})"
    expected = f"{model} selects rows that are of no day of the run {span}: {rows[project.settings.warehouse]}."
    assert expected in " ".join(said.split())
    assert "Nothing was written. Filter by in_window(order_date)" in said
    assert not is_there(project, model), "its first run made a table"


def test_they_fail_it_too_when_its_table_is_there(project: Project) -> None:
    assert run(project, 0, 4, "without_window") == {}, "all that there is are the days of the run"
    before = project.frame("without_window").sort("order_id")
    assert before.height == 5
    for first, last in ((2, 2), (0, 3)):
        assert (
            "selects rows that are of no day of the run"
            in run(project, first, last, "without_window")["without_window"]
        )
        assert project.frame("without_window").sort("order_id").equals(before)


def test_a_run_that_is_to_refresh_everything_leaves_the_days_that_it_does_not_make(project: Project) -> None:
    assert run(project, 1, 3, "in_a_comment") == {}
    assert run(project, 2, 2, "in_a_comment") == {}
    assert sorted(project.frame("in_a_comment")["the_day"].to_list()) == [day(1), day(2), day(3)]


@pytest.mark.parametrize("project", ["duckdb"], indirect=True)  # BigQuery makes no table by days of anything else
def test_a_day_that_is_no_date_fails_its_model(project: Project) -> None:
    (said,) = run(project, 1, 1, "of_a_time").values()
    assert "with order_date as TIMESTAMP and not as a date" in said
