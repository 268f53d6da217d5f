from pathlib import Path

from dagster import AssetKey, DagsterInstance, asset, materialize
from dagster._core.storage.event_log import SqliteEventLogStorage

from analytics_assets.operations import event_log
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.settings import get_settings
from analytics_assets_tests.support.project import test_settings


def test_the_stock_event_log_reads_what_the_pooled_one_wrote_and_few_databases_stay_open(
    tmp_path: Path, monkeypatch
) -> None:
    @asset
    def number() -> int:
        return 1

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(event_log, "OPEN_DATABASES", 3)
    get_settings.cache_clear()
    try:
        home = prepare_dagster_home(test_settings(tmp_path))
        with DagsterInstance.get() as instance:
            assert isinstance(instance.event_log_storage, event_log.PooledSqliteEventLog)
            runs = [materialize([number], instance=instance).run_id for _ in range(5)]
            assert len(instance.event_log_storage._engines) <= 3
            assert all(instance.all_logs(run) for run in runs)
    finally:
        get_settings.cache_clear()
    stock = SqliteEventLogStorage(str(home / "history" / "runs"))
    assert set(stock.get_all_run_ids()) == set(runs)
    records = stock.get_asset_records([AssetKey("number")])
    assert records[0].asset_entry.last_run_id == runs[-1]
