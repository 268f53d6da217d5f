"""The guide of the product mart: its queries run on a sample whose answers the page holds."""

import re
from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from analytics_assets.cli.erd import DOCS
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs import find_domains
from analytics_assets.foundation.plain_text import markdown_table
from analytics_assets_tests.support.project import test_settings as settings_in
from analytics_assets_tests.support.sample_shop import DAYS, write_raw_days

PAGE = DOCS / "stakeholder_guide.md"
QUESTIONS = re.findall(
    r"^\*\*(?P<question>[^*]+\?)\*\*.*?^```sql\n(?P<query>.*?)^```\n\n(?P<answer>(?:\|[^\n]*\n)+)",
    PAGE.read_text(),
    re.M | re.S,
)


READ = re.compile(r"\b(?:marts|reporting)\.(\w+)")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse of the sample: all days of all models that the queries read, made in one run."""
    changes: dict[str, object] = {"start_date": DAYS.start, "end_date": max(DAYS.days())}
    settings = settings_in(tmp_path_factory.mktemp("guide"), **changes)
    domains = [domain for domain in find_domains() if domain.name in ("commerce", "sessions")]
    write_raw_days(settings.raw_dir)
    models = [f"+{model}" for model in sorted({name for _, query, _ in QUESTIONS for name in READ.findall(query)})]
    sources = [source for domain in domains for source in domain.sources]
    assert run_dbt(["run", "--select", *models], settings, sources, DAYS).failures == {}
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        yield connection


def as_read(value: object) -> str:
    """A value as the page writes it."""
    match value:
        case None:
            return "–"
        case Decimal() | float():
            return f"{value:,.2f}".removesuffix(".00")
        case _:
            return str(value)


def test_each_query_of_the_page_has_a_question_and_an_answer() -> None:
    assert len(QUESTIONS) == PAGE.read_text().count("```sql\n") >= 8


@pytest.mark.parametrize(("question", "query", "answer"), QUESTIONS, ids=[question for question, *_ in QUESTIONS])
def test_the_answer_to_an_example_question_is_the_one_on_the_page(
    warehouse: duckdb.DuckDBPyConnection, question: str, query: str, answer: str
) -> None:
    result = warehouse.execute(query)
    names = [name for name, *_ in result.description or ()]
    assert answer.strip() == markdown_table(names, [[as_read(value) for value in row] for row in result.fetchall()])
