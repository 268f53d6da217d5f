"""The simulated marketing: whole, the same for a seed, and true to the effects that it was given."""

import csv
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from math import sqrt
from pathlib import Path
from random import Random

import polars as pl
import pytest
from typer.testing import CliRunner

from analytics_assets.cli.app import app
from analytics_assets.defs.attribution.given_users import write_activity
from analytics_assets.defs.attribution.simulator import LASTS, SEEN_ONLY, TRUE_EFFECTS, chance_of, simulate
from analytics_assets.partitions import Window
from analytics_assets.settings import get_settings
from analytics_assets.simulation.files import write_rows

DAYS = Window.of_days(date(2026, 3, 1), date(2026, 3, 20))


def rows_of(folder: Path) -> pl.DataFrame:
    """All rows of a source's files as text; malformed ones, too."""
    readers = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}
    frames = []
    for file in sorted(folder.iterdir()):
        read = readers.get(file.suffix, lambda file: pl.read_csv(file, infer_schema=False))
        frames.append(read(file).select(pl.all().cast(pl.String)))
    return pl.concat(frames, how="diagonal")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inbox")
    simulate(folder, DAYS, 1.0, Random(1))
    return folder


def test_each_touch_and_payment_has_its_user_and_stands_on_a_day(inbox: Path) -> None:
    users = set(rows_of(inbox / "users")["user_id"])
    for source, time in (("user_touchpoints", "touchpoint_date"), ("revenue_and_rewards", "date")):
        rows = rows_of(inbox / source).drop_nulls("user_id").filter(pl.col("user_id") != "")
        assert rows.height > 1_000
        assert set(rows["user_id"]) <= users
        days = {text[:10] for text in rows[time] if not text[:10].endswith("32")}
        assert days <= {str(day) for day in DAYS.days()}


def test_channels_bill_the_users_they_brought_and_a_few_installs_more(inbox: Path) -> None:
    installs = (
        rows_of(inbox / "marketing_spend").group_by("channel", "campaign").agg(pl.col("installs").cast(int).sum())
    )
    billed = {(channel, campaign): number for channel, campaign, number in installs.rows()}
    first = rows_of(inbox / "users").sort("updated_at").unique("user_id", keep="first")
    users = Counter(first.select("channel", "campaign").rows())
    assert set(users) - set(billed) == {("organic", None)}, "nobody is paid for them"
    assert all(0 <= billed[cell] - users[cell] <= 0.3 * billed[cell] + 3 for cell in billed)


def test_the_usual_defects_are_there(inbox: Path) -> None:
    users = rows_of(inbox / "users")
    versions = users.unique().group_by("user_id").agg(pl.len(), pl.col("installed_at").str.slice(0, 10).n_unique())
    assert users.height > users.unique().height, "some are told again"
    assert versions.filter(pl.col("len") > 1).height > 5, "some are corrected"
    assert versions.filter(pl.col("installed_at") > 1).height > 0, "some onto another day"
    revenue = rows_of(inbox / "revenue_and_rewards")
    assert revenue.filter(pl.col("revenue").cast(pl.Float64) < 0).height > 0, "some is refunded"
    endings = {file.name.split(".", 1)[1] for file in (inbox / "user_touchpoints").iterdir()}
    assert endings == {"csv", "csv.gz", "jsonl", "parquet"}
    assert any("-again." in file.name for file in (inbox / "user_touchpoints").iterdir())
    assert rows_of(inbox / "user_touchpoints")["user_id"].is_null().any(), "some are malformed"


def users_file(file: Path, users: int) -> Path:
    """A file of users who installed an hour after each other."""
    start = datetime(2026, 3, 1)
    rows = []
    for number in range(users):
        at = f"{start + timedelta(hours=number % 48):%Y-%m-%d %H:%M:%S}"
        times = dict.fromkeys(("installed_at", "created_at", "updated_at"), at)
        rows.append({"user_id": f"u{number}", **times, "channel": "twitter", "campaign": "sale"})
    write_rows(file, rows, dict.fromkeys(rows[0], pl.String))
    return file


def test_conversions_follow_the_true_effect_of_each_channel(tmp_path: Path) -> None:
    """What is expected of each touch, worked out from the file itself, adds up to what happened."""
    file = users_file(tmp_path / "users.csv", users=4_000)
    (touches, _) = write_activity(file, tmp_path, date(2026, 4, 30), seed=1)
    installed_at = {row["user_id"]: row["installed_at"] for row in csv.DictReader(file.open())}
    by_user = defaultdict(list)
    for row in csv.DictReader(touches.open()):
        by_user[row["user_id"]].append(row)
    expected, spread, found = (defaultdict(float) for _ in range(3))
    for user, rows in by_user.items():
        rows.sort(key=lambda row: row["touchpoint_date"])
        for row in rows:
            if row["touchpoint_date"] <= installed_at[user]:
                assert row["conversion"] == "false", "nobody converts before the install"
                continue
            at = datetime.fromisoformat(row["touchpoint_date"])
            working = [
                TRUE_EFFECTS[other["channel"]]
                * (1 if other["touchpoint_type"].endswith(("click", "visit")) else SEEN_ONLY)
                for other in rows
                if timedelta(0) <= at - datetime.fromisoformat(other["touchpoint_date"]) < LASTS
            ]
            chance = chance_of(working)
            expected[row["channel"]] += chance
            spread[row["channel"]] += chance * (1 - chance)
            found[row["channel"]] += row["conversion"] == "true"
    assert set(found) == set(TRUE_EFFECTS)
    for channel in TRUE_EFFECTS:
        assert abs(found[channel] - expected[channel]) < 4 * sqrt(spread[channel]), channel


def test_touches_work_together() -> None:
    assert chance_of([]) == 0
    assert chance_of([0.5, 0.5]) == 0.75


def test_a_users_activity_does_not_hang_on_the_others(tmp_path: Path) -> None:
    def activity(users: int, seed: int = 1) -> list[list[str]]:
        file = users_file(tmp_path / "users.csv", users)
        written = write_activity(file, tmp_path / "inbox", date(2026, 3, 20), seed)
        return [[line for line in one.read_text().splitlines() if line.startswith("u0,")] for one in written]

    assert activity(1) == activity(50)
    assert all(activity(1))
    assert activity(1) != activity(1, seed=2)


def test_a_command_writes_the_activity_of_given_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    try:
        file = users_file(tmp_path / "users.csv", 5)
        done = CliRunner().invoke(app, ["simulate-user-activity", str(file), "--end", "2026-03-20"])
        early = CliRunner().invoke(app, ["simulate-user-activity", str(file), "--end", "2026-02-20"])
        file.write_text("user_id,channel\na,b\n")
        lacking = CliRunner().invoke(app, ["simulate-user-activity", str(file)])
    finally:
        get_settings.cache_clear()
    assert done.exit_code == 0 and "rows to" in done.output
    for source in ("user_touchpoints", "revenue_and_rewards"):
        assert pl.read_csv(tmp_path / "data" / "inbox" / source / f"{source}-simulated.csv").height > 5
    assert early.exit_code == 1 and "the first install of users.csv is of 2026-03-01" in early.output
    assert lacking.exit_code == 1 and "users.csv lacks campaign" in lacking.output
