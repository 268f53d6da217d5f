"""The text of docs/ that is made from the code: it is up to date, and true."""

from datetime import timedelta
from pathlib import Path

import pytest

from analytics_assets.cli.erd import DOCS
from analytics_assets.operations.pages import columns_of, made_pages
from analytics_assets.operations.timetable import ties_of
from analytics_assets.partitions import PartitionOffsets, Read, by_key
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import AssetKind
from analytics_assets_tests.support.project import DOMAINS, YESTERDAY, Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    start = {"start_date": YESTERDAY - timedelta(days=99)}
    return Project(tmp_path_factory.mktemp("project"), DOMAINS, start, on=False)


def test_the_made_text_of_each_page_is_what_the_project_says_now(project: Project) -> None:
    pages = made_pages(project.definitions, project.declared, DOCS)
    assert {page.name for page in pages} >= {"erd.md", "deployment_strategy.md"}
    stale = [page.name for page, text in pages.items() if page.read_text() != text]
    assert stale == [], "run `analytics-assets erd`"


def test_a_place_without_a_known_name_is_an_error(project: Project, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- made: columns of nothing -->\n<!-- end: columns of nothing -->\n")
    with pytest.raises(ValueError, match="nothing is called 'columns of nothing'"):
        made_pages(project.definitions, project.declared, tmp_path)


def test_text_around_a_place_stays_as_it_is(project: Project, tmp_path: Path) -> None:
    place = "<!-- made: columns of mart_sessions -->\nold\n<!-- end: columns of mart_sessions -->"
    (tmp_path / "page.md").write_text(f"before\n\n{place}\n\nafter\n")
    text = made_pages(project.definitions, project.declared, tmp_path)[tmp_path / "page.md"]
    assert text.startswith("before\n\n<!-- made: ") and text.endswith(" -->\n\nafter\n")
    assert "| `customer_id` | The person. | varchar | no |\n" in text
    assert "old" not in text


def test_the_columns_of_a_model_are_those_of_its_yml_in_order(project: Project) -> None:
    rows = columns_of(project.declared.manifest, "mart_sessions").splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(project.node("mart_sessions")["columns"])


def test_the_days_that_a_row_changes_are_those_that_automation_would_ask_for(project: Project) -> None:
    """Where no key is read: what a key ties is known only once the rows are there."""
    at, compared = YESTERDAY - timedelta(days=50), 0
    ties = ties_of(project.declared)
    keyed: set[str] = set()
    for name, reads in project.upstream.items():
        if by_key(reads) or any(read.asset in keyed for read in reads):
            keyed.add(name)
    for source in project.sources:
        tied = project.tied_to(at, source=source.name)
        for name, days in tied.items():
            if project.kind(name) is not AssetKind.MODEL or name in keyed:
                continue
            said = ties[name][source.name].days
            assert said is not None
            first = project.window.start if said.start is None else at + timedelta(days=said.start)
            last = YESTERDAY if said.end is None else at + timedelta(days=said.end)
            assert days == {day for day in project.window.days() if first <= day <= last}, (name, source.name)
            compared += 1
    assert compared > 10
    assert ties["mart_sessions"]["clickstream"].days == PartitionOffsets(-1, 1)


def test_a_row_that_is_found_by_key_changes_the_days_with_its_key(project: Project) -> None:
    ties = ties_of(project.declared)
    keyed = [(node, read) for node in project.declared.manifest.models for read in by_key(node.mappings)]
    assert keyed
    for node, read in keyed:
        source = next(iter(ties[read.asset]))
        assert ", ".join(read.key) in ties[node.name][source].keys


def test_days_and_keys_of_several_ways_are_told_together() -> None:
    from analytics_assets.operations.timetable import Tie

    near = Tie().beyond(Read("a", PartitionOffsets(-1, 0)))
    far = near.beyond(Read("b", PartitionOffsets(None, 0)))
    by_user = near.beyond(Read("c", PartitionOffsets(None, None), ("user_id",), "d"))
    assert str(near) == "its own day, 1 day after"
    assert str(far) == "its own day, all after"
    assert str(Tie().beyond(Read("e", PartitionOffsets(0, 2)))) == "its own day, 2 days before"
    assert str(near | by_user) == "its own day, 1 day after; days with its `user_id`"
    assert by_user.beyond(Read("f", PartitionOffsets(-7, 0))).days is None


def test_the_environments_of_the_page_on_deployment_share_no_table(tmp_path: Path) -> None:
    from analytics_assets.warehouse.bigquery.api import dataset_of

    page = (DOCS / "deployment_strategy.md").read_text()
    found = {}
    for block in page.split("```ini\n# ")[1:]:
        name, lines = block.split("```")[0].split("\n", 1)
        (tmp_path / name).write_text(lines)
        settings = Settings(_env_file=tmp_path / name)  # type: ignore[call-arg]
        assert settings.model_fields_set >= {"warehouse", "bigquery"}
        layers = ("raw", "lookups", "staging", "intermediate", "marts", "reporting")
        found[name] = {dataset_of(settings, layer) for layer in layers}
    assert list(found) == ["dev", "staging", "prod"]
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 1 + 6 + 6
