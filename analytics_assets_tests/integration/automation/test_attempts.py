"""What failed is tried again, but not for ever: the waits, what wakes a day, and which errors may pass."""

import errno
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterRun, DagsterRunStatus, Failure, RunRequest, build_sensor_context
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import SENSOR_NAME_TAG

from analytics_assets.automation.out_of_date_sensor import OutOfDateDaysSensor
from analytics_assets.automation.run_grouping import one_run_per_span, span_tags, unless_just_died
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtError, DbtRun
from analytics_assets.foundation.failures import for_dagster, is_transient, sentence
from analytics_assets.operations.runner import Runner
from analytics_assets.partitions import Window
from analytics_assets.state.attempts import KILLED, WAITS, Attempts
from analytics_assets.state.builds import Build
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import Project, day

pytestmark = pytest.mark.models_alone

DAY = date(2025, 1, 2)
WINDOW = Window.of_days(DAY, DAY)


def test_an_attempt_counts_from_its_beginning_and_a_new_input_counts_anew(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.begin("a", {DAY: Build("one", "code")}, "run 1")
    attempts.begin("a", {DAY: Build("one", "code")}, "run 1")  # the step's own retry
    assert attempts.read("a", WINDOW)[DAY].number == 1
    assert attempts.read("a", WINDOW)[DAY].reason == KILLED
    attempts.begin("a", {DAY: Build("one", "code")}, "run 2")
    attempts.fail("a", [DAY], "run 2", "why", permanent=False)
    assert (attempts.read("a", WINDOW)[DAY].number, attempts.read("a", WINDOW)[DAY].reason) == (2, "why")
    attempts.begin("a", {DAY: Build("two", "code")}, "run 3")
    assert attempts.read("a", WINDOW)[DAY].number == 1
    attempts.end("a", [DAY])
    assert attempts.read("a", WINDOW) == {}


def test_the_first_reason_of_a_run_is_kept_and_that_of_an_earlier_run_is_not(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.begin("a", {DAY: Build("one", "code")}, "run 1")
    attempts.fail("a", [DAY], "run 1", "its own", permanent=False)
    attempts.fail("a", [DAY], "run 1", "of all days", permanent=True)
    assert attempts.read("a", WINDOW)[DAY].reason == "its own"
    attempts.fail("a", [DAY], "run 2", "it did not get as far as to begin", permanent=True)
    found = attempts.read("a", WINDOW)[DAY]
    assert (found.reason, found.permanent) == ("it did not get as far as to begin", True)


def test_a_long_reason_is_kept_in_brief_and_in_full_in_a_file_that_it_names(tmp_path: Path) -> None:
    attempts, whole = Attempts(tmp_path), "Conversion Error: " + "x" * 400_000 + ". Mend the row"
    for run in ("run 1", "run 2"):
        attempts.begin("a", {DAY: Build("one", "code")}, run)
        attempts.fail("a", [DAY], run, whole, permanent=True)
    reason = attempts.read("a", WINDOW)[DAY].reason
    (file,) = (tmp_path / "reasons").iterdir()
    assert reason.startswith("Conversion Error: xxx")
    assert reason.endswith(f". Mend the row (in full: {file})")
    assert len(reason) < 500 + len(str(file)) + 20
    assert file.read_text() == whole + "\n"
    failure = for_dagster(whole, transient=False)
    assert isinstance(failure, Failure)
    assert len(failure.description or "") <= 500


def test_the_waits_grow_and_come_to_an_end(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    waits = []
    for number in range(len(WAITS) + 1):
        attempts.begin("a", {DAY: Build("one", "code")}, f"run {number}")
        attempt = attempts.read("a", WINDOW)[DAY]
        next_at = attempt.next_at()
        waits.append(next_at and next_at - attempt.tried_at)
    assert waits == [*WAITS, None]
    attempts.fail("a", [DAY], "run 7", "why", permanent=True)
    assert attempts.read("a", WINDOW)[DAY].next_at() is None


def settle_while_dbt_fails(project: Project, monkeypatch: pytest.MonkeyPatch, message: str) -> tuple[Runner, int]:
    """Lands and makes what there is; gives the runner and how often dbt was tried."""
    tries = []

    def failing(*_: object, **__: object) -> None:
        tries.append(message)
        raise DbtError(message)

    with monkeypatch.context() as patched:
        patched.setattr(step, "run_dbt", failing)
        runner = project.runner()
        runner.land({"landed_consent_events"})
        runner.settle(set(project.assets))
    return runner, len(tries)


def test_a_day_that_fails_for_a_passing_reason_is_asked_for_again_once_its_wait_is_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settled()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    runner, tries = settle_while_dbt_fails(project, monkeypatch, "IO Error: Could not set lock on file")
    assert tries == 3, "the step itself tries twice more"
    assert "close it there" in runner.outcome.failures[0]
    assert project.requested() == {}, "it rests"

    file = project.settings.lake_dir / "attempts.sqlite"
    with sqlite3.connect(file) as connection:
        past = (datetime.now(UTC) - WAITS[0] - timedelta(seconds=1)).isoformat()
        connection.execute("update attempts set tried_at = ?", [past])
    assert project.requested() == {asset: {str(day(1))} for asset in project.first_layer() - {"raw_consent_events"}}


def test_a_day_that_fails_for_good_is_tried_once_and_rests_until_its_input_changes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settled()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    _, tries = settle_while_dbt_fails(project, monkeypatch, "Binder Error: there is no such column")
    assert tries == 1
    assert project.requested() == {}
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(1)))
    project.land()
    assert project.requested() == {asset: {str(day(1))} for asset in project.first_layer()}


@pytest.mark.with_checks
def test_a_day_that_does_not_add_up_holds_back_what_reads_it_and_the_other_days_go_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing check blocks: at the next tick, too, when the model it checks is there."""
    rows = "".join(event(f"e{number}", day(number)) for number in (1, 2))
    project.drop("consent_events", "events-1.csv", HEADER + rows)
    run_dbt = step.run_dbt

    def losing_a_row(arguments: list[str], *rest: object, **named: object) -> object:
        """stg is made, loses the row of one day, and is tested then; the next runs are as they should be."""
        monkeypatch.undo()
        chosen = [name for name in arguments if name.startswith(("src_", "stg_"))]
        made = run_dbt(["run", "--select", *chosen], *rest, **named)  # type: ignore[arg-type]
        with duckdb.connect(str(project.settings.warehouse_file)) as connection:
            connection.execute("delete from staging.stg_consent_events where event_date = ?", [day(1)])
        tested = run_dbt(["test", "--select", "adds_up_stg_consent_events_"], *rest, **named)  # type: ignore[arg-type]
        return DbtRun([*made.events, *tested.events], [*made.results, *tested.results])

    monkeypatch.setattr(step, "run_dbt", losing_a_row)
    runner = project.runner()
    runner.land({"landed_consent_events"})
    runner.settle({*project.assets, *project.views})
    assert any("adds_up_stg_consent_events_" in failure for failure in runner.outcome.failures), runner.outcome
    rest = {day(number) for number in range(5)} - {day(1)}
    made = {name: set(days) for name, days in runner.outcome.made.items()}
    assert made["mart_company_daily"] == rest, "one look makes all that it may"
    assert made["published_consent"] == rest, "of days that others wait for, the tables that are there"
    assert project.requested() == {}, "it rests"
    project.settle()
    assert set(project.frame("published_consent")["the_day"]) == {day(1), day(2)}


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (DbtError('IO Error: Could not set lock on file "x": Conflicting lock is held'), True),
        (sqlite3.OperationalError("database is locked"), True),
        (TimeoutError(), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (DbtError("Conversion Error: Could not convert string"), False),
        (KeyError("a bug"), False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_which_errors_may_pass(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient
    try:
        raise RuntimeError("while working") from error
    except RuntimeError as wrapped:
        assert is_transient(wrapped) is transient


def test_a_full_disk_and_a_lock_are_said_with_what_to_do() -> None:
    assert "free some space" in sentence(OSError(errno.ENOSPC, "No space left on device"))
    assert "close it there" in sentence("IO Error: Could not set lock on file")
    assert sentence("Binder Error:\n  no such column") == "Binder Error: no such column"


def test_consecutive_days_of_the_same_assets_are_one_run() -> None:
    def request(number: int, *names: str) -> RunRequest:
        return RunRequest(
            partition_key=f"2025-01-0{number}",
            asset_selection=[AssetKey(name) for name in names],
            asset_check_keys=[AssetCheckKey(AssetKey(names[0]), "check")],
            tags={"dagster/partition": f"2025-01-0{number}", "kept": "yes"},
        )

    requests = [request(n, "a", "b") for n in (1, 2, 4)] + [request(3, "a")]
    spans = [
        (
            {key.path[-1] for key in one.asset_selection or ()},
            one.tags["dagster/asset_partition_range_start"][-2:],
            one.tags["dagster/asset_partition_range_end"][-2:],
        )
        for one in one_run_per_span(requests)
    ]
    assert spans == [({"a", "b"}, "01", "02"), ({"a", "b"}, "04", "04"), ({"a"}, "03", "03")]
    for one in one_run_per_span(requests):
        assert one.partition_key is None
        assert "dagster/partition" not in one.tags
        assert one.tags["kept"] == "yes"


def test_a_write_that_was_not_recorded_is_made_again_even_if_its_inputs_return_to_the_old_ones(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = HEADER + event("a", day(1))
    project.drop("consent_events", "events-1.csv", old)
    project.settle()

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("after the file was written")

    project.drop("consent_events", "events-1.csv", old + event("b", day(1)))
    with monkeypatch.context() as failing:
        failing.setattr("analytics_assets.state.builds.Builds.record", crash)
        runner = project.runner()
        runner.land({"landed_consent_events"})
        runner.settle(set(project.assets))
    assert project.frame("raw_consent_events").height == 2
    project.drop("consent_events", "events-1.csv", old)
    project.settle()
    assert project.frame("raw_consent_events").height == 1
    assert project.frame("mart_company_daily")["total_events"].to_list() == [2]


def test_a_damaged_piece_is_named_with_what_to_do_and_is_not_tried_again(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    (piece,) = (project.settings.landed_dir / "consent_events").glob("*/*.parquet")
    piece.write_bytes(piece.read_bytes()[:-20])
    runner = project.runner()
    runner.settle(set(project.assets))
    assert any(piece.name in failure and "restore it from a backup" in failure for failure in runner.outcome.failures)
    (attempt,) = Attempts(project.settings.lake_dir).read("raw_consent_events", Window.of_days(day(1), day(1))).values()
    assert attempt.permanent
    assert piece.name in attempt.reason
    assert str(day(1)) not in project.requested().get("raw_consent_events", ())


def test_a_warehouse_without_tables_counts_as_none(project: Project) -> None:
    """Somebody deletes the file, and somebody else looks at it with a client, which makes an empty one."""
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    project.settings.warehouse_file.unlink()
    duckdb.connect(str(project.settings.warehouse_file)).close()
    project.settle()
    assert project.frame("mart_company_daily")["total_events"].to_list() == [2]


def test_a_run_that_dies_before_its_first_step_is_not_asked_for_in_every_tick_nor_for_ever(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all runs do while the project cannot be loaded: no step begins, so no attempt is written down."""
    job = project.definitions.resolve_implicit_global_asset_job_def()
    wanted = RunRequest(asset_selection=[AssetKey("raw_consent_events")], tags=span_tags(Window.of_days(DAY, DAY)))

    def die(request: RunRequest) -> None:
        run = project.instance.create_run_for_job(
            job, asset_selection=frozenset(request.asset_selection or ()), tags=request.tags
        )
        project.instance.report_run_failed(run)

    first = unless_just_died(project.instance, wanted, "loaded")
    assert first is not None
    die(first)
    assert unless_just_died(project.instance, wanted, "loaded") is None, "it rests"
    another_span = RunRequest(asset_selection=wanted.asset_selection, tags=span_tags(Window.of_days(day(1), day(1))))
    assert unless_just_died(project.instance, another_span, "loaded") is not None
    monkeypatch.setattr("analytics_assets.automation.run_grouping.WAITS", (timedelta(0), timedelta(0)))
    numbers = []
    while request := unless_just_died(project.instance, wanted, "loaded"):
        numbers.append(request.tags["analytics/attempt"])
        die(request)
    assert numbers == ["2", "3"]
    assert unless_just_died(project.instance, wanted, "loaded anew") is not None, "that may have mended it"


def sensor_and_tick(project: Project) -> tuple[OutOfDateDaysSensor, Callable[[], SensorExecutionData]]:
    """The sensor that asks for days, and what one tick of it says."""
    sensor = project.definitions.resolve_sensor_def("out_of_date_days")
    assert isinstance(sensor, OutOfDateDaysSensor)
    repository = project.definitions.get_repository_def()

    def tick() -> SensorExecutionData:
        with build_sensor_context(
            instance=project.instance, repository_def=repository, sensor_name=sensor.name
        ) as context:
            return sensor.evaluate_tick(context)

    return sensor, tick


def test_nothing_is_asked_for_while_the_dbt_project_is_another_than_was_loaded(project: Project) -> None:
    sensor, tick = sensor_and_tick(project)
    assert tick().run_requests
    sensor.hindrance = lambda _: "it has changed"
    assert not tick().run_requests
    assert tick().skip_message == "it has changed"


def test_nothing_more_is_asked_for_while_runs_wait_in_the_queue_and_then_it_is(project: Project) -> None:
    sensor, tick = sensor_and_tick(project)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__"), "all")

    def queue_a_run(**tags: str) -> DagsterRun:
        run = DagsterRun("all", status=DagsterRunStatus.QUEUED, tags=tags, remote_job_origin=origin)
        return project.instance.add_run(run)

    queue_a_run(**{SENSOR_NAME_TAG: "another"})
    assert tick().run_requests, "it is none of its own"
    its_own = queue_a_run(**{SENSOR_NAME_TAG: sensor.name})
    assert not tick().run_requests
    assert "1 requested runs are still queued" in str(tick().skip_message)
    project.instance.report_run_canceled(its_own)
    assert tick().run_requests, "nothing was forgotten"
