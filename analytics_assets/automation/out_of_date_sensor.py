"""The sensor that requests the days that are out of date."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from dagster import (
    AssetSelection,
    AutomationConditionSensorDefinition,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorEvaluationContext,
)

from analytics_assets.automation.run_grouping import one_run_per_span, unless_just_died
from analytics_assets.dagster_internals import SENSOR_NAME_TAG, CodeLocationOrigin, SensorExecutionData, copy
from analytics_assets.foundation.watching import looks

_LOOKS_EVERY_SECONDS = 0.5

LOOKS_EVERY = timedelta(minutes=1)
"""How often all conditions are evaluated even if no record has changed: somebody may have deleted a file, and failed
days become due."""


class OutOfDateDaysSensor(AutomationConditionSensorDefinition):
    """Dagster's own sensor for conditions, except that it requests one run for each span of days, not for each day.

    Attributes:
        hindrance: why nothing can be requested; None if nothing is in the way. It gives a reason while the code on disk
            differs from the loaded code: runs would use code that the conditions have not seen, every day would look
            as if made by other code, and failed days would be requested without end. Its argument is the address of
            the code server.
        loaded: a text that is new each time the definitions are loaded.
        recorded: returns a value that changes whenever the input of the conditions does.
        watch_seconds: how long a tick watches for something to do.
    """

    hindrance: Callable[[CodeLocationOrigin | None], str | None]
    loaded: str
    recorded: Callable[[], tuple[object, ...]]
    watch_seconds: float
    _nothing_to_do: tuple[datetime, tuple[object, ...]] | None = None

    def evaluate_tick(self, context: SensorEvaluationContext) -> SensorExecutionData:
        """Looks for days to request until there are some or the tick's time is over; none while there is a hindrance.

        All looks of a tick start from its cursor, so one that requests nothing leaves nothing behind.
        """
        data = SensorExecutionData(cursor=context.cursor)
        for _ in looks(self.watch_seconds, _LOOKS_EVERY_SECONDS):
            if hindrance := self.hindrance(context.code_location_origin):
                if not data.automation_condition_evaluations:
                    data = SensorExecutionData(skip_message=hindrance, cursor=context.cursor)
                break
            found = self._look(context)
            if found.automation_condition_evaluations or not data.automation_condition_evaluations:
                data = found
            if found.run_requests:
                break
        return data

    def _look(self, context: SensorEvaluationContext) -> SensorExecutionData:
        """Evaluates the conditions of all assets if anything has changed, and requests runs.

        It requests none while earlier ones wait in the queue: the days that are out of date by then need fewer runs of
        longer spans. States are compared, so nothing is forgotten.
        """
        queue = RunsFilter(tags={SENSOR_NAME_TAG: self.name}, statuses=[DagsterRunStatus.QUEUED])
        if waiting := context.instance.get_runs_count(queue):
            queued = f"{waiting} requested runs are still queued; more are requested once they have started."
            return SensorExecutionData(skip_message=queued, cursor=context.cursor)
        now, seen = datetime.now(UTC), self._seen(context)
        if self._nothing_to_do and self._nothing_to_do[1] == seen and now - self._nothing_to_do[0] < LOOKS_EVERY:
            return SensorExecutionData(skip_message="Nothing has changed since the last look.", cursor=context.cursor)
        context.log.setLevel(logging.WARNING)  # Dagster logs one line per asset and tick; the UI shows it better
        data = super().evaluate_tick(context)
        spans = one_run_per_span(data.run_requests or [])
        wanted = (unless_just_died(context.instance, span, self.loaded) for span in spans)
        requests = [request for request in wanted if request]
        # `seen` was read before the conditions were evaluated, so the next tick notices a change in between.
        self._nothing_to_do = None if requests else (now, seen)
        return copy(data, run_requests=requests)

    def _seen(self, context: SensorEvaluationContext) -> tuple[object, ...]:
        """What the conditions depend on, in a form that is cheap to compare."""
        newest = context.instance.get_run_records(limit=1, order_by="update_timestamp")
        runs = [(record.dagster_run.run_id, record.dagster_run.status, record.update_timestamp) for record in newest]
        events = context.instance.event_log_storage.get_maximum_record_id()
        return self.recorded(), tuple(runs), events


def build_out_of_date_sensor(
    hindrance: Callable[[CodeLocationOrigin | None], str | None],
    recorded: Callable[[], tuple[object, ...]],
    watch_seconds: float,
) -> AutomationConditionSensorDefinition:
    """The sensor that requests the days that are out of date, while there is no hindrance.

    Args:
        recorded: returns a value that changes whenever the input of the conditions does.
        watch_seconds: how long a tick watches for something to do.
    """
    sensor = OutOfDateDaysSensor(
        "out_of_date_days",
        target=AssetSelection.all(),
        use_user_code_server=True,  # the conditions are Python of this project
        emit_backfills=False,  # a backfill would wait for its daemon, and say less about why a day was requested
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=1,  # at each turn of the daemon, which takes five seconds
        description="Requests the days that were never made, or whose inputs have changed since.",
    )
    sensor.hindrance, sensor.loaded, sensor.recorded = hindrance, uuid4().hex, recorded
    sensor.watch_seconds = watch_seconds
    return sensor
