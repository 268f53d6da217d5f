"""Rows that have no id of their own, from their files to the model that holds each of them once."""

from dataclasses import replace
from pathlib import Path

from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import HEADER, MODELS, ORDERS, SHOP, written


def test_a_redelivered_row_counts_once_and_two_equal_rows_of_a_file_count_twice(tmp_path: Path) -> None:
    purchases = replace(SHOP, sources=[replace(ORDERS, primary_key=("order_id", "amount", "_repeat"))])
    early, late, next_day = (f"{at},{day(number)} 12:00:00,5\n" for at, number in (("a", 1), ("b", 1), ("c", 2)))
    with written(tmp_path / "dbt", MODELS):
        project = Project(tmp_path / "data", [purchases])
        project.drop("orders", "orders-1.csv", HEADER + early + early + late)
        project.drop("orders", "orders-2.csv", HEADER + early + late + late + next_day)  # overlaps the one before
        assert project.settle().outcome.failures == []  # as many rows as keys, says the check `adds_up`
        assert project.frame("src_orders").height == 7
        expected = [("a", day(1))] * 2 + [("b", day(1))] * 2 + [("c", day(2))]
        assert sorted(project.frame("stg_orders").select("order_id", "the_day").rows()) == expected

        project.drop("orders", "orders-1-again.csv", HEADER + early + early + late)
        assert project.settle().outcome.made == {}
