"""The documents, held to the tree: what they name is there."""

import ast
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

from analytics_assets.cli.app import app
from analytics_assets.settings import PROJECT_DIR, BigQuery, Settings, Sheets

PACKAGE = PROJECT_DIR / "analytics_assets"
PAGES = sorted([*PROJECT_DIR.glob("*.md"), *(PROJECT_DIR / "docs").glob("*.md")])
ROOTS = [PROJECT_DIR, PACKAGE, PROJECT_DIR / "dbt_project", PROJECT_DIR / "analytics_assets_tests"]
WRITTEN_BY_READERS = re.compile(r"\bshop\b|shop_orders|\bweather\b|test_weather")
"""What a page asks its reader to write, or makes an example of."""


def quoted(page: Path) -> list[str]:
    """What a page sets as code within its text."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_source_file_that_a_page_names_is_there(page: Path) -> None:
    files = {name for name in quoted(page) if re.fullmatch(r"[\w./-]+\.(py|sql|yml|js|css|toml|md)", name)}
    files = {name for name in files if not WRITTEN_BY_READERS.search(name) and not name.startswith("data/")}
    missing = {
        name
        for name in files
        if not any((root / name).exists() for root in ROOTS)
        and ("/" in name or not any(any(root.rglob(name)) for root in ROOTS[1:]))
        and not name.startswith("dbt_project/target/")
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_module_that_a_page_imports_is_there(page: Path) -> None:
    modules = set(re.findall(r"\b(analytics_assets(?:\.\w+)+)", page.read_text()))
    modules = {name for name in modules if not WRITTEN_BY_READERS.search(name)}
    parts = {name: Path(*name.split(".")) for name in modules}
    assert {
        name
        for name, path in parts.items()
        if not (PROJECT_DIR / path).is_dir() and not (PROJECT_DIR / f"{path}.py").exists()
    } == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_name_that_the_code_of_a_page_imports_is_there(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("analytics_assets"):
                module = import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == [], node.module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_that_a_page_names_is_one(page: Path) -> None:
    code = "\n".join([*quoted(page), *re.findall(r"^```.*?^```", page.read_text(), re.M | re.S)])
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_DIR / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([a-z]+)", code, re.M)) <= targets
    commands = {name for name, command in get_command(app).commands.items() if not command.hidden}  # type: ignore[attr-defined]
    assert set(re.findall(r"^(?:\.venv/bin/)?analytics-assets ([a-z]+[a-z-]*)", code, re.M)) <= commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_to_a_page_and_to_a_heading_of_it(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    for target, _, heading in (link.partition("#") for link in links):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        if heading and linked.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", linked.read_text(), re.M)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, f"{page.name} links to {target}#{heading}"


def test_the_page_on_rooms_has_the_layers_of_the_import_contract() -> None:
    contracts = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    page = (PROJECT_DIR / "docs" / "rooms.md").read_text()
    table = page.split("| room | holds |")[1].split("\n\n")[0]
    told = [" | ".join(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines()[2:]]
    assert told == layers


def test_the_readme_lists_each_room_and_each_page() -> None:
    readme = (PROJECT_DIR / "README.md").read_text()
    listed = readme.split("```\nanalytics_assets/")[1].split("\nanalytics_assets_tests/")[0]
    rooms = set(re.findall(r"^  (\w+)", listed, re.M))
    assert rooms == {
        path.stem for path in PACKAGE.iterdir() if not path.name.startswith("_") and path.name != "py.typed"
    }
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", readme))
    assert linked == {page.name for page in (PROJECT_DIR / "docs").glob("*.md")}


def test_the_example_of_the_page_on_tests_is_a_test() -> None:
    tests = PROJECT_DIR / "analytics_assets_tests" / "integration" / "test_one_asset.py"
    running = {line.strip() for line in tests.read_text().splitlines()}
    (example,) = re.findall(
        r"^```python\n(def test_\w+).*?\n(.*?)^```",
        (PROJECT_DIR / "docs" / "test-an-asset.md").read_text(),
        re.M | re.S,
    )
    assert any(line.startswith(f"{example[0]}(") for line in running)
    assert {line.strip() for line in example[1].splitlines()} - running == set()


ASKED = {
    "commerce.md": (
        "What performance bottlenecks did you identify in the original model?",
        "How did your optimizations address these bottlenecks?",
        "What materialization strategy did you choose and why?",
        "How would you measure the performance improvement?",
        "Why did you choose the specific materialization strategy?",
        "How would your approach change if this data needed to be near real-time?",
        "What are the performance implications of the joins and aggregations in your model?",
        "How would you optimize this model for different types of queries?",
    ),
    "sessions.md": (
        "What are the trade-offs of using incremental vs. full-refresh for this model?",
        "How would you handle schema changes in an incremental model?",
        "What monitoring would you put in place to ensure the incremental model stays healthy?",
        "In what scenarios might the incremental approach fail?",
    ),
    "deployment_strategy.md": (
        "How would you handle emergency fixes that need to be deployed quickly?",
        "What metrics would you track to ensure the health of your deployment?",
        "How would you balance the need for fresh data with system performance?",
        "What stakeholders would need to be involved in the deployment process?",
    ),
    "stakeholder_guide.md": (
        "How would you tailor this documentation for different types of stakeholders?",
        "What technical details should be included or excluded for business users?",
        "How would you gather feedback on the usefulness of the documentation?",
        "How would you keep the documentation up-to-date as the models evolve?",
    ),
    "project_optimization.md": (
        "What were the biggest opportunities for improvement in the project?",
        "How did you prioritize which optimizations to implement?",
        "What was the overall impact of your changes?",
        "What further improvements would you recommend for the future?",
    ),
}
"""What the analytics of a shop are asked, each question word for word, by the page that answers it."""


@pytest.mark.parametrize("name", ASKED)
def test_each_question_that_is_asked_is_a_heading_with_an_answer(name: str) -> None:
    sections = re.split(r"^#+ (.*)\n", (PROJECT_DIR / "docs" / name).read_text(), flags=re.M)
    answers = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert [question for question in ASKED[name] if len(answers.get(question, "").split()) < 20] == []


def test_each_setting_that_a_page_names_is_one() -> None:
    nested = {"BIGQUERY": BigQuery, "SHEETS": Sheets}
    known = {f"ANALYTICS_{name.upper()}" for name in Settings.model_fields}
    known |= {f"ANALYTICS_{of}__{name.upper()}" for of, model in nested.items() for name in model.model_fields}
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"\bANALYTICS_[A-Z]+(?:_{1,2}[A-Z]+)*\b(?!__)", page.read_text())
        if not name.startswith("ANALYTICS_API")
    }
    assert len(named) > 50
    assert {(page, name) for page, name in named if name not in known} == set()


def test_each_model_that_the_page_on_optimization_profiles_is_one() -> None:
    page = (PROJECT_DIR / "docs" / "project_optimization.md").read_text()
    profiled = set(re.findall(r"^\| `(\w+)` \| (?:incremental|view|table function) \|", page, re.M))
    models = {file.stem for file in (PROJECT_DIR / "dbt_project" / "models").rglob("*.sql")}
    assert len(profiled) > 50
    assert profiled <= models, "run `analytics-assets profile` after `make demo`"
