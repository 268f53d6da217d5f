"""Turns an Extract into a Dagster asset, one pull a day that drops a file into the inbox; and the schedule for it.

The day is the day of the pull. Today's pull requests what has changed since the newest change in staging, minus an
overlap. An earlier day, pulled again, requests at least what has changed since that day. Both only add files.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    BackfillPolicy,
    DailyPartitionsDefinition,
    DefaultScheduleStatus,
    MetadataValue,
    Nothing,
    OpExecutionContext,
    Out,
    Output,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    graph_asset,
    op,
    schedule,
)

from analytics_assets.automation.run_grouping import NO_RETRY, span_tags
from analytics_assets.automation.steps import dagster_error, fail
from analytics_assets.dagster_internals import NOT_FINISHED_STATUSES
from analytics_assets.extract.watermark import newest_change
from analytics_assets.foundation.failures import for_dagster, sentence
from analytics_assets.partitions import Window
from analytics_assets.project import Project
from analytics_assets.settings import Api, Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.extract import Extract
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build

if TYPE_CHECKING:
    from analytics_assets.extract.pull import Pulled, Span
    from analytics_assets.extract.rest import RestError


def pull_days(start: date) -> DailyPartitionsDefinition:
    """One partition per UTC day of a pull, including today."""
    return DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)


def build_extract_asset(project: Project, domain: Domain, extract: Extract) -> AssetsDefinition:
    """`<source>_extract`, in two steps, so that the warehouse is not blocked while pages are pulled."""
    name, settings = extract.asset, project.settings

    @op(
        name=f"{name}_watermark",
        description="Reads the newest change that staging knows.",
        out=Out(dagster_type=str, description="A UTC time; empty before the first pull."),
        pool=project.warehouse.pool(domain.name),
    )
    def watermark(context: OpExecutionContext) -> str:
        try:
            newest = newest_change(extract, project)
        except Exception as error:
            raise dagster_error(context, settings, error) from error
        return newest.isoformat() if newest else ""

    @op(
        name=f"{name}_pull",
        description="Pulls page after page, and drops the file.",
        out=Out(Nothing),
        pool=name,
    )
    def pull(context: OpExecutionContext, newest: str) -> Iterator[Output[None]]:
        from analytics_assets.extract.pull import Pull, Span  # with the HTTP client, which no other step needs
        from analytics_assets.extract.rest import RestError

        if extract.source.name not in settings.api:  # succeeds, so that a run of all assets goes on
            context.log.warning(no_address(extract.source.name))
            yield Output(None, metadata={"pulled_nothing": no_address(extract.source.name)})
            return
        window, today, api = _window(context), datetime.now(UTC).date(), settings.api[extract.source.name]
        Attempts(settings.lake_dir).begin(name, {day: Build("", "") for day in window.days()}, context.run_id)
        try:
            work = Pull(extract, api, settings)
            known = datetime.fromisoformat(newest) if newest else None
            first = extract.source.calendar.first_day(settings)

            def begin() -> Span:
                return span_of(window, today, known, work.swept_at(), api, first)

            pulled = work.run(begin)
        except Exception as error:
            fail(settings, [name], window, context.run_id, error)
            if isinstance(error, RestError):  # the client has retried already; the schedule requests another pull
                raise for_dagster(
                    f"{sentence(error)}; {_where(extract.source.name, error)}", transient=False
                ) from error
            raise dagster_error(context, settings, error) from error
        Attempts(settings.lake_dir).wake([name])  # this pull fetched what earlier ones missed
        yield Output(None, metadata=_metadata(pulled))

    @graph_asset(
        name=name,
        group_name=domain.name,
        owners=[domain.owner],
        kinds={"api", "json"},
        tags=project.catalog[name].tags,
        description=f"Pulls of the API of {extract.source.name}, by their day; each drops a file into the inbox.",
        partitions_def=pull_days(extract.source.calendar.first_day(settings)),
        backfill_policy=BackfillPolicy.single_run(),
    )
    def pulls() -> Any:
        return pull(watermark())

    return pulls


def _window(context: OpExecutionContext) -> Window:
    keys = context.partition_key_range
    return Window.of_days(date.fromisoformat(keys.start), date.fromisoformat(keys.end))


def variable(source: str) -> str:
    """The prefix of the environment variables of a source's API."""
    return f"ANALYTICS_API__{source.upper()}__"


def _where(source: str, error: "RestError") -> str:
    """Which environment variables to check for an error."""
    if error.setting:
        return f"the limit is {variable(source)}{error.setting.upper()}"
    return f"address and key are {variable(source)}URL and {variable(source)}KEY"


def no_address(source: str) -> str:
    """A sentence that says how to set an API's address."""
    return f"no API of {source} is known, so nothing was pulled; set {variable(source)}URL and {variable(source)}KEY"


def span_of(
    window: Window, today: date, newest: datetime | None, swept_at: datetime | None, api: Api, first_day: date
) -> "Span":
    """What a pull for some days requests: never less than today's pull, since its rows move staging's newest change.

    Args:
        newest: the newest change in staging; None if there is none.
        swept_at: when the last sweep began; None if there was none.
        first_day: that has a partition.
    """
    from analytics_assets.extract.pull import Span, since_when

    first = _midnight(first_day)
    usual = since_when(newest, first, timedelta(minutes=api.overlap_minutes))
    if window.start < today:
        asked = min(usual, _midnight(window.start))
        return Span(asked, is_sweep=asked <= first, usual=usual if newest else None)
    is_due = swept_at is None or datetime.now(UTC) - swept_at >= timedelta(days=api.sweep_days)
    return Span(first, is_sweep=True, usual=usual if newest else None) if is_due else Span(usual)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _metadata(pulled: "Pulled") -> Mapping[str, Any]:
    progress = pulled.progress
    return {
        "since": progress.since,
        "is_full_sweep": progress.is_sweep,
        "pages": progress.pages,
        "records": progress.records,
        "dagster/partition_row_count": progress.new,
        "requests": pulled.requests,
        "requests_left": pulled.requests_left,
        "seconds_waited_for_the_budget": round(pulled.waited_seconds, 1),
        "times_resumed": progress.resumed,
        **({"rows_committed_late": pulled.committed_late} if pulled.committed_late is not None else {}),
        **({"file": MetadataValue.path(str(pulled.file))} if pulled.file else {}),
    }


def build_pull_schedule(project: Project) -> ScheduleDefinition:
    """Requests the day's pull of each API once an hour until it succeeds or is refused."""
    extracts, settings = project.extracts, project.settings

    @schedule(
        name="pulls",
        cron_schedule=f"7 {settings.pull_from_hour}-23 * * *",
        execution_timezone="UTC",
        target=[AssetKey(extract.asset) for extract in extracts],
        default_status=DefaultScheduleStatus.RUNNING,
        description="Asks for the day's pull of each API that has an address, until it is made.",
    )
    def pulls(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        now = context.scheduled_execution_time.astimezone(UTC)
        reasons = []
        for extract in extracts:
            if reason := _why_not(extract, settings, context, now):
                reasons.append(f"{extract.asset}: {reason}")
            else:
                day = Window.of_days(now.date(), now.date())
                yield RunRequest(asset_selection=[AssetKey(extract.asset)], tags={**span_tags(day), **NO_RETRY})
        if len(reasons) == len(extracts):
            yield SkipReason("; ".join(reasons))

    return pulls


def _why_not(extract: Extract, settings: Settings, context: ScheduleEvaluationContext, now: datetime) -> str:
    """Why the day's pull is not requested; empty if it is."""
    if extract.source.name not in settings.api:
        return "no address is set"
    if now.date().isoformat() in context.instance.get_materialized_partitions(AssetKey(extract.asset)):
        return "made already"
    for run in context.instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        if run.asset_selection and AssetKey(extract.asset) in run.asset_selection:
            return "on its way"
    attempt = Attempts(settings.lake_dir).read(extract.asset, Window.of_days(now.date(), now.date())).get(now.date())
    if attempt and attempt.permanent:
        return f"refused, and not asked for again today: {attempt.reason}"
    return ""
