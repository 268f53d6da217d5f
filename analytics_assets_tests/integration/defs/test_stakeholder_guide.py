"""The guide of the product mart: its queries run on a sample whose answers the page holds."""

import re
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest

from analytics_assets.cli.erd import DOCS
from analytics_assets.defs import find_domains
from analytics_assets.foundation.plain_text import markdown_table
from analytics_assets_tests.support.project import Project
from analytics_assets_tests.support.sample_shop import DAYS, write_files

PAGE = DOCS / "stakeholder_guide.md"
QUESTIONS = re.findall(
    r"^\*\*(?P<question>[^*]+\?)\*\*.*?^```sql\n(?P<query>.*?)^```\n\n(?P<answer>(?:\|[^\n]*\n)+)",
    PAGE.read_text(),
    re.M | re.S,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The published copy of the sample, as readers have it."""
    domains = [replace(one, reports=()) for one in find_domains() if one.name in ("commerce", "sessions")]
    changes: dict[str, object] = {"start_date": DAYS.start, "end_date": max(DAYS.days())}
    project = Project(tmp_path_factory.mktemp("guide") / "data", domains, changes)
    write_files(project.settings.inbox_dir)
    project.settled()
    return duckdb.connect(str(project.settings.published_file), read_only=True)


def as_read(value: object) -> str:
    """A value as the page writes it."""
    match value:
        case None:
            return "–"
        case Decimal() | float():
            return f"{value:,.2f}".removesuffix(".00")
        case _:
            return str(value)


@pytest.mark.parametrize(("question", "query", "answer"), QUESTIONS, ids=[question for question, *_ in QUESTIONS])
def test_the_answer_to_an_example_question_is_the_one_on_the_page(
    published: duckdb.DuckDBPyConnection, question: str, query: str, answer: str
) -> None:
    result = published.execute(query)
    names = [name for name, *_ in result.description or ()]
    assert answer.strip() == markdown_table(names, [[as_read(value) for value in row] for row in result.fetchall()])
