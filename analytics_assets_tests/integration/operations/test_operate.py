"""The project by itself: health, changed code, messages to owners, dead runs, what happens once a day."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckSeverity,
    AssetKey,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    RunsFilter,
    build_schedule_context,
)
from dagster._core.events import EngineEventData
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import filter_runs_to_should_retry

from analytics_assets.dbt import step
from analytics_assets.dbt.code_versions import code_versions
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.project import load_manifest
from analytics_assets.defs.consent.sources import COMPANIES
from analytics_assets.foundation.failures import STEP_RETRIES
from analytics_assets.operations import alerts as notify
from analytics_assets.operations import launcher
from analytics_assets.operations.alerts import Outbox, Problem, Refused, messages, post, problems_of
from analytics_assets.operations.health import Finding, State, check_health
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.operations.launcher import LocalRunLauncher, end_abandoned_runs, is_abandoned
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.spec.model_node import Manifest
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import WAITS, Attempts
from analytics_assets.state.builds import Build, builds_of_model
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.health import findings, with_changed_code
from analytics_assets_tests.support.project import ALL_OF_ONE, ONE_DOMAIN, Project, day
from analytics_assets_tests.support.webhook import Webhook, taking_messages, tick

pytestmark = pytest.mark.models_alone


def checks(project: Project) -> list[Finding]:
    graph = project.definitions.resolve_asset_graph()
    found = check_health(graph, project.declared, project.instance, datetime.now(UTC)).findings
    return [finding for finding in found if finding.state in (State.CHECK_FAILED, State.WARNING)]


def states(project: Project) -> dict[str, tuple[State, Window | None]]:
    """State and days of each asset, the days from the first to the last of all that is found of it."""
    found: dict[str, tuple[State, Window | None]] = {}
    for finding in findings(project):
        _, days = found.get(finding.asset, (finding.state, finding.days))
        if days and finding.days:
            days = Window(min(days.start, finding.days.start), max(days.end, finding.days.end))
        found[finding.asset] = (finding.state, days)
    return found


def fail_models(project: Project, monkeypatch: pytest.MonkeyPatch, message: str) -> str:
    """Lands an event of day 1 and lets the models fail; gives the id of the run."""
    project.drop("consent_events", f"events-{len(message)}.csv", HEADER + event(message, day(1)))

    def failing(*_: object, **__: object) -> None:
        raise DbtError(message)

    with monkeypatch.context() as patched:
        patched.setattr(step, "run_dbt", failing)
        runner = project.runner()
        runner.land({"landed_consent_events"})
        runner.settle(set(project.assets))
    return project.instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]), limit=1)[0].run_id


# ---------------------------------------------------------------------------------------------------- health


def test_health_lists_nothing_when_all_is_well_and_names_what_is_missing_and_what_waits_for_it(
    project: Project,
) -> None:
    all_days = project.window
    found = {finding.asset: finding for finding in findings(project)}
    assert {name: (found[name].state, found[name].days) for name in project.assets} == dict.fromkeys(
        project.assets, (State.MISSING, all_days)
    )
    assert found["raw_consent_events"].why.startswith("it was never made")
    assert found["stg_consent_events"].why == "waits for src_consent_events"
    project.settled()
    assert findings(project) == []


def test_a_landed_change_is_listed_as_stale_down_the_chain_until_it_is_made(project: Project) -> None:
    project.settled()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    assert states(project) == {"landed_consent_events": (State.MISSING, None)}
    project.land()
    tied = project.tied_to(day(1)).items()
    assert states(project) == {name: (State.STALE, Window.of_days(min(days), max(days))) for name, days in tied}
    project.settle()
    assert findings(project) == []


def test_a_failed_day_is_listed_with_its_reason_and_its_next_try(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settled()
    fail_models(project, monkeypatch, "database is locked")
    found = {finding.asset: finding for finding in findings(project)}
    assert found.keys() == project.tied_to(day(1)).keys() - {"raw_consent_events"}
    failed = found["src_consent_events"]
    assert (failed.state, failed.days, failed.owner) == (
        State.FAILED,
        Window.of_days(day(1), day(1)),
        "team:analytics",
    )
    assert "database is locked" in failed.why
    assert failed.next_try.endswith("UTC")
    later = {finding.asset: finding for finding in findings(project, later=WAITS[0])}
    assert later["src_consent_events"].next_try == "again at the next tick"

    fail_models(project, monkeypatch, "Binder Error: no such column")
    found = {finding.asset: finding for finding in findings(project)}
    assert found["src_consent_events"].next_try == "not again until its inputs or its code change"
    published = [finding.why for finding in findings(project) if finding.asset == "published_consent"]
    assert published[0] == "waits for mart_company_daily"


def test_a_file_that_cannot_be_read_is_listed_for_as_long_as_it_lies_there(project: Project) -> None:
    project.settled()
    file = project.drop("consent_events", "events-1.csv", b"\xff\xfe\x00nonsense")
    project.land()
    (finding,) = [finding for finding in findings(project) if finding.state is State.FAILED]
    assert finding.asset == "landed_consent_events"
    assert finding.why.startswith("events-1.csv: ")
    file.unlink()
    assert not [finding for finding in findings(project) if finding.state is State.FAILED]


def test_what_is_wrong_with_a_landed_file_is_told_until_it_is_corrected_or_taken_away(project: Project) -> None:
    """Also after later files without a fault have landed."""
    project.settled()
    good = HEADER + "".join(event(f"e{number}", day(1)) for number in range(400))
    lines = good.splitlines(keepends=True)
    project.drop("consent_events", "events-quote.csv", "".join([*lines[:61], '"', *lines[61:]]))
    project.drop("consent_events", "events-column.csv", HEADER.replace("\n", ",SURPRISE\n") + event("b", day(1)))
    companies = ",".join(COMPANIES.columns) + "\na,b,c,d\n"
    old = project.drop("companies", f"companies-{day(1)}.csv", companies)
    project.drop("companies", f"companies {day(1)} corrected.csv", companies.replace("d\n", "e\n"))

    def told() -> dict[str, tuple[State, str]]:
        """The findings of the checks of landed files, by check."""
        found = [finding for finding in checks(project) if finding.asset.startswith("landed_")]
        return {finding.why.partition(":")[0]: (finding.state, finding.why) for finding in found}

    project.land()
    first = told()
    assert {check: state for check, (state, _) in first.items()} == {
        "records_end_where_they_should": State.CHECK_FAILED,
        "rejects_within_limit": State.CHECK_FAILED,
        "columns_are_known": State.WARNING,
        "snapshots_have_one_name": State.WARNING,
    }
    assert first["records_end_where_they_should"][1].endswith(": file events-quote.csv, row 61, lines 340")
    assert old.name in first["snapshots_have_one_name"][1]
    project.drop("consent_events", "events-later.csv", HEADER + event("c", day(2)))
    project.land()
    assert told() == first

    old.unlink()
    project.drop("consent_events", "events-quote.csv", good)
    (project.settings.inbox_dir / "consent_events" / "events-column.csv").unlink()
    project.land()
    assert told() == {}


def test_the_health_asset_keeps_the_list_and_warns(project: Project) -> None:
    project.settled()
    job = project.definitions.resolve_job_def("check_health")
    good = job.execute_in_process(instance=project.instance)
    assert [check.passed for check in good.get_asset_check_evaluations()] == [True]
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    bad = job.execute_in_process(instance=project.instance)
    assert bad.success
    (check,) = bad.get_asset_check_evaluations()
    assert not check.passed
    rows = [record.data for record in check.metadata["first"].records]
    assert {row["asset"] for row in rows} == project.tied_to(day(1)).keys()
    (materialization,) = bad.asset_materializations_for_node("health")
    assert materialization.metadata["stale"].value == sum(map(len, project.tied_to(day(1)).values()))


# ------------------------------------------------------------------------------------------------- changed code


def test_the_code_of_a_model_is_all_that_its_rows_depend_on(project: Project) -> None:
    manifest = load_manifest(project.settings)
    before = code_versions(manifest, project.sources)

    def changed_by(change: Callable[[dict], None], sources: Sequence[Source] = ()) -> set[str]:
        other = deepcopy(dict(manifest.raw))
        change(other)
        after = code_versions(Manifest(other), sources or project.sources)
        return {name.rpartition(".")[2] for name in after if after[name] != before[name]}

    def sql(manifest: dict) -> None:
        manifest["nodes"]["model.analytics.stg_companies"]["raw_code"] += " -- and more"

    def macro(manifest: dict) -> None:
        manifest["macros"]["macro.analytics.in_window"]["macro_sql"] += " "

    def variant_for_another_warehouse(manifest: dict) -> None:
        manifest["macros"]["macro.analytics.default__raw"]["macro_sql"] += " "

    def seed(manifest: dict) -> None:
        manifest["nodes"]["seed.analytics.lookup_regions"]["checksum"]["checksum"] = "of another file"

    assert changed_by(lambda manifest: None) == set()
    assert changed_by(sql) == {"stg_companies"}
    assert {"stg_companies", "stg_consent_events", "mart_company_daily"} <= changed_by(macro)
    sources = {name.rpartition(".")[2] for name in manifest.nodes if ".src_" in name}
    assert {"src_companies", "src_consent_events"} < sources
    assert changed_by(variant_for_another_warehouse) == sources
    assert changed_by(seed) == {"lookup_regions", "core_campaign_performance"}, "and no model behind that"
    another_order = [
        replace(source, dedup_order=("COUNT desc",)) if source.name == "consent_events" else source
        for source in project.sources
    ]
    assert changed_by(lambda manifest: None, another_order) == {"src_consent_events"}


def test_changed_code_is_marked_asks_for_nothing_and_is_rolled_out_newest_first_and_resumed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.simulate()
    project.settled()
    project.land()  # the files of a template are copies, which are looked at once more
    before = project.tables()
    project = with_changed_code(project, project.folder, monkeypatch, "stg_consent_events")
    assert states(project) == {"stg_consent_events": (State.OLD_CODE, project.window)}
    assert project.requested() == {}, "the daily run is not held up by history"

    runner = project.runner()
    windows = []
    make = runner._execute

    def stopped_after_the_first(assets: list[str], window: Window | None, tags: object = None) -> bool:
        if windows:
            raise KeyboardInterrupt
        windows.append(window)
        return make(assets, window, tags)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "_execute", stopped_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        runner.roll_out(set(project.assets), days_per_run=2)
    # What reads the day before, too, takes that along.
    assert windows == [Window.of_days(day(2), day(4))], "the newest first"
    assert states(project)["stg_consent_events"] == (State.OLD_CODE, Window.of_days(day(0), day(1)))

    # Killed while it was making a day: what that holds is unknown, and it goes on there, too.
    killed = Build("inputs", "code")
    Attempts(project.settings.lake_dir).begin("stg_consent_events", {day(1): killed}, "killed run")
    builds_of_model("stg_consent_events", project.settings).forget("stg_consent_events", [day(1)])

    runner = project.runner()
    runner.roll_out(set(project.assets), days_per_run=2)
    made = {name: set(days) for name, days in runner.outcome.made.items()}
    assert made["stg_consent_events"] == {day(0), day(1)}
    assert "raw_consent_events" not in made
    project.settle()
    assert findings(project) == []
    assert project.requested() == {}
    assert project.tables() == before


def test_a_rollout_gives_way_to_other_runs_and_stops_at_the_first_range_that_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settled()
    project = with_changed_code(project, project.folder, monkeypatch, "mart_company_daily")

    def failing(*_: object, **__: object) -> None:
        raise DbtError("Binder Error: no such column")

    monkeypatch.setattr(step, "run_dbt", failing)
    runner = project.runner()
    runner.roll_out(set(project.assets), days_per_run=2)
    assert len(runner.outcome.failures) == 1
    (run,) = project.instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]))
    assert int(run.tags["dagster/priority"]) < 0
    assert run.tags["dagster/asset_partition_range_start"] == str(day(3))


# ----------------------------------------------------------------------------------------------------- messages


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with taking_messages() as hook:
        yield hook


def test_the_owner_is_told_of_a_failure_once_with_asset_day_reason_and_link(
    tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = Project(
        tmp_path / "data", ONE_DOMAIN, changes={"webhook_url": webhook.url, "ui_url": "https://ui.example/"}
    )
    project.settled()
    cursors: dict[str, str | None] = {}
    tick(project, cursors)
    assert webhook.bodies == []
    run_id = fail_models(project, monkeypatch, "Binder Error: no such column <!channel>")
    tick(project, cursors)
    (body,) = webhook.bodies
    assert body["owner"] == "team:analytics"
    assert body["link"] == f"https://ui.example/runs/{run_id}"
    assert {(problem["asset"], problem["days"]) for problem in body["problems"]} == {
        (asset, str(day(1))) for asset in project.first_layer() - {"raw_consent_events", "published_consent"}
    }
    assert "no such column" in body["text"]
    assert body["link"] in body["text"]
    assert "<!channel>" not in body["text"], "what a file says must not become a mention"

    tick(project, cursors)
    assert len(webhook.bodies) == 1
    # The second attempt, with the same inputs and code, is not told.
    second = fail_models_again(project, monkeypatch, "Binder Error: no such column <!channel>")
    assert second != run_id
    tick(project, cursors)
    assert len(webhook.bodies) == 1
    assert "secret-token" not in "".join(capfd.readouterr())


def fail_models_again(project: Project, monkeypatch: pytest.MonkeyPatch, message: str) -> str:
    """A person materializes the failed day from the UI, and it fails again."""

    def failing(*_: object, **__: object) -> None:
        raise DbtError(message)

    with monkeypatch.context() as patched:
        patched.setattr(step, "run_dbt", failing)
        runner = project.runner()
        runner._execute(
            sorted(project.first_layer() - {"raw_consent_events", "published_consent"}), Window.of_days(day(1), day(1))
        )
    return project.instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]), limit=1)[0].run_id


@pytest.mark.with_checks
def test_a_check_that_fails_in_a_run_that_does_not_is_told_as_a_warning(tmp_path: Path, webhook: Webhook) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, changes={"webhook_url": webhook.url})
    project.settled()
    cursors: dict[str, str | None] = {}
    tick(project, cursors)
    lines = HEADER.replace("\n", ",SURPRISE\n") + event("a", day(1)).replace("\n", ",x\n")
    project.drop("consent_events", "events-1.csv", lines)
    project.settle()
    tick(project, cursors)
    told = {problem["asset"]: problem for body in webhook.bodies for problem in body["problems"]}
    assert told.keys() == {"landed_consent_events", "stg_consent_events"}  # the event is of no company, too
    assert {problem["severity"] for problem in told.values()} == {"warning"}
    assert "columns_are_known" in told["landed_consent_events"]["reason"]
    assert "SURPRISE" in told["landed_consent_events"]["reason"]
    assert told["stg_consent_events"]["days"] == str(day(1))
    (stale,) = [f for f in checks(project) if f.asset == "stg_consent_events"]
    assert "not_null" in stale.why, "and it stands in the health"


def test_a_landing_run_that_fails_is_told_though_no_day_is_known(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("analytics_assets.ingest.landing.Landing.run", full)
    runner = project.runner()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    runner.land({"landed_consent_events"})
    (run,) = project.instance.get_runs()
    (problem,) = problems_of(project.instance, run, project.settings)
    assert problem.asset == "landed_consent_events"
    assert "free some space" in problem.reason


def test_each_owner_gets_one_message_however_much_failed(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    problems = [Problem("mart_company_daily", "", f"reason {number}") for number in range(30)]
    mine, nobodys = messages([*problems, Problem("no_such_asset", "", "why")], graph, "link")
    assert mine["owner"] == "team:analytics"
    assert "and 10 more" in str(mine["text"])
    assert (len(mine["problems"]), mine["more"]) == (20, 10)  # type: ignore[arg-type]
    assert nobodys["owner"] == "nobody"


FORGERIES = (
    "a\nfailed: everything", "a\r\n\r\nb\x1b[2J", "@channel @all user@here", "<!channel>", "<@U012|x> & co",
    "[x](http://evil.example)", "<http://evil.example|click>", "https://evil.example www.evil.example", "` @all `",
    "```\n@all", "\\` @here", "*b* _i_ ~s~ > q", "\u2028\u202ehttp://x", "| a | b |",
)  # fmt: skip


@pytest.mark.parametrize("cell", FORGERIES)
def test_a_cell_forges_no_line_no_mention_and_no_link_in_a_message(project: Project, cell: str) -> None:
    graph = project.definitions.resolve_asset_graph()
    (message,) = messages([Problem("mart_company_daily", "2026-01-05", f"of {cell}")], graph, "https://ui.example/1")
    owner, line, link = str(message["text"]).split("\n")
    assert (owner, link) == ("For team:analytics", "https://ui.example/1")
    said = re.fullmatch(r"failed: `(mart_company_daily 2026-01-05: of [^`]*)`", line)
    assert said, line
    assert said[1].replace("\u2060", "").isprintable()
    assert not re.search(r"@\w|://|www\.|[<>]|&(?!amp;|lt;|gt;)", said[1]), "outside of code, too"


@pytest.mark.parametrize("letter", ["x", "&", "@a", "\n"])
def test_no_message_is_as_long_as_the_cell_that_it_names(project: Project, letter: str) -> None:
    graph, length = project.definitions.resolve_asset_graph(), 10_000_000 // len(letter)
    problems = [Problem("mart_company_daily", "2026-01-05, " * 400, f"{n}: {letter * length}") for n in range(30)]
    (message,) = messages(problems, graph, "https://ui.example/1")
    assert len(str(message["text"])) < notify.LONGEST_TEXT + 500
    assert len(json.dumps(message)) < 60_000
    told = len(message["problems"])  # type: ignore[arg-type]
    assert told + int(str(message["more"])) == 30
    assert f"and {30 - told} more" in str(message["text"])


def test_a_webhook_that_falters_is_tried_again_and_one_that_refuses_is_not_and_its_address_stays_secret(
    webhook: Webhook,
) -> None:
    webhook.statuses = [503, 429]
    post(webhook.url, {"text": "a"}, wait_seconds=0)
    assert len(webhook.bodies) == 3
    webhook.statuses = [403]
    with pytest.raises(RuntimeError, match="status 403") as refused:
        post(webhook.url, {"text": "a"}, wait_seconds=0)
    assert len(webhook.bodies) == 4
    with pytest.raises(RuntimeError, match="ConnectError") as unreachable:
        post("http://127.0.0.1:9/secret-token", {"text": "a"}, wait_seconds=0)
    for error in (refused.value, unreachable.value):
        assert "secret-token" not in str(error)
        assert error.__context__ is None


def test_the_webhooks_address_is_shown_by_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analytics_assets.cli", "status"],
        env={**os.environ, "ANALYTICS_WEBHOOK_URL": "htps://secret-token"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "ANALYTICS_WEBHOOK_URL" in done.stdout
    assert "secret-token" not in done.stdout + done.stderr


def test_sensors_and_schedules_are_on_from_the_start_and_those_that_tell_when_there_is_a_webhook(
    tmp_path: Path,
) -> None:
    def running(project: Project) -> set[str]:
        definitions = project.definitions
        everything = [*(definitions.sensors or []), *(definitions.schedules or [])]
        return {one.name for one in everything if one.default_status.value == "RUNNING"}

    always = {"new_files", "out_of_date_days", "daily_catch_up", "health"}
    assert running(Project(tmp_path / "a", ONE_DOMAIN)) == always
    telling = {"tell_failed_runs", "tell_failed_checks"}
    assert (
        running(Project(tmp_path / "b", ONE_DOMAIN, changes={"webhook_url": "https://x.example"})) == always | telling
    )


# ---------------------------------------------------------------------------------------------------- once a day


def test_the_reconciliation_asks_for_what_was_missed_and_then_for_nothing(project: Project) -> None:
    """While the sensors were off: a file of an old day, and quiet days that nobody asked for."""
    project.settings.dagster_home.mkdir(parents=True)
    project.instance = DagsterInstance.local_temp(str(project.settings.dagster_home))
    repository = project.definitions.get_repository_def()
    schedule = project.definitions.resolve_schedule_def("daily_catch_up")

    def tick() -> list[tuple[set[str], str]]:
        context = build_schedule_context(
            instance=project.instance, repository_def=repository, scheduled_execution_time=datetime.now(UTC)
        )
        with context:
            requests = schedule.evaluate_tick(context).run_requests or []
        job = project.definitions.resolve_implicit_global_asset_job_def()
        asked = []
        for request in requests:
            job.execute_in_process(
                instance=project.instance, asset_selection=list(request.asset_selection or ()), tags=request.tags
            )
            asked.append(
                (
                    {key.path[-1] for key in request.asset_selection or ()},
                    request.tags.get("dagster/asset_partition_range_start", ""),
                )
            )
        return asked

    quiet = [tick(), tick()]
    assert {name for asked in quiet for names, _ in asked for name in names} == set(project.assets)
    assert {first for asked in quiet for _, first in asked} == {str(day(0))}
    assert tick() == [(set(project.views), "")]
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    assert tick() == [({"landed_consent_events"}, "")]
    assert tick() == [(project.first_layer(), str(day(1)))]
    assert {name for names, _ in tick() for name in names} == set(project.tied_to(day(1))) - project.first_layer()
    assert tick() == []


# ----------------------------------------------------------------------------------------------------- dead runs


@contextmanager
def real_instance(folder: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(folder)) as instance:
        yield instance


def started_run(instance: DagsterInstance, project: Project, pid: int) -> str:
    job = project.definitions.resolve_implicit_global_asset_job_def()
    run = instance.create_run_for_job(job, asset_selection=frozenset({AssetKey("raw_consent_events")}))
    instance.report_dagster_event(
        DagsterEvent(event_type_value=DagsterEventType.PIPELINE_START.value, job_name=run.job_name),
        run_id=run.run_id,
    )
    instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
    return run.run_id


def test_a_run_counts_as_dead_when_its_process_is_gone_or_its_number_belongs_to_another(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with real_instance(tmp_path) as instance:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        run = instance.get_run_by_id(started_run(instance, project, child.pid))
        assert run is not None
        runs = LocalRunLauncher()
        runs.register_instance(instance)
        assert runs.supports_check_run_worker_health
        assert not is_abandoned(instance, run)
        assert runs.check_run_worker_health(run).status.value == "RUNNING"
        assert end_abandoned_runs(instance) == []
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # until it is a zombie, which is then left as it is
        assert is_abandoned(instance, run), "a zombie works no more"
        child.wait()
        assert runs.check_run_worker_health(run).status.value == "NOT_FOUND"
        assert end_abandoned_runs(instance) == [run.run_id]
        assert instance.get_run_by_id(run.run_id).status is DagsterRunStatus.FAILURE  # type: ignore[union-attr]

        another = instance.get_run_by_id(started_run(instance, project, os.getpid()))
        assert another is not None
        assert not is_abandoned(instance, another)
        monkeypatch.setattr(launcher.psutil.Process, "create_time", lambda self: datetime.now().timestamp() + 3600)
        assert is_abandoned(instance, another), "this process is younger than the run"


def test_a_run_is_started_again_when_it_was_killed_and_not_when_a_step_of_it_failed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `dagster.yaml` has it: a step that failed has tried again by itself, where that could help."""
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(project.settings)))
    with DagsterInstance.get() as instance:
        project.instance = instance
        killed = instance.get_run_by_id(started_run(instance, project, os.getpid()))
        assert killed is not None
        instance.report_run_failed(killed)
        assert [run.run_id for run in filter_runs_to_should_retry(instance.get_runs(), instance)] == [killed.run_id]

        monkeypatch.setattr(
            step, "run_dbt", lambda *_, **__: (_ for _ in ()).throw(DbtError("No space left on device"))
        )
        job = project.definitions.resolve_implicit_global_asset_job_def()
        failed = job.execute_in_process(
            instance=instance,
            asset_selection=[AssetKey("src_consent_events")],
            partition_key=str(day(1)),
            raise_on_error=False,
        )
        assert not failed.success
        assert len([event for event in failed.all_events if event.is_step_up_for_retry]) == STEP_RETRIES
        assert [run.run_id for run in filter_runs_to_should_retry(instance.get_runs(), instance)] == [killed.run_id]


def test_the_same_is_told_once_a_day_and_what_could_not_be_sent_goes_out_before_the_next(
    webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify.time, "sleep", lambda seconds: None)
    outbox, now = Outbox(tmp_path), datetime.now(UTC)
    problem = Problem("landed_consent_events", "", "check files_are_readable failed: file a.csv: it is empty")
    told: list[list[Problem]] = []
    for hours in (0, 23, 25):
        outbox.put([problem], now + timedelta(hours=hours), lambda untold: told.append(untold) or [])
    assert told == [[problem], [], [problem]]

    put(outbox, "first")
    webhook.statuses = [503] * notify.POSTS
    with pytest.raises(RuntimeError, match="status 503"):
        outbox.send(webhook.url)
    webhook.bodies.clear()
    put(outbox, "second")
    outbox.send(webhook.url)
    outbox.send(webhook.url)
    assert [body["text"] for body in webhook.bodies] == ["first", "second"]


def put(outbox: Outbox, *texts: str) -> None:
    outbox.put([], datetime.now(UTC), lambda untold: [{"text": text} for text in texts])


def test_problems_whose_message_could_not_be_written_do_not_count_as_told(tmp_path: Path) -> None:
    outbox, now, told = Outbox(tmp_path), datetime.now(UTC), list[list[Problem]]()
    problem = Problem("raw_events", "", "a reason")

    def killed(untold: list[Problem]) -> list[dict[str, object]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox.put([problem], now, killed)
    outbox.put([problem], now, lambda untold: told.append(untold) or [])
    assert told == [[problem]]


@pytest.mark.parametrize("status", [413, 400])
def test_a_message_that_is_refused_for_good_holds_up_none_behind_it(
    webhook: Webhook, tmp_path: Path, status: int
) -> None:
    outbox = Outbox(tmp_path)
    put(outbox, "too long", "second")
    webhook.statuses = [status]
    with pytest.raises(Refused, match=f"status {status}"):  # so that it is seen in the UI
        outbox.send(webhook.url)
    put(outbox, "third")
    outbox.send(webhook.url)
    assert [body["text"] for body in webhook.bodies] == ["too long", "second", "third"]

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
        outbox.send(webhook.url)
        outbox.send(webhook.url)
    assert [body["text"] for body in webhook.bodies[3:]] == ["too long"], "once a day, until it is taken"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_messages_wait_while_it_is_the_webhook_that_is_wrong(webhook: Webhook, tmp_path: Path, status: int) -> None:
    outbox = Outbox(tmp_path)
    put(outbox, "first", "second")
    webhook.statuses = [status]
    with pytest.raises(RuntimeError, match=f"status {status}"):
        outbox.send(webhook.url)
    webhook.bodies.clear()
    outbox.send(webhook.url)
    assert [body["text"] for body in webhook.bodies] == ["first", "second"]


def test_a_redirect_is_not_taken_for_a_message_that_arrived(webhook: Webhook) -> None:
    webhook.statuses = [302]
    with pytest.raises(RuntimeError, match="status 302"):
        post(webhook.url, {"text": "a"}, wait_seconds=0)


def test_what_is_no_file_of_a_source_is_named_by_status_and_by_the_command(project: Project) -> None:
    project.settled()
    project.drop("consent_events", "late.csv", HEADER)
    project.drop("consent_event", "events-1.csv", HEADER)
    ignored = {(finding.asset, finding.why) for finding in findings(project) if finding.state is State.IGNORED}
    assert any(asset == "landed_consent_events" and why.startswith("late.csv: its name") for asset, why in ignored)
    assert any(asset == "inbox" and why.startswith("consent_event ") for asset, why in ignored)
    warnings = project.settle().outcome.warnings
    assert any("late.csv" in warning for warning in warnings)
    assert any(warning.startswith("consent_event ") for warning in warnings)


def test_a_file_that_still_cannot_be_read_is_named_again_and_one_that_is_never_finished_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN)
    project.settled()
    project.drop("consent_events", "events-1.csv", b"")
    assert any("events-1.csv" in failure for failure in project.settle().outcome.failures)
    assert any("still cannot be read" in warning for warning in project.settle().outcome.warnings)

    monkeypatch.setattr("analytics_assets.operations.runner.UNSETTLED_SECONDS", 0)
    endless = Project(tmp_path / "data", ONE_DOMAIN, changes={"inbox_settle_seconds": 0.05})
    monkeypatch.setattr("analytics_assets.ingest.inbox.time.time_ns", lambda: file.stat().st_mtime_ns + 1)
    file = endless.drop("consent_events", "events-2.csv", HEADER)
    assert any("still being written" in warning for warning in endless.settle().outcome.warnings)


def test_post_is_tried_a_bounded_number_of_times(webhook: Webhook) -> None:
    webhook.statuses = [500] * 10
    with pytest.raises(RuntimeError, match="status 500"):
        post(webhook.url, {"text": "a"}, wait_seconds=0)
    assert len(webhook.bodies) == notify.POSTS


# ------------------------------------------------------------------------------------------- what may be deleted


@pytest.mark.parametrize(("command", "how"), [
    (["-m", "analytics_assets.operations.web", "dev"], "by its home"),
    (["-m", "analytics_assets.cli", "materialize", "--new"], "by where it was started"),
])  # fmt: skip
def test_make_clean_refuses_while_something_works_in_the_folder(tmp_path: Path, command: list[str], how: str) -> None:
    folder, elsewhere = tmp_path / "it's a project", tmp_path / "elsewhere"
    (folder / "data").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "Makefile").write_bytes((PROJECT_DIR / "Makefile").read_bytes())
    (folder / ".venv").symlink_to(Path(sys.prefix))
    kept = folder / "data" / "lake" / "ledger.sqlite"
    kept.parent.mkdir()
    kept.touch()
    is_home = how == "by its home"
    env = os.environ | {"ANALYTICS_DATA_DIR": str(elsewhere), "DAGSTER_HOME": str(folder if is_home else elsewhere)}
    # It waits for nothing: the process stands as it was begun, before it reads anything.
    process = subprocess.Popen([sys.executable, *command], cwd=elsewhere if is_home else folder, env=env)
    process.send_signal(signal.SIGSTOP)
    try:
        refused = subprocess.run(["make", "clean"], cwd=folder, capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        name = " ".join(command[1:3])
        assert f"error: `{name}` works in this folder: end it first" in refused.stderr
        assert f"`kill {process.pid}`" in refused.stderr
        assert kept.exists()
    finally:
        process.kill()
        process.wait()
    assert subprocess.run(["make", "clean"], cwd=folder, capture_output=True, check=False).returncode == 0
    assert not kept.exists()


def test_what_the_page_on_operating_calls_deletable_can_be_deleted(project: Project) -> None:
    project.settings.dagster_home.mkdir(parents=True)
    project.instance = DagsterInstance.local_temp(str(project.settings.dagster_home))
    project.simulate()
    project.settle()
    before = project.tables()

    old_runs = list((project.settings.dagster_home / "history" / "runs").glob("????????-*.db"))
    assert old_runs
    for place in (*old_runs, project.settings.lake_dir / "attempts.sqlite"):
        place.unlink()
    shutil.rmtree(project.settings.inbox_dir)
    assert findings(project) == []
    assert project.requested() == {}

    project.forget_builds()
    project.settle()
    assert project.tables() == before


@pytest.mark.with_checks
def test_a_check_blames_just_the_days_of_its_rows(project: Project) -> None:
    without = event("nameless", day(1))  # its company is not said
    project.drop("consent_events", "events-1.csv", HEADER + without + event("also", day(3)))
    project.settle()
    found = [finding for finding in checks(project) if "not_null_stg_consent_events_company_id" in finding.why]
    assert [(finding.days, finding.count) for finding in found] == [(Window.of_days(day(1), day(3)), 2)], "one row"
    assert found[0].why.endswith(": rows_without_it 1")


@pytest.mark.with_checks
def test_a_check_that_failed_for_a_day_stays_listed_when_another_day_passes(project: Project) -> None:
    odd = event("odd", day(1)).replace(",0.5,", ",1.5,")
    project.drop("consent_events", "events-1.csv", HEADER + odd + event("good", day(3)))
    project.settle()
    project.drop("consent_events", "events-2.csv", HEADER + event("better", day(3)))
    outcome = project.settle().outcome  # of day 3, which passes
    (failed,) = (finding for finding in checks(project) if "sampling_rates" in finding.why)
    assert (failed.asset, failed.days) == ("stg_consent_events", Window.of_days(day(1), day(1)))
    assert failed.state is State.WARNING, "as severe as the test is"
    newest = newest_evaluation(project, "stg_consent_events", "sampling_rates_are_valid")
    assert (newest.passed, newest.severity) == (False, AssetCheckSeverity.WARN), "the UI, too, says that a day fails"
    assert newest.description == f"days of other runs that still fail: 1, the newest {day(1)}"
    assert newest.metadata["days_that_fail"].records[0].data == {"day": str(day(1)), "why": "rows_that_differ 1"}
    assert not any("sampling_rates" in warning for warning in outcome.warnings), "that was another run"
    assert failed.why == "sampling_rates_are_valid: rows_that_differ 1"

    project.drop("consent_events", "events-1.csv", HEADER + event("odd", day(1)) + event("good", day(3)))
    project.settle()
    assert not any("sampling_rates" in finding.why for finding in checks(project))
    assert newest_evaluation(project, "stg_consent_events", "sampling_rates_are_valid").passed


def newest_evaluation(project: Project, asset: str, name: str) -> AssetCheckEvaluation:
    key = AssetCheckKey(AssetKey(asset), name)
    record = project.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.evaluation is not None
    return record.evaluation


def test_a_day_that_has_too_many_rejects_stays_an_error_and_fails_no_other_run(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("bad", day(1)).replace(",0.5,", ",x,"))
    assert any("rejects_within_limit of raw_" in failure for failure in project.settle().outcome.failures)
    project.drop("consent_events", "events-2.csv", HEADER + event("good", day(3)))
    outcome = project.settle().outcome
    assert outcome.failures == []
    newest = newest_evaluation(project, "raw_consent_events", "rejects_within_limit")
    assert (newest.passed, newest.severity) == (False, AssetCheckSeverity.ERROR)
    (failed,) = (finding for finding in checks(project) if finding.asset == "raw_consent_events")
    assert (failed.state, failed.days, failed.count) == (State.CHECK_FAILED, Window.of_days(day(1), day(1)), 1)


def test_once_everything_is_made_no_asset_looks_as_if_it_never_was(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ALL_OF_ONE)
    project.simulate(0.02)
    project.settled()
    (runner := project.runner()).record_health()
    assert runner.outcome.failures == []
    keys = project.definitions.resolve_asset_graph().materializable_asset_keys
    assert [key for key in keys if project.instance.get_latest_materialization_event(key) is None] == []
