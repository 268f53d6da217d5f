"""The sensor that asks for the days that are out of date."""

import logging
from collections.abc import Callable
from uuid import uuid4

from dagster import (
    AssetSelection,
    AutomationConditionSensorDefinition,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorEvaluationContext,
)

from analytics_assets.automation.run_requests import one_run_a_span, unless_it_died
from analytics_assets.dagster_internals import SENSOR_NAME_TAG, CodeLocationOrigin, SensorExecutionData, copy


class OutOfDateDaysSensor(AutomationConditionSensorDefinition):
    """Dagster's own sensor for conditions, which makes a run of every span of days instead of one of every day.

    Attributes:
        hindrance: says what keeps it from asking for anything; None when nothing does. So it is while runs, which load
            the project anew, would be made by other code than the conditions know of: they would then find every day
            made by the wrong code, and ask for failed ones without end. It is given the code server's address.
        loaded: another text each time that the definitions are loaded.
    """

    hindrance: Callable[[CodeLocationOrigin | None], str | None]
    loaded: str

    def evaluate_tick(self, context: SensorEvaluationContext) -> SensorExecutionData:
        """Evaluates the conditions of all assets, and asks for runs.

        It asks for none that would be made by other code, nor for more while some that it asked for wait in the queue:
        what is out of date by then becomes fewer runs of longer spans. States are compared, so nothing is forgotten.
        """
        if hindrance := self.hindrance(context.code_location_origin):
            return SensorExecutionData(skip_message=hindrance, cursor=context.cursor)
        queue = RunsFilter(tags={SENSOR_NAME_TAG: self.name}, statuses=[DagsterRunStatus.QUEUED])
        if waiting := context.instance.get_runs_count(queue):
            queued = f"Of the runs that were asked for, {waiting} wait in the queue; when they have begun, more are."
            return SensorExecutionData(skip_message=queued, cursor=context.cursor)
        context.log.setLevel(logging.WARNING)  # a line an asset and tick; the UI shows the same, better
        data = super().evaluate_tick(context)
        spans = one_run_a_span(data.run_requests or [])
        requests = (unless_it_died(context.instance, span, self.loaded) for span in spans)
        return copy(data, run_requests=[request for request in requests if request])


def build_out_of_date_sensor(
    hindrance: Callable[[CodeLocationOrigin | None], str | None],
) -> AutomationConditionSensorDefinition:
    """The sensor that asks for the days that are out of date, while there is no hindrance."""
    sensor = OutOfDateDaysSensor(
        "out_of_date_days",
        target=AssetSelection.all(),
        use_user_code_server=True,  # the conditions are Python of this project
        emit_backfills=False,  # a backfill would wait for its daemon, and say less about why a day was asked for
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Asks for the days that are not made from what there is now.",
    )
    sensor.hindrance, sensor.loaded = hindrance, uuid4().hex
    return sensor
