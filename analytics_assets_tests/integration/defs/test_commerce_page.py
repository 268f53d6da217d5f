"""What the page on commerce says of the published shop, computed anew. Skipped where its files are not at hand."""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from analytics_assets.cli.erd import DOCS
from analytics_assets.defs.commerce import DOMAIN as COMMERCE
from analytics_assets.partitions import Window
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.project import REAL_DATA, Project

FILES = REAL_DATA / "commerce"

pytestmark = pytest.mark.skipif(not FILES.exists(), reason="the real files are not at hand")

ERRORS = {
    "lines joined with payments": "select sum(price) from order_items join order_payments using (order_id)",
    "lines joined with reviews": "select sum(price) from order_items join order_reviews using (order_id)",
    "lines joined with lines on `order_item_id` alone": """
        select sum(a.price) from order_items as a join order_items as b on a.order_item_id = b.order_item_id""",
}


@pytest.fixture(scope="module")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for source in ("orders", "order_items", "order_payments", "order_reviews"):
            file = FILES / f"olist_{source}_dataset.csv"
            connection.execute(f"create table {source} as from '{file}'")
        yield connection


def said() -> str:
    return " ".join((DOCS / "commerce.md").read_text().split())


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_gives_the_figure_that_the_page_says(shop: duckdb.DuckDBPyConnection, error: str) -> None:
    ((wrong,),) = shop.execute(ERRORS[error]).fetchall()
    assert f"| {error} | {wrong:,.2f} |" in said()


def test_the_other_figures_of_the_published_shop_are_those_of_its_files(shop: duckdb.DuckDBPyConnection) -> None:
    def number(query: str) -> float:
        ((value,),) = shop.execute(query).fetchall()
        return float(value)

    assert f"3,000 orders, whose lines are worth {number('select sum(price) from order_items'):,.2f}" in said()
    mean = number("select avg(review_score) from order_reviews")
    of_days = "select avg(score) from (select avg(review_score) as score from order_reviews group by {})"
    daily = number(of_days.format("review_creation_date::date"))
    assert (
        f"the mean score of the published reviews is {mean:.2f}, and the mean of daily means is {daily:.2f}" in said()
    )
    day = "order_purchase_timestamp::date"
    days = number(f"select max({day}) - min({day}) + 1 from orders")
    without = days - number(f"select count(distinct {day}) from orders")
    assert f"of the {days:.0f} days from the first order to the last, {without:.0f} have none" in said()
    no_lines = number("select count(*) from orders anti join order_items using (order_id)")
    other_sums = number("""
        select count(*)
        from (select order_id, sum(price + freight_value) as owed from order_items group by all)
        join (select order_id, sum(payment_value) as paid from order_payments group by all) using (order_id)
        where abs(owed - paid) > 0.005""")
    assert f"{no_lines:.0f} orders have no lines, and {other_sums:.0f} others paid another sum" in said()


def test_the_commands_of_the_page_give_every_row_of_the_files_a_day(tmp_path: Path) -> None:
    page = (DOCS / "commerce.md").read_text()
    (commands,) = re.findall(r"```\n(cd data/inbox .*?)```", page, re.S)
    days = [date.fromisoformat(day) for day in re.findall(r"`ANALYTICS_(?:START|END)_DATE=(\S+?)`", page)]
    project = Project(tmp_path / "data", [COMMERCE], dict(zip(("start_date", "end_date"), days, strict=True)))
    project.settings.inbox_dir.mkdir(parents=True, exist_ok=True)
    (tmp_path / "olist").symlink_to(FILES)
    env = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path, env=env, check=True)
    project.land()
    ledger, files = Ledger(project.settings.lake_dir), list(FILES.glob("*.csv"))
    assert len(files) == 8
    with duckdb.connect() as connection:
        rows = {file.stem: connection.execute(f"select count(*) from '{file}'").fetchall()[0][0] for file in files}
    found = {}
    for source in project.sources:
        # The one piece of a snapshot is that of each of its days.
        pieces = {piece for of_day in ledger.pieces(source, Window.of_days(*days)).values() for piece in of_day}
        for path in (project.settings.inbox_dir / source.name).glob("*.csv"):
            found[path.stem.removesuffix("-2018-10-31")] = sum(piece.rows for piece in pieces)
    assert found == rows
