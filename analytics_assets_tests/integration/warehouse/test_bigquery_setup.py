"""From settings to BigQuery: what is wrong with them is said, keys stay secret, and the graph is that of DuckDB."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import google.auth
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import DefaultCredentialsError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner, Result

from analytics_assets import definitions
from analytics_assets.cli.app import app
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings, get_settings
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build, builds_of
from analytics_assets.warehouse.bigquery import table_sizes
from analytics_assets_tests.support.bigquery_api import BigQueryApi, listening, served
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.graph import graph_of
from analytics_assets_tests.support.project import DOMAINS, ONE_DOMAIN, YESTERDAY, Project, day

Prompt = Callable[..., Result]
ON_BIGQUERY = {"ANALYTICS_WAREHOUSE": "bigquery"}
A_PROJECT = {**ON_BIGQUERY, "ANALYTICS_BIGQUERY__PROJECT": "a-project"}


@pytest.fixture
def prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prompt]:
    """`analytics-assets …` with some variables."""

    def run(variables: dict[str, str], *arguments: str) -> Result:
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data" / "home"))
        monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("ANALYTICS_START_DATE", str(day(0)))
        monkeypatch.setenv("ANALYTICS_END_DATE", str(YESTERDAY))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return CliRunner().invoke(app, arguments)

    yield run
    get_settings.cache_clear()


def text(result: Result) -> str:
    return " ".join(result.output.split())


# ---------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "error: ANALYTICS_WAREHOUSE is bigquery: set ANALYTICS_BIGQUERY__PROJECT, too; see"),
        ({"ANALYTICS_WAREHOUSE": "snowflake"}, "error: ANALYTICS_WAREHOUSE='snowflake': Input should be 'duckdb' or"),
        ({"ANALYTICS_BIGQUERY__LOCATION": "US"}, "error: ANALYTICS_BIGQUERY__PROJECT: Field required"),
        (
            {"ANALYTICS_BIGQUERY__PROJECT": "My Project"},
            "error: ANALYTICS_BIGQUERY__PROJECT='My Project': String should",
        ),
        (
            {**A_PROJECT, "ANALYTICS_BIGQUERY__DATASET": "a-b"},
            "error: ANALYTICS_BIGQUERY__DATASET='a-b': String should",
        ),
        ({**A_PROJECT, "ANALYTICS_BIGQUERY__LOCATOIN": "EU"}, "error: ANALYTICS_BIGQUERY__LOCATOIN='EU': Extra inputs"),
        ({**A_PROJECT, "ANALYTICS_BIGQUERY__API_ENDPOINT": "x"}, "it should begin with https:// and name a server"),
    ],
)
def test_a_setting_of_bigquery_that_makes_no_sense_is_named(
    prompt: Prompt, variables: dict[str, str], said: str
) -> None:
    result = prompt({**ON_BIGQUERY, **variables}, "status")
    assert result.exit_code == 1
    assert said in text(result)
    assert "Traceback" not in result.output and "Value error" not in result.output


def test_a_setting_that_is_missing_shows_no_other_settings(prompt: Prompt) -> None:
    secrets = {"ANALYTICS_API__CAMPAIGNS__URL": "https://api.example.com", "ANALYTICS_API__CAMPAIGNS__KEY": "a-secret"}
    result = prompt({**ON_BIGQUERY, **secrets}, "status")
    assert "set ANALYTICS_BIGQUERY__PROJECT" in text(result)
    assert "a-secret" not in result.output and "example.com" not in result.output


# -------------------------------------------------------------------------------------------------------------- keys


def no_credentials(*_: Any, **__: Any) -> None:
    raise DefaultCredentialsError("Your default credentials were not found.")


def a_key(token_uri: str) -> dict[str, str]:
    """A key of a service account, as Google's console gives it."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "a-project",
        "private_key_id": "a-number-that-nobody-may-see-77c1",
        "private_key": pem.decode(),
        "client_email": "analytics@a-project.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }


def with_key(folder: Path, file: Path | None) -> Project:
    """A project on the real BigQuery, as far as its settings say."""
    place = {"project": "a-project"} | ({"key_file": str(file)} if file else {})
    return Project(folder, ONE_DOMAIN, {"warehouse": "bigquery", "bigquery": place})


def failure_of_raw_and_models(project: Project) -> tuple[str, str]:
    """Why no raw day can be loaded, and why no model can be made where raw days were loaded before."""
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    runner = project.runner()
    window = Window.of_days(day(1), day(1))
    assert not runner._execute(["raw_consent_events"], window)
    builds_of(project.declared.catalog["raw_consent_events"], project.settings).record(
        "raw_consent_events", {day(1): Build("1", "1")}
    )
    assert not runner._execute(["src_consent_events"], window)
    raw, model = runner.outcome.failures
    attempts = Attempts(project.settings.lake_dir)
    for asset in ("raw_consent_events", "src_consent_events"):
        assert attempts.read(asset, window)[day(1)].permanent, "it was not tried again"
    return raw, model


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no such file"),
        ("no json", "Expecting value"),
        ('{"type": "authorized_user"}', "missing fields"),
        ('{"client_email": "a@b", "token_uri": "x", "private_key": "none"}', ""),
    ],
)
def test_a_key_file_that_holds_no_key_is_named_and_what_to_do(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    for failure in failure_of_raw_and_models(with_key(tmp_path / "data", file)):
        assert f"ANALYTICS_BIGQUERY__KEY_FILE={file} holds no key of a service account: " in failure
        assert why in failure


def test_without_credentials_it_is_said_how_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompt: Prompt
) -> None:
    monkeypatch.setattr(google.auth, "default", no_credentials)
    project = with_key(tmp_path / "data", None)
    wanted = "Your default credentials were not found. Run `gcloud auth application-default login`, or name the file"
    for failure in failure_of_raw_and_models(project):
        assert wanted in failure
    monkeypatch.setattr(definitions, "defs", project.definitions)
    monkeypatch.setattr(definitions, "project", project.declared)
    for arguments in (["reconcile"], ["materialize", "--dry-run", "--from", str(day(1)), "--to", str(day(1))]):
        result = prompt(A_PROJECT, *arguments)
        assert result.exit_code == 1
        assert wanted in text(result)
        assert "Traceback" not in result.output


def test_the_key_stands_in_nothing_that_a_run_wrote(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Runs that load, that are refused a token, and whose key is cut short; then all files and output are searched."""
    answers = [{"access_token": "a-token-that-nobody-may-see-51d0", "expires_in": 3600, "token_type": "Bearer"}]
    asked = []

    async def token(request: Request) -> JSONResponse:
        asked.append(await request.body())
        refused = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        return JSONResponse(answers[0]) if answers else JSONResponse(refused, 400)

    api = BigQueryApi(project="a-project", datasets=set())
    keys = tmp_path / "keys"
    keys.mkdir()
    with ExitStack() as stack, caplog.at_level("DEBUG"):
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", stack.enter_context(served(api)))
        uri = stack.enter_context(listening(Starlette(routes=[Route("/token", token, methods=["POST"])])))
        content = a_key(f"{uri}/token")
        key = keys / "key.json"
        key.write_text(json.dumps(content))
        project = with_key(tmp_path / "data", key)
        project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
        project.land()
        runner = project.runner()
        window = Window.of_days(day(1), day(1))
        assert runner._execute(["raw_consent_events"], window), runner.outcome.failures
        assert len(api.jobs) == 1 and asked, "a token was asked for with the key"
        assert not runner._execute(["src_consent_events"], window), "the stand-in runs no statements"
        assert api.asked("POST projects/a-project/jobs"), "dbt asks with the key, too"

        answers.clear()
        for asset in ("raw_consent_events", "src_consent_events"):
            assert not runner._execute([asset], window)
        assert "Invalid JWT Signature" in runner.outcome.failures[-2]
        key.write_text(json.dumps({**content, "private_key": content["private_key"][:200]}))
        for asset in ("raw_consent_events", "src_consent_events"):
            assert not runner._execute([asset], window)
        assert "holds no key" in runner.outcome.failures[-1]
    said = capfd.readouterr()
    everything = said.out + said.err + caplog.text
    lines = [line for line in content["private_key"].splitlines() if "-----" not in line]
    secrets = [lines[0], lines[5], content["private_key_id"], "a-token-that-nobody-may-see-51d0"]
    assert "raw_consent_events" in everything
    assert [secret for secret in secrets if secret in everything] == []
    written = [Path(folder, name) for folder, _, names in os.walk(tmp_path / "data") for name in names]
    assert any("dbt_target" in str(file) for file in written)
    held = [str(file) for file in written for secret in secrets if secret.encode() in file.read_bytes()]
    assert held == []
    events = "".join(
        str(record) for run in project.instance.get_runs() for record in project.instance.all_logs(run.run_id)
    )
    assert [secret for secret in secrets if secret in events] == []


# ------------------------------------------------------------------------------------------------------- definitions


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr(google.auth, "default", no_credentials)


@pytest.mark.usefixtures("without_network")
def test_the_graph_is_that_of_duckdb_less_the_published_copy(tmp_path: Path) -> None:
    on_duckdb = graph_of(Project(tmp_path / "duckdb", DOMAINS))
    project = Project(tmp_path / "bigquery", DOMAINS, {"warehouse": "bigquery", "bigquery": {"project": "a-project"}})
    on_bigquery = graph_of(project)
    published = {name for name in on_duckdb if name.startswith("published_")}
    assert published == {f"published_{domain.name}" for domain in DOMAINS}
    assert on_bigquery.keys() == on_duckdb.keys() - published
    for name, found in on_bigquery.items():
        expected = on_duckdb[name]
        if not published.isdisjoint(expected["reads"]):  # reports read the copy there, and here what it is copied from
            assert published.isdisjoint(found["reads"])
            found, expected = ({**one, "reads": None} for one in (found, expected))
        assert {**found, "kinds": None} == {**expected, "kinds": None}, name
        assert {kind.replace("bigquery", "duckdb") for kind in found["kinds"]} == set(expected["kinds"])


@pytest.mark.usefixtures("without_network")
def test_each_domain_has_a_pool_of_its_own(tmp_path: Path) -> None:
    place = {"warehouse": "bigquery", "bigquery": {"project": "a-project"}}
    found = {kind: pools(Project(tmp_path / kind, DOMAINS, changes)) for kind, changes in (("d", {}), ("b", place))}
    domains = {domain.name for domain in DOMAINS}
    graph = Project(tmp_path / "g", DOMAINS).definitions.resolve_asset_graph()
    groups = {key.path[-1]: graph.get(key).group_name for key in graph.get_all_asset_keys()}
    together, apart = (
        {step: pool for step, pool in found[kind].items() if not step.startswith("dbt_")} for kind in "db"
    )
    assert apart.keys() == together.keys() - {"published"}
    for step, pool in apart.items():
        group = next((group for asset, group in groups.items() if step.startswith(asset)), "")
        assert pool == (f"warehouse_{group}" if together[step] == "warehouse" else together[step])
    kinds = {step.removeprefix("dbt_"): pool for step, pool in found["d"].items() if step.startswith("dbt_")}
    assert kinds == dict.fromkeys(("models", "views", "seeds"), "warehouse")
    for step, pool in found["b"].items():
        if step.startswith("dbt_"):
            kind, _, domain = step.removeprefix("dbt_").partition("_")
            assert kind in kinds and domain in domains and pool == f"warehouse_{domain}"
    assert {f"warehouse_{name}" for name in domains} <= set(found["b"].values())


def pools(project: Project) -> dict[str, str | None]:
    """The pool of each step."""
    nodes = project.definitions.resolve_implicit_global_asset_job_def().graph.iterate_op_defs()
    return {op.name: op.pool for op in nodes}


# ---------------------------------------------------------------------------------------------------------- the prompt


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sql", "select 1"], "the warehouse is BigQuery, which is asked with `bq query` or in its console"),
        (["reconcile"], "nothing has landed yet: drop files into"),
        (["cost-estimate"], "`analytics-assets materialize --new` does that, with ANALYTICS_WAREHOUSE=duckdb"),
    ],
)
def test_what_cannot_be_answered_on_bigquery_says_what_to_do(prompt: Prompt, arguments: list[str], said: str) -> None:
    result = prompt(A_PROJECT, *arguments)
    assert result.exit_code == 1
    assert said in text(result)
    assert "Traceback" not in result.output


def test_the_cost_estimate_weighs_what_is_in_duckdb_whichever_warehouse_is_in_use(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(settings: Settings, *_: object) -> None:
        raise ValueError(f"it was {settings.warehouse} that was weighed")

    monkeypatch.setattr(table_sizes, "measure", measure)
    assert "it was duckdb that was weighed" in text(prompt(A_PROJECT, "cost-estimate"))


def test_status_lists_what_is_missing_on_bigquery_without_asking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompt: Prompt
) -> None:
    monkeypatch.setattr(google.auth, "default", no_credentials)
    project = with_key(tmp_path / "data", None)
    monkeypatch.setattr(definitions, "defs", project.definitions)
    monkeypatch.setattr(definitions, "project", project.declared)
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    result = prompt(A_PROJECT, "status")
    assert result.exit_code == 0
    (missing,) = [line for line in result.output.splitlines() if line.startswith("│ raw_consent_events")]
    assert f"│ missing │ {day(0)} to {day(4)} │     5 │ it was never made" in missing
    assert "published_" not in result.output
