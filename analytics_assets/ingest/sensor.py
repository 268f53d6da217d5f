"""The sensor that notices new files. It opens none: it asks for a landing run."""

import hashlib
from collections.abc import Iterator, Sequence

from dagster import (
    AssetKey,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.raw import LANDED_PREFIX
from analytics_assets.ingest.source import Source
from analytics_assets.settings import Settings


def build_new_files_sensor(sources: Sequence[Source], settings: Settings) -> SensorDefinition:
    """One sensor over all sources: a run request a source that has new files.

    The run key is a hash of the files that wait, so that two ticks before the run has landed them ask only once.
    """

    @sensor(
        name="new_files",
        asset_selection=[AssetKey(LANDED_PREFIX + source.name) for source in sources],
        minimum_interval_seconds=5,
        default_status=DefaultSensorStatus.RUNNING,
        description="Asks for a landing run when files lie in the inbox that are new or have changed.",
    )
    def new_files(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        asked = False
        for source in sources:
            new = Landing(settings, source).look().new[: settings.landing_files_per_run]
            if not new:
                continue
            asked = True
            names = "\n".join(f"{file.path} {file.size} {file.mtime_ns}" for file in new)
            yield RunRequest(
                run_key=f"{source.name}-v{source.version}-{hashlib.sha256(names.encode()).hexdigest()[:32]}",
                asset_selection=[AssetKey(LANDED_PREFIX + source.name)],
                tags={"analytics/new_files": str(len(new))},
            )
        if not asked:
            yield SkipReason("Nothing new in the inbox.")

    return new_files
