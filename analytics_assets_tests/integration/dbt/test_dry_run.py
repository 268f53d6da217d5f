"""`materialize --dry-run`: what it asks of BigQuery (here a stand-in), what it says, and that it makes nothing."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from typer.testing import CliRunner, Result

from analytics_assets import definitions
from analytics_assets.cli.app import app
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.settings import get_settings
from analytics_assets_tests.support.bigquery_api import ApiError, BigQueryApi, served
from analytics_assets_tests.support.on_bigquery import load, project_on
from analytics_assets_tests.support.project import WITHOUT_REPORTS, Project, day

CAMPAIGNS = tuple(domain for domain in WITHOUT_REPORTS if domain.name == "campaigns")
TABLES = ("stg_campaigns", "core_campaign_performance", "daily_campaign_summary")

Materialize = Callable[..., Result]


@pytest.fixture(scope="module")
def stand_in() -> BigQueryApi:
    return BigQueryApi(project="a-project", datasets=set())


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory, stand_in: BigQueryApi) -> Iterator[Project]:
    """Five days of campaigns, of which nothing but the raw days is made; what a test changes, it changes back."""
    with served(stand_in) as url, pytest.MonkeyPatch.context() as patch:
        project = project_on(url, tmp_path_factory.mktemp("dry_run") / "data", CAMPAIGNS)
        patch.setenv("DAGSTER_HOME", str(prepare_dagster_home(project.settings)))
        with DagsterInstance.get() as project.instance:
            project.simulate()
            load(project)
            yield project


@pytest.fixture
def api(stand_in: BigQueryApi) -> BigQueryApi:
    """The stand-in, as if it had not been asked anything."""
    stand_in.requests, stand_in.bytes_processed = [], lambda sql: 0
    return stand_in


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Project], Materialize]]:
    """`analytics-assets materialize --dry-run …` at the prompt of somebody who set up a project."""

    def of(project: Project) -> Materialize:
        settings = project.settings
        monkeypatch.setenv("ANALYTICS_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("ANALYTICS_START_DATE", str(settings.start_date))
        monkeypatch.setenv("ANALYTICS_END_DATE", str(settings.end_date))
        monkeypatch.setenv("ANALYTICS_WAREHOUSE", settings.warehouse)
        monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
        if settings.bigquery:
            monkeypatch.setenv("ANALYTICS_BIGQUERY__PROJECT", settings.bigquery.project)
            monkeypatch.setenv("ANALYTICS_BIGQUERY__API_ENDPOINT", str(settings.bigquery.api_endpoint))
        monkeypatch.setattr(definitions, "defs", project.definitions)
        monkeypatch.setattr(definitions, "project", project.declared)
        get_settings.cache_clear()
        return lambda *arguments: CliRunner().invoke(app, ["materialize", "--dry-run", *arguments])

    yield of
    get_settings.cache_clear()


@pytest.fixture
def dry_run(landed: Project, api: BigQueryApi, prompt: Callable[[Project], Materialize]) -> Materialize:
    return prompt(landed)


def checks_of(project: Project) -> dict[str, int]:
    """How many checks each model has."""
    keys = project.definitions.resolve_asset_graph().asset_check_keys
    return {name: sum(key.asset_key.path[-1] == name for key in keys) for name in project.models}


def asked(api: BigQueryApi) -> list[str]:
    """The statements that were asked about."""
    jobs = [one.body["configuration"] for one in api.asked("POST projects/a-project/jobs")]
    assert all(job["dryRun"] for job in jobs), "none was run"
    return [job["query"]["query"] for job in jobs]


def of_tables(statements: list[str]) -> dict[str, str]:
    """Those that make the days of a table, by its name."""
    return {m[1]: sql for sql in statements if (m := re.match(r"merge into `[^`]+`\.`[^`]+`\.`(\w+)`", sql))}


def table_of(result: Result) -> dict[str, list[str]]:
    """The cells of each row of the table that was printed, by the first."""
    rows = [line[1:-1].split("│") for line in result.output.splitlines() if line.startswith("│")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def files_of(project: Project) -> dict[str, bytes]:
    """All files but Dagster's own, and what dbt compiled."""
    folder = project.settings.data_dir
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not {"home", "dbt_target"} & set(file.relative_to(folder).parts)
    }


def ten_bytes_without(table: str) -> Callable[[str], int]:
    """What is processed by each statement, where one table is not there."""

    def bytes_processed(sql: str) -> int:
        if table.rpartition(".")[2] in sql:
            raise ApiError(404, "notFound", f"Not found: Table a-project:{table}")
        return 10

    return bytes_processed


# --------------------------------------------------------------------------------------------------------- BigQuery


def test_it_asks_for_the_merge_of_each_table_with_its_days_and_for_each_check_and_makes_nothing(
    landed: Project, api: BigQueryApi, dry_run: Materialize
) -> None:
    api.bytes_processed = lambda sql: 1_000_000 if sql.startswith("merge") else 1
    before, jobs = files_of(landed), len(api.jobs)
    result = dry_run("--from", str(day(1)), "--to", str(day(2)))
    assert result.exit_code == 0, result.output
    assert len(api.jobs) == jobs, "no job was begun"
    assert not [one for one in api.requests if one.method != "GET" and not one.path.endswith("/jobs")]
    assert files_of(landed) == before
    assert landed.requested()["src_campaigns"] == {str(day(number)) for number in range(5)}, "nothing is recorded"

    statements = asked(api)
    merges = of_tables(statements)
    assert set(merges) == set(TABLES)
    first, after = day(1), day(3)
    for sql in merges.values():
        assert sql.endswith(
            f"when not matched by source and date >= date '{first}' and date < date '{after}' then delete"
        )
        assert sql.count(f"date >= date '{first}' and date < date '{after}'") == 2, "of what is read, and of its own"
    checks = checks_of(landed)
    assert len(statements) == len(TABLES) + sum(checks.values())

    found = table_of(result)
    assert list(found) == ["raw_campaigns", "src_campaigns", *TABLES]
    assert found["raw_campaigns"] == ["2", str(day(1)), str(day(2)), "", ""]
    assert found["src_campaigns"] == ["2", str(day(1)), str(day(2)), "0", str(checks["src_campaigns"])]
    for name in TABLES:
        assert found[name] == ["2", str(day(1)), str(day(2)), "1,000,000", str(checks[name])]
    assert f"{3_000_000 + sum(checks.values()):,} bytes would be read (2.9 MiB)" in result.output
    assert "Nothing was made." in result.output


def test_its_table_lines_up(landed: Project, dry_run: Materialize, api: BigQueryApi) -> None:
    api.bytes_processed = lambda sql: 10**11
    lines = dry_run("--from", str(day(1)), "--to", str(day(1))).output.splitlines()
    assert lines[0].strip() == "Would be made"
    assert len({len(line) for line in lines if line[0] in "┏┃┡│└"}) == 1
    checks = checks_of(landed)
    of_checks = checks["stg_campaigns"] * 10**11
    assert [line for line in lines if "stg_campaigns" in line] == [
        f"│ stg_campaigns             │    1 │ {day(1)} │ {day(1)} │ 100,000,000,000 │ {of_checks:>15,} │"
    ]
    total = (len(TABLES) + sum(checks.values())) * 10**11
    assert lines[-1] == (
        f"{total:,} bytes would be read ({total / 2**40:.1f} TiB), before BigQuery rounds up, and without reports. "
        "Nothing was made."
    )


def test_of_a_table_that_is_not_there_it_asks_for_the_rows_and_of_its_checks_nothing_is_known(
    api: BigQueryApi, dry_run: Materialize
) -> None:
    api.bytes_processed = ten_bytes_without("analytics_marts.daily_campaign_summary")
    result = dry_run("--from", str(day(1)), "--to", str(day(1)))
    assert result.exit_code == 0, result.output
    assert table_of(result)["daily_campaign_summary"][-2:] == ["10", "0"]
    rows = [sql for sql in asked(api) if "daily_cost" in sql and "daily_campaign_summary" not in sql]
    assert len(rows) == 1 and f"date >= date '{day(1)}'" in rows[0]
    assert "not known" not in result.output


def test_what_reads_a_table_that_is_not_there_is_not_known_and_it_is_said_why(
    api: BigQueryApi, dry_run: Materialize
) -> None:
    api.bytes_processed = ten_bytes_without("analytics_staging.src_campaigns")
    result = dry_run("--from", str(day(1)), "--to", str(day(1)))
    assert result.exit_code == 0, result.output
    assert table_of(result)["stg_campaigns"][-2:] == ["not known", ""]
    assert table_of(result)["core_campaign_performance"][-2] == "10"
    text = " ".join(result.output.split())
    assert "not known: stg_campaigns: Not found: Table a-project:analytics_staging.src_campaigns (notFound)" in text
    assert text.count("not known:") == 1


def test_new_is_what_is_out_of_date_and_what_hangs_on_it(
    landed: Project, api: BigQueryApi, dry_run: Materialize
) -> None:
    found = table_of(dry_run("--new"))
    assert found["src_campaigns"][:3] == ["5", str(day(0)), str(day(4))]
    assert "raw_campaigns" not in found, "these are made"
    assert set(found) == {"src_campaigns", *TABLES}

    late = landed.drop("campaigns", "campaigns-late.csv", "nothing yet")
    result = dry_run("--new")
    late.unlink()
    assert "Of the inbox, 1 file has not landed; what that changes is not known before." in " ".join(
        result.output.split()
    )


def test_select_leaves_the_others_out(api: BigQueryApi, dry_run: Materialize) -> None:
    result = dry_run("--from", str(day(1)), "--to", str(day(1)), "--select", "core_campaign_performance")
    assert list(table_of(result)) == ["core_campaign_performance"]
    assert set(of_tables(asked(api))) == {"core_campaign_performance"}
    nothing = dry_run("--new", "--select", "raw_campaigns")
    assert nothing.output == "Nothing would be made of what has landed.\n"
    assert dry_run("--new", "--select", "no_such_asset").exit_code == 1


def test_a_refusal_is_told_in_a_sentence(api: BigQueryApi, dry_run: Materialize) -> None:
    def refused(sql: str) -> int:
        raise ApiError(403, "accessDenied", "Access Denied: Project a-project: User does not have permission")

    api.bytes_processed = refused
    result = dry_run("--from", str(day(1)), "--to", str(day(1)))
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "error: Access Denied: Project a-project: User does not have permission (accessDenied)" in text
    assert "docs/bigquery.md lists those that are needed" in text
    assert "Traceback" not in text and "127.0.0.1" not in text


# ----------------------------------------------------------------------------------------------------------- DuckDB


def test_on_duckdb_it_shows_the_plan_and_says_that_reading_costs_nothing(
    tmp_path: Path, prompt: Callable[[Project], Materialize]
) -> None:
    project = Project(tmp_path / "data", CAMPAIGNS)
    project.simulate()
    project.land()
    before = files_of(project)
    result = prompt(project)("--from", str(day(1)), "--to", str(day(2)))
    assert result.exit_code == 0, result.output
    assert "bytes" not in result.output
    assert table_of(result)["daily_campaign_summary"] == ["2", str(day(1)), str(day(2))]
    assert result.output.endswith("The warehouse is DuckDB, where reading costs nothing. Nothing was made.\n")
    assert files_of(project) == before
    assert not project.settings.warehouse_file.exists()
