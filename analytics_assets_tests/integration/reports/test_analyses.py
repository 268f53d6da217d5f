"""Analyses: tables that are computed in Python as of a day, and the reports that show them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from dagster import AssetKey
from hypothesis import given
from hypothesis import strategies as st

from analytics_assets.automation.run_grouping import NO_RETRY, PlannedRun, span_tags
from analytics_assets.build import open_project
from analytics_assets.partitions import Window
from analytics_assets.reports.analyses import ROWS_SHOWN, PublishedRows, preview
from analytics_assets.reports.analysis_file import from_csv, to_csv
from analytics_assets.reports.dashboard import unpack
from analytics_assets.reports.datasets import Frames, read_datasets
from analytics_assets.reports.tabs import table_rows
from analytics_assets.spec.analysis import Analysis, Column, Published
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.report import Chart, Dataset, Dimension, Format, Measure, Report, Sum, Table
from analytics_assets.spec.source import Source
from analytics_assets.state.builds import builds_of, export_of, newest_export
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import NotMade
from analytics_assets_tests.support.project import YESTERDAY, Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, ORDERS, model, written

pytestmark = pytest.mark.models_alone

FORMULA = '=HYPERLINK("x")'

VISITS = Source(
    name="visits",
    description="Visits of a shop.",
    patterns=("visits-*.csv",),
    columns={"visit_id": pl.String, "visited_at": pl.Datetime("us")},
    time="visited_at",
    primary_key=("visit_id",),
)

FILES: Mapping[str, str] = {
    **MODELS,
    **model(
        "mart_orders_daily",
        """select order_date, 'shop' as place, sum(amount) as amount, count(*) as orders from {{ ref('stg_orders') }}
where {{ in_window('order_date') }} group by order_date""",
        config=", access: public",
    ),
    "models/reporting/shop/rpt_orders.sql": """{{ config(
    materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}
) }}
select sum(amount) as amount, max(order_date) as newest from {{ ref('mart_orders_daily') }}
where order_date >= {{ argument('first_day') }} and order_date <= {{ argument('last_day') }}""",
    "models/reporting/shop/rpt_change.sql": """{{ config(materialized='table_function', parameters={
    'first_day_before': 'date', 'last_day_before': 'date', 'first_day': 'date', 'last_day': 'date'
}) }}
{% set amount = 'coalesce(sum(case when order_date >= {} and order_date <= {} then amount end), 0)' %}
select {{ amount.format(argument('first_day'), argument('last_day')) }}
    - {{ amount.format(argument('first_day_before'), argument('last_day_before')) }} as change
from {{ ref('mart_orders_daily') }}""",
    "models/reporting/shop/_rpt.yml": """version: 2
models: [{name: rpt_orders, config: {access: public}}, {name: rpt_change, config: {access: public}}]
""",
    "seeds/shop/lookup_goals.csv": "goal,amount\nmuch,100\n",
    "models/staging/shop/_visits.yml": """version: 2
sources: [{name: raw, tables: [{name: visits}]}]
models: [{name: src_visits, config: {meta: {day: visit_date}}}]
""",
    "models/staging/shop/src_visits.sql": """{{ config(materialized='view') }}
select visit_id, _day as visit_date, {{ duplicate_rank('visits') }} as duplicate_rank from {{ raw('visits') }}
""",
    "models/marts/shop/mart_visits_daily.sql": """select visit_date, 'shop' as place, count(*) as visits
from {{ ref('src_visits') }} where {{ in_window('visit_date') }} and duplicate_rank = 1 group by visit_date""",
    "models/marts/shop/_visits.yml": """version: 2
models: [{name: mart_visits_daily, config: {access: public, meta: {day: visit_date}}}]
""",
}


def sums(published: Published) -> pl.DataFrame:
    if published.rows("mart_orders_daily")["amount"].to_list() == [13]:
        raise ValueError("thirteen")
    goal = published.rows("lookup_goals")["amount"].item()
    of_days = published.rows("rpt_orders")["amount"].item()
    last = max(published.days.days())
    of_last = published.rows("rpt_orders", Window.of_days(last, last))["amount"].item()
    return pl.DataFrame(
        {
            "what": ["table", "function", FORMULA],
            "place": ["shop", "shop", None],
            "amount": [published.rows("mart_orders_daily")["amount"].sum(), of_days, None],
            "of_goal": [None, (of_days or 0) / goal, of_last],
        }
    )


SUMS = Analysis(
    name="shop_sums",
    title="Sums",
    description="What the shop has sold.",
    days=3,
    columns={"what": Column.TEXT, "place": Column.TEXT, "amount": Column.NUMBER, "of_goal": Column.NUMBER},
    reads=("mart_orders_daily", "rpt_orders", "rpt_change", "lookup_goals"),
    compute=sums,
)

SAID = Analysis(
    name="shop_said",
    title="Said",
    description="What that means.",
    days=3,
    columns={"sentence": Column.TEXT, "amount": Column.NUMBER},
    reads=("shop_sums",),
    compute=lambda published: (
        published.rows("shop_sums").select(pl.format("sold {}", pl.col("amount")).alias("sentence"), "amount").head(1)
    ),
    text=lambda table: f"# {table['sentence'].item()}\n",
)

REPORT = Report(
    name="shop",
    title="The shop",
    days=5,
    datasets=(
        Dataset("mart_visits_daily", ("place",), ("visits",)),
        Dataset("shop_sums", ("what", "place"), ("amount", "of_goal"), is_analysis=True),
        Dataset("shop_said", ("sentence",), ("amount",), is_analysis=True),
    ),
    dimensions=(Dimension("place", "Place", is_filter=True), Dimension("what", "What"), Dimension("sentence", "Said")),
    measures=(
        Measure("visits", "Visits", Sum("mart_visits_daily", "visits"), Format.COUNT, "Visits."),
        Measure("sold", "Sold", Sum("shop_sums", "amount"), Format.COUNT, "Sold."),
        Measure("of_goal", "Of the goal", Sum("shop_sums", "of_goal"), Format.SHARE, "Of the goal."),
        Measure("said", "Said", Sum("shop_said", "amount"), Format.COUNT, "Said."),
    ),
    key_figures=("visits",),
    charts=(Chart("Visits", "visits"),),
    tables=(Table("sums", "Sums", ("what",), ("sold", "of_goal")), Table("said", "Said", ("sentence",), ("said",))),
)

DOMAIN = Domain("shop", "team:shop", (ORDERS, VISITS), analyses=(SUMS, SAID), reports=(REPORT,))

REPORTS = {"shop_dashboard", "shop_workbook"}


def order(number: int, at: date, amount: int) -> str:
    return f"{number},{at} 12:00:00,{amount}\n"


def visits(at: date) -> str:
    return f"visit_id,visited_at\n1,{at} 12:00:00\n"


@pytest.fixture(autouse=True)
def models(tmp_path: Path) -> Iterator[Path]:
    with written(tmp_path / "dbt_project", FILES) as folder:
        yield folder


def with_files(folder: Path) -> Project:
    found = Project(folder, [DOMAIN])
    found.drop("orders", "orders-1.csv", HEADER + order(1, day(1), 5) + order(2, day(3), 7))
    found.drop("visits", "visits-1.csv", visits(YESTERDAY))
    return found


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with everything made; tests take copies."""
    folder = tmp_path_factory.mktemp("analyses")
    with written(folder / "dbt_project", FILES):
        project = with_files(folder / "data")
        project.settle()
        return project


@pytest.fixture
def project(made_once: Project, models: Path, tmp_path: Path) -> Project:
    return made_once.copy_to(tmp_path / "data", with_state=True)


def table(project: Project, name: str, at: date = YESTERDAY) -> pl.DataFrame:
    return from_csv(export_of(project.settings, name, at, "csv").read_bytes())


def page(project: Project, at: date = YESTERDAY) -> tuple[str, dict]:
    text = export_of(project.settings, "shop_dashboard", at, "html").read_text()
    return text, unpack(text.partition('id="rows">')[2].partition("<")[0])


def frames_of(project: Project) -> Frames:
    warehouse = warehouse_of(project.settings)
    return read_datasets(warehouse, REPORT, project.declared.manifest, project.window)


def test_an_analysis_is_made_as_of_the_newest_day_from_the_days_that_it_looks_back_on(tmp_path: Path) -> None:
    project = with_files(tmp_path / "anew")
    made = project.settle().outcome.made
    # The reports are as of the newest visit, and so is the analysis that they show, whose newest order is older.
    assert all(set(made[name]) == {YESTERDAY} for name in ("shop_sums", "shop_said", *REPORTS))
    first = YESTERDAY.toordinal() - 2
    sold = sum(amount for at, amount in ((day(1), 5), (day(3), 7)) if at.toordinal() >= first)
    assert table(project, "shop_sums").rows() == [
        ("table", "shop", f"{sold:.1f}", None),
        ("function", "shop", f"{sold:.1f}", str(sold / 100)),
        (FORMULA, None, None, None),
    ]
    assert f"'{FORMULA}" in export_of(project.settings, "shop_sums", YESTERDAY, "csv").read_text().replace('""', '"')
    assert export_of(project.settings, "shop_said", YESTERDAY, "md").read_text() == f"# sold {sold:.1f}\n"
    for name, ending in (("shop_sums", "csv"), ("shop_said", "csv"), ("shop_said", "md")):
        newest = newest_export(project.settings, name, ending).read_bytes()
        assert newest == export_of(project.settings, name, YESTERDAY, ending).read_bytes()
    assert project.requested() == {}

    text, rows = page(project)
    columns = rows["datasets"]["shop_sums"]["columns"]
    assert columns["day"] == [(YESTERDAY - project.settings.start_date).days] * 3
    said = {
        rows["dictionaries"]["what"][at]: value for at, value in zip(columns["what"], columns["amount"], strict=True)
    }
    assert said == {"table": sold, "function": sold, FORMULA: None}, "what is not known is not zero"
    assert "shop_sums: not made" not in text
    _, cells = table_rows(REPORT, REPORT.tables[0], frames_of(project))
    assert [row[:2] for row in cells] == [["function", sold], ["table", sold], [FORMULA, None]], "in a workbook, too"
    assert f"Data until <strong>{YESTERDAY}" in text or str(YESTERDAY) in text


def test_a_late_row_makes_the_analyses_again_and_then_the_reports_that_show_them(project: Project) -> None:
    project.drop("orders", "orders-2.csv", HEADER + order(3, YESTERDAY, 2))
    made = project.settle().outcome.made
    names = [name for name in made if name in {"shop_sums", "shop_said", *REPORTS}]
    assert names[:2] == ["shop_sums", "shop_said"] and set(names[2:]) == REPORTS
    assert table(project, "shop_sums")["of_goal"][2] == "2.0"
    assert page(project)[1]["datasets"]["shop_said"]["columns"]["amount"] == [
        float(table(project, "shop_sums")["amount"][0])
    ]

    project.drop("orders", "orders-3.csv", HEADER + order(4, day(1), 1))  # earlier than the three days
    assert not {"shop_sums", "shop_said"} & project.settle().outcome.made.keys()
    assert project.requested() == {}


def test_a_changed_seed_and_files_that_were_deleted_make_it_again(
    project: Project, models: Path, tmp_path: Path
) -> None:
    before = table(project, "shop_sums")
    export_of(project.settings, "shop_said", YESTERDAY, "md").unlink()
    assert "shop_said" in project.settle().outcome.made
    assert export_of(project.settings, "shop_said", YESTERDAY, "md").exists()

    (models / "seeds/shop/lookup_goals.csv").write_text("goal,amount\nmuch,50\n")
    changed = project.copy_to(tmp_path / "changed", with_state=True)
    assert changed.requested() == {"lookup_goals": {"None"}}, "what reads it waits until it is loaded"
    made = changed.settle().outcome.made
    assert made.keys() == {"shop_sums", "shop_said", *REPORTS}
    assert table(changed, "shop_sums")["of_goal"][1] == str(float(before["of_goal"][1]) * 2)


def test_one_that_is_asked_for_before_its_seed_is_loaded_is_refused_and_comes_right_by_itself(project: Project) -> None:
    builds_of(project.declared.catalog["lookup_goals"], project.settings).forget_all("lookup_goals")
    run = project.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance,
        asset_selection=[AssetKey("shop_sums")],
        tags={**NO_RETRY, **span_tags(Window.of_days(YESTERDAY, YESTERDAY))},
        raise_on_error=False,
    )
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert "shop_sums reads lookup_goals, which is not loaded" in str(failure.step_failure_data.error)
    runner = project.settle()
    assert (runner.outcome.views, "shop_sums" in runner.outcome.made) == (["lookup_goals"], True)


def test_an_older_report_is_made_with_the_analyses_that_it_shows(project: Project) -> None:
    runner = project.runner()
    assert runner.make(runner.plan_of_range({"shop_dashboard"}, Window.of_days(day(2), day(2))))
    assert runner.outcome.made.keys() == {"shop_sums", "shop_said", "shop_dashboard"}
    assert table(project, "shop_sums", day(2))["amount"].to_list() == ["5.0", "5.0", None]
    assert page(project, day(2))[1]["datasets"]["shop_said"]["columns"]["amount"] == [5]
    newest = newest_export(project.settings, "shop_sums", "csv").read_bytes()
    assert newest == export_of(project.settings, "shop_sums", YESTERDAY, "csv").read_bytes(), "an older one is no news"


def test_law_1_an_analysis_that_is_made_again_has_the_same_bytes(project: Project) -> None:
    before = export_of(project.settings, "shop_sums", YESTERDAY, "csv").read_bytes()
    assert project.runner().make([PlannedRun(("shop_sums",), Window.of_days(YESTERDAY, YESTERDAY))])
    assert export_of(project.settings, "shop_sums", YESTERDAY, "csv").read_bytes() == before


def test_an_analysis_that_fails_does_not_hold_the_report_up_but_stands_in_it(tmp_path: Path) -> None:
    project = with_files(tmp_path / "anew")
    project.drop("orders", "orders-1.csv", HEADER + order(1, YESTERDAY, 13))
    runner = project.runner()
    names = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    runner.land(names)
    runner.settle(names)
    assert any("thirteen" in failure for failure in runner.outcome.failures)
    assert runner.outcome.made.keys() >= REPORTS
    assert "shop_sums" not in runner.outcome.made
    text, rows = page(project)
    assert f"shop_sums: not made yet as of {YESTERDAY}" in text and "shop_said: not made yet" in text
    assert rows["datasets"]["shop_sums"]["length"] == 0

    project.drop("orders", "orders-1.csv", HEADER + order(1, YESTERDAY, 14))
    project.settle()
    text, rows = page(project)
    assert "not made yet" not in text
    assert rows["datasets"]["shop_said"]["columns"]["amount"] == [14]


def test_what_an_analysis_reads_is_what_it_declares_and_no_later_day(project: Project) -> None:
    rows = PublishedRows(project.declared, SUMS, Window.of_days(day(1), day(2)))
    assert rows.rows("lookup_goals").height == 1
    assert not rows.held_rows, "a seed has rows, whatever the days hold"
    assert rows.rows("mart_orders_daily").select("order_date", "amount").rows() == [(day(1), 5)]
    assert rows.held_rows
    with pytest.raises(ValueError, match="reads mart_visits_daily, and does not declare it"):
        rows.rows("mart_visits_daily")
    with pytest.raises(ValueError, match="beyond its own"):
        rows.rows("rpt_orders", Window.of_days(day(1), day(3)))
    first, second = Window.of_days(day(1), day(1)), Window.of_days(day(2), day(2))
    assert rows.rows("rpt_change", second, before=first)["change"].to_list() == [-5]
    assert rows.rows("rpt_change", first, before=second)["change"].to_list() == [5]
    with pytest.raises(ValueError, match="beyond its own"):
        rows.rows("rpt_change", first, before=Window.of_days(day(3), day(3)))
    with pytest.raises(NotMade, match="shop_sums is not made as of"):
        PublishedRows(project.declared, SAID, Window.of_days(day(1), day(2))).rows("shop_sums")
    newest = PublishedRows(project.declared, SAID, project.window)
    assert newest.rows("shop_sums").height > 0
    builds_of(project.declared.catalog["shop_sums"], project.settings).forget("shop_sums", [YESTERDAY])
    with pytest.raises(NotMade, match="shop_sums is not made as of"):  # its file is still there
        newest.rows("shop_sums")


def test_an_analysis_that_reads_no_model_that_there_is_is_left_out_with_its_report(tmp_path: Path) -> None:
    lacking = replace(DOMAIN, analyses=(replace(SUMS, reads=("mart_nothing",)), SAID))
    project = Project(tmp_path / "data", [lacking])
    faults = open_project(project.settings, [lacking]).faults
    for what in ("the analysis shop_sums", "the analysis shop_said", "the report shop"):
        assert f"{what} is left out: it reads mart_nothing" in faults
    known = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert not known & {"shop_sums", "shop_said", *REPORTS}


def test_a_private_model_is_refused(tmp_path: Path) -> None:
    private = replace(DOMAIN, analyses=(replace(SUMS, reads=("stg_orders",)), SAID))
    with pytest.raises(ValueError, match="analysis shop_sums reads stg_orders, which is no public model"):
        Project(tmp_path / "data", [private])


def test_a_domain_refuses_an_analysis_that_it_lacks_or_that_lacks_what_is_shown() -> None:
    with pytest.raises(ValueError, match="there is no analysis 'shop_sums'"):
        replace(DOMAIN, analyses=(SAID,))
    with pytest.raises(ValueError, match="has no column of numbers named of_goal"):
        replace(DOMAIN, analyses=(replace(SUMS, columns={**SUMS.columns, "of_goal": Column.TEXT}), SAID))
    with pytest.raises(ValueError, match="shop_said reads shop_sums, which must be declared before it"):
        replace(DOMAIN, analyses=(SAID, SUMS))
    with pytest.raises(ValueError, match="is an analysis, and has no column with days"):
        replace(REPORT, datasets=(*REPORT.datasets[:2], replace(REPORT.datasets[2], day="sentence")))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": ["x"]}, "its columns are a; it declares sentence, amount"),
        ({"sentence": ["x"], "amount": ["1"]}, "amount is declared as numbers, and holds String"),
        ({"sentence": ["x"], "amount": [float("nan")]}, "amount holds a number that is infinite or none"),
        ({"sentence": ["x"], "amount": [float("-inf")]}, "amount holds a number that is infinite or none"),
    ],
)
def test_a_table_that_is_not_as_declared_is_refused(columns: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SAID.checked(pl.DataFrame(columns))


def test_a_table_of_whole_numbers_or_of_nothing_is_as_declared() -> None:
    assert SAID.checked(pl.DataFrame({"sentence": [1, 2], "amount": [1, None]})).rows() == [("1", 1.0), ("2", None)]
    assert SAID.checked(pl.DataFrame({"sentence": [None], "amount": [None]})).rows() == [(None, None)]


texts = st.one_of(st.none(), st.text(), st.text("'=+-@\t\r\n \",|＝$x", max_size=6))
numbers = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(st.tuples(texts, numbers), max_size=8))
def test_a_table_is_read_back_as_it_was_written_and_no_cell_is_a_formula(rows: list) -> None:
    wanted = pl.DataFrame(rows, {"text": pl.String, "number": pl.Float64}, orient="row")
    content = to_csv(wanted)
    assert from_csv(content).with_columns(pl.col("number").cast(pl.Float64)).equals(wanted)
    cells = pl.read_csv(content, infer_schema=False)["text"].drop_nulls()
    assert not [cell for cell in cells if cell.lstrip()[:1] in tuple("=+-@＝＋－＠") and cell.lstrip()]


def test_the_preview_shows_the_first_rows_and_no_markdown_of_the_data() -> None:
    rows = pl.DataFrame({"text": ["a|b\nc [d](e) <f>", None], "number": [1234.5, None]})
    said = r"a\|b c \[d\](e) \<f\>"
    assert preview(rows) == f"| text | number |\n| --- | --- |\n| {said} | 1,234.5 |\n|  |  |"
    many = pl.DataFrame({"number": range(ROWS_SHOWN + 1)})
    assert preview(many).endswith(f"The first {ROWS_SHOWN} of {ROWS_SHOWN + 1} rows.")
