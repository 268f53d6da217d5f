"""What is written for what was found: samples that land, marts and reports that hold together."""

from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
import yaml  # type: ignore[import-untyped]

from analytics_assets.partitions import Calendar, Window
from analytics_assets.reports.figures import figures
from analytics_assets.scaffold.domain import files_of, plan_of, said_of_report
from analytics_assets.scaffold.look import Answers, Look, look, parsed
from analytics_assets.scaffold.of_models import has_few_rows, mart_files, report_files, types_in_yml, types_of
from analytics_assets.scaffold.texts import Flow, literal, yml
from analytics_assets.simulation.distributions import Sample
from analytics_assets.spec.model_node import Manifest, ModelNode
from analytics_assets.spec.report import Format, Report

DAYS = Window.of_days(date(2026, 1, 4), date(2026, 1, 8))

FILES = {
    "orders.csv": "Nr;Am;Betrag;Land\n"
    + "".join(f"{n};{n % 28 + 1:02}.01.2026 10:00;1.{n:03},50;DE\n" for n in range(60)),
    "orders.jsonl": "".join(f'{{"id": {n}, "at": "2026-01-05T1{n}:00:00Z", "ok": true}}\n' for n in range(9)),
    "bare.csv": "".join(f"{n},2026-01-0{n % 9 + 1},{n / 7:.3f}\n" for n in range(60)),
    "epoch.csv": "key,ts,who\n" + "".join(f"k{n},17676072{n:02},a\n" for n in range(60)),
    "flags.csv": "date,is_late,floor,size\n" + "".join(f"2026-01-05,{n % 2},{n % 3},{n}\n" for n in range(60)),
    "list.csv": "plan,price\na,1.50\nb,2.50\n",
}


def found_in(folder: Path, name: str, zone: str = "America/New_York") -> Look:
    (folder / name).write_text(FILES[name])
    return look("orders", [folder / name], answers=Answers(timezone=zone))


def executed(text: str, **known: Any) -> dict[str, Any]:
    """The names that a file defines; what it imports of its own domain is given."""
    lines = [line for line in text.splitlines() if not line.startswith("from analytics_assets.defs.")]
    exec("\n".join(lines), known)
    return known


@pytest.mark.parametrize("name", FILES)
def test_the_samples_of_a_domain_are_accepted_by_its_spec_on_their_days(tmp_path: Path, name: str) -> None:
    found = found_in(tmp_path, name)
    texts = files_of(plan_of(found, "team:x"))
    folder = "analytics_assets/defs/orders"
    source = executed(texts[f"{folder}/sources.py"])["ORDERS"]
    assert source.columns == found.source.columns
    sample: Sample = executed(texts[f"{folder}/simulator.py"], ORDERS=source)["SAMPLE"]
    sample.write(tmp_path / "inbox", DAYS, 1.0, Random(1))
    written = sorted((tmp_path / "inbox" / "orders").iterdir())
    assert len(written) == len(DAYS)
    assert all(source.matches(file.name) for file in written)
    rows, rejected = parsed(found.source, written)
    assert rejected == {}
    assert rows.height > 0
    if source.time:
        assert set(rows["_day"].to_list()) == set(DAYS.days())
    again = tmp_path / "again"
    sample.write(again, DAYS, 1.0, Random(1))
    assert [file.read_bytes() for file in written] == [one.read_bytes() for one in sorted((again / "orders").iterdir())]


@pytest.mark.parametrize("name", FILES)
def test_the_report_of_a_domain_is_one(tmp_path: Path, name: str) -> None:
    texts = files_of(plan_of(found_in(tmp_path, name), "team:x"))
    report = executed(texts["analytics_assets/defs/orders/reports.py"])["ORDERS_REPORT"]
    assert isinstance(report, Report)
    assert report.key_figures[0] == "row_count"


@pytest.mark.parametrize("a_day", [1, 24])
def test_the_number_of_rows_comes_last_and_in_no_chart_if_each_day_has_as_many(tmp_path: Path, a_day: int) -> None:
    rows = [f"2026-01-{n // a_day + 1:02}T{n % a_day:02}:00:00Z,{n * 7}\n" for n in range(28 * a_day)]
    (tmp_path / "a.csv").write_text("day,jobs\n" + "".join(rows[: -a_day // 2]))  # the last day is not over
    texts = files_of(plan_of(look("orders", [tmp_path / "a.csv"]), "team:x"))
    report = executed(texts["analytics_assets/defs/orders/reports.py"])["ORDERS_REPORT"]
    assert report.key_figures == ("mean_jobs", "row_count")
    assert [chart.measure for chart in report.charts] == ["mean_jobs"]
    assert report.measure("row_count").note == "The number of rows, without duplicates."


def test_flags_have_their_share_whether_rows_are_split_by_them_or_they_are_averaged(tmp_path: Path) -> None:
    rows = "".join(f"2026-01-0{n % 9 + 1},{n % 2},{n % 3 // 2},{'yes' if n % 4 else 'no'},{n}\n" for n in range(60))
    (tmp_path / "a.csv").write_text("date,fraud,late,paid,size\n" + rows)
    found = look("orders", [tmp_path / "a.csv"], answers=Answers(mean=("late", "size")))
    report = executed(files_of(plan_of(found, "team:x"))["analytics_assets/defs/orders/reports.py"])["ORDERS_REPORT"]
    held = {
        "share_of_fraud": ("Fraud (share)", Format.SHARE),
        "share_of_paid": ("Paid (share)", Format.SHARE),
        "share_of_late": ("Late (share)", Format.SHARE),
        "mean_size": ("Mean size", Format.MEAN),
    }
    assert {one.name: (one.title, one.format) for one in report.measures[1:]} == held
    assert {one.what: one.guess for one in found.said}["late"].endswith("share")
    frame = found.rows.with_columns(
        pl.lit(1.0).alias("row_count"),
        pl.col("fraud").cast(pl.String),
        pl.col("paid").cast(pl.String),
        total_late=pl.col("late").cast(pl.Float64),
        rows_with_late=pl.lit(1.0),
    )
    shares = {
        name: figures({"mart_orders_daily": frame}, report.measure(name), ())[()].value
        for name in held
        if "share" in name
    }
    assert shares == {"share_of_fraud": 0.5, "share_of_paid": 0.75, "share_of_late": pytest.approx(1 / 3)}


def test_labels_are_the_files_own_spelling_where_people_can_read_it(tmp_path: Path) -> None:
    names = ["Datum", "Niederschlag [in]", "Ort [in]", "wind_speed", "hohe_x", "x" * 60, "Ort in"]
    rows = "".join(f"2026-01-{n % 9 + 1:02},{n / 8},{n % 2}b,{n / 4},{n / 2},{n / 3},{n % 2}b\n" for n in range(40))
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + rows)
    texts = files_of(plan_of(look("orders", [tmp_path / "a.csv"]), "team:x"))
    report = executed(texts["analytics_assets/defs/orders/reports.py"])["ORDERS_REPORT"]
    titles = [one.title for one in report.measures]
    assert titles == ["Orders", "Mean Niederschlag [in]", "Mean wind speed", "Mean hohe x", f"Mean {'x' * 60}"]
    assert [one.title for one in report.dimensions] == ["Ort [in]", "Ort in"]
    assert [one.title for one in report.tables] == ["Days", "Ort in", "ort in_2"], "no sheet has brackets in its name"


@pytest.mark.parametrize(
    ("every", "a_day", "days", "opens_on_all", "has_volume"),
    [(1, 2, 400, False, False), (1, 10, 400, False, True), (30, 1, 391, True, False), (30, 300, 391, False, True)],
)
def test_a_history_that_has_ended_is_shown_whole_and_opens_where_there_are_rows(
    tmp_path: Path, every: int, a_day: int, days: int, opens_on_all: bool, has_volume: bool
) -> None:
    held = [date(2024, 1, 1) + timedelta(days=n) for n in range(0, 400, every)]
    (tmp_path / "a.csv").write_text("id,date\n" + "".join(f"{n}-{day},{day}\n" for day in held for n in range(a_day)))
    plan = plan_of(look("orders", [tmp_path / "a.csv"]), "team:x")
    texts = files_of(plan)
    report = executed(texts["analytics_assets/defs/orders/reports.py"])["ORDERS_REPORT"]
    assert (report.days, report.opens_on_all) == (days, opens_on_all)
    assert f"shows {days} days, all that there are" in said_of_report(plan)
    assert ("opens on all" in said_of_report(plan)) is opens_on_all
    assert ("usual_volume" in texts["dbt_project/models/marts/orders/_marts_orders.yml"]) is has_volume


@pytest.mark.parametrize(
    ("text", "is_tested"),
    [("id,date\na,2026-01-05\nb,2026-01-06\n", True), ("symbol,date\na,2026-01-05\na,2026-01-06\n", False)],
)
def test_a_key_that_holds_the_day_may_stand_on_many_days(tmp_path: Path, text: str, is_tested: bool) -> None:
    (tmp_path / "a.csv").write_text(text)
    texts = files_of(plan_of(look("orders", [tmp_path / "a.csv"]), "team:x"))
    assert ("key_on_one_day" in texts["dbt_project/models/staging/orders/_staging_orders.yml"]) is is_tested


# ------------------------------------------------------------------------------------------------ marts and reports


def manifest(key: tuple[str, ...] = (), **columns: str) -> Manifest:
    described = {
        name: {"name": name, "data_type": dtype, "description": f"A {name}."} for name, dtype in columns.items()
    }
    node = {
        "unique_id": "model.analytics.stg_orders",
        "name": "stg_orders",
        "resource_type": "model",
        "fqn": ["analytics", "staging", "shop", "stg_orders"],
        "config": {"meta": {"day": "order_date"}, "materialized": "incremental", "access": "public"},
        "columns": described,
    }
    test = {
        "resource_type": "test",
        "attached_node": node["unique_id"],
        "test_metadata": {"name": "unique_together", "kwargs": {"columns": ["order_date", *key]}},
    }
    return Manifest({"nodes": {node["unique_id"]: node, "test": test}})


ORDERS = {"order_date": "date", "country": "varchar", "amount": "DECIMAL(38,9)", "delay": "bigint", "rate": "double"}


def test_a_mart_sums_what_adds_up_by_what_it_is_split_by() -> None:
    held = manifest(**ORDERS)
    (node,) = held.models
    types = types_in_yml(node)
    texts = mart_files("mart_orders", held, types, "stg_orders", ["country"], ["amount", "delay"], "team:shop")
    sql, page = (
        texts["dbt_project/models/marts/shop/mart_orders.sql"],
        texts["dbt_project/models/marts/shop/_mart_orders.yml"],
    )
    assert "cast(coalesce(sum(amount), 0) as {{ type_amount() }}) as total_amount" in sql
    assert "group by country, order_date" in sql
    assert "measures_of: stg_orders" in page and "total_delay: delay" in page
    for by, sums, said in (
        (["place"], [], "--by names place; stg_orders has order_date, country"),
        ([], ["rate"], "--sum names rate, which is a double; .* cast it in the model"),
        (["order_date"], [], "by which each mart is split anyway"),
    ):
        with pytest.raises(ValueError, match=said):
            mart_files("mart_orders", held, types, "stg_orders", by, sums, "team:shop")
    with pytest.raises(ValueError, match="there is no such model with days; there is stg_orders"):
        mart_files("mart_orders", held, types, "stg_order", [], [], "team:shop")


def test_a_report_of_a_mart_shows_its_sums_and_the_means_that_they_make() -> None:
    columns = {"country": "varchar", "row_count": "bigint", "total_delay": "bigint", "rows_with_delay": "bigint"}
    held = manifest(order_date="date", **columns)
    (node,) = held.models
    texts = report_files("late", held, types_in_yml(node), "stg_orders", "Late orders", "team:shop")
    report = executed(texts["analytics_assets/defs/shop/late.py"])["LATE_REPORT"]
    assert report.key_figures == ("row_count", "mean_delay")
    assert [one.column for one in report.dimensions] == ["country"]
    assert "ref('stg_orders')" in texts["dbt_project/models/marts/shop/_exposure_of_late.yml"]
    with pytest.raises(ValueError, match="nothing in stg_orders adds up"):
        report_files("late", manifest(rate="double"), {"rate": "double"}, "stg_orders", "Late", "team:shop")


def test_a_report_opens_on_all_days_if_the_newest_have_few_rows() -> None:
    newest = date(2026, 1, 28)
    assert has_few_rows({newest: 13, newest - timedelta(28): 500})
    assert not has_few_rows({newest: 13, newest - timedelta(27): 1})
    assert not has_few_rows({}), "nothing is made yet"


def test_what_a_mart_is_split_by_is_a_dimension_of_its_report_and_never_summed() -> None:
    columns = {"floor": "bigint", "store_id": "bigint", "row_count": "bigint", "total_delay": "bigint"}
    held = manifest(("floor", "store_id"), order_date="date", **columns)
    (node,) = held.models
    calendar = Calendar(date(2025, 1, 1), date(2025, 2, 28))
    texts = report_files("late", held, types_in_yml(node), "stg_orders", "Late", "team:shop", calendar)
    report = executed(texts["analytics_assets/defs/shop/late.py"])["LATE_REPORT"]
    assert [one.column for one in report.dimensions] == ["floor", "store_id"]
    assert [one.name for one in report.measures] == ["row_count", "total_delay"]
    assert report.days == 59
    longer = Calendar(date(2024, 1, 1), date(2025, 12, 31))
    texts = report_files("late", held, types_in_yml(node), "stg_orders", "Late", "team:shop", longer)
    assert executed(texts["analytics_assets/defs/shop/late.py"])["LATE_REPORT"].days == 731


def test_the_unit_test_of_a_mart_has_values_of_the_types_that_it_is_split_by() -> None:
    types = ORDERS | {"floor": "bigint", "paid_on": "date"}
    held = manifest(**types)
    texts = mart_files("mart_orders", held, types, "stg_orders", ["floor", "paid_on"], ["delay"], "team:shop")
    (unit_test,) = yaml.safe_load(texts["dbt_project/models/marts/shop/_mart_orders.yml"])["unit_tests"]
    rows = unit_test["given"][0]["rows"]
    assert {row["floor"] for row in rows} == {1, 2}
    assert {row["paid_on"] for row in rows} == {"2024-12-01"}


def test_types_of_rows_are_those_that_models_say() -> None:
    rows = pl.DataFrame(schema={"a": pl.Int64, "b": pl.Decimal(38, 9), "c": pl.String, "d": pl.Boolean})
    assert types_of(rows) == {"a": "bigint", "b": "decimal(38, 9)", "c": "varchar", "d": "boolean"}


# ------------------------------------------------------------------------------------------------------------- texts


def test_a_yml_file_says_what_was_given_in_lines_that_are_not_too_long() -> None:
    held = {
        "version": 2,
        "models": [
            {
                "name": "a",
                "description": "long " * 60,
                "columns": [Flow(name=f"c{n}", description="It's: #1") for n in range(3)],
            },
            {"name": "b", "tests": ["x", Flow(unique={"columns": [f"a_column_{n}" for n in range(30)]})]},
            {
                "name": "c",
                "rows": [Flow({f"column_{n}": n % 2 or None for n in range(30)}), Flow(x=True, y="no", z="1")],
            },
        ],
    }
    text = yml(held)
    read = yaml.safe_load(text)
    read["models"][0]["description"] += " "
    assert read == held
    assert max(map(len, text.splitlines())) <= 120


def test_a_literal_is_the_text_that_it_was_made_of() -> None:
    for text in ("a", 'it\'s "x"', "line\nbreak\\", "x" * 300, "\x1b[31m", "{{ a }}"):
        assert eval(literal(text)) == text


def test_a_node_without_types_says_none() -> None:
    assert types_in_yml(ModelNode({"columns": {"a": {"name": "a", "data_type": None}}})) == {}
