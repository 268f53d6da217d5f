"""What a person sees at the prompt; the commands run as programs where a process matters."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.cli import maintenance, materialize
from analytics_assets.cli.app import app
from analytics_assets.console.tables import as_lines, as_table, is_cut, texts_of
from analytics_assets.console.terminal import Terminal
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.foundation.plain_text import logger_of, plain, shortened
from analytics_assets.ingest.landed_files import SPEC_HAS_CHANGED
from analytics_assets.operations import runner
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.operations.runner import Outcome
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR, get_settings
from analytics_assets.state.check_results import CheckResults, Evaluation
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import DOMAINS, ONE_DOMAIN, YESTERDAY, Project, day
from analytics_assets_tests.support.prompt import Prompt

PROGRAM = [sys.executable, "-m", "analytics_assets.cli"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["materialize"], "say which days"),
        (["materialize", "--from", "2026-01-01"], "say which days"),
        (["materialize", "--new", "--from", "2026-01-01", "--to", "2026-01-02"], "say which days"),
        (["materialize", "--from", "2026-01-02", "--to", "2026-01-01"], "is after --to"),
        (["materialize", "--from", "2000-01-01", "--to", "2026-01-01"], "set ANALYTICS_START_DATE"),
        (["materialize", "--from", str(YESTERDAY), "--to", str(YESTERDAY + timedelta(1))], "is not over yet"),
        (["simulate", "--only", "nothing"], "there is no domain 'nothing'"),
        (["reconcile"], "materialize --new"),
        (["cost-estimate"], "materialize --new"),
        (["dbt", "--from", "2026-01-01", "--", "compile"], "say both --from and --to"),
        (["dbt", "--", "build"], "analytics-assets materialize --select MODEL"),
        (["dbt", "--", "--quiet", "run"], "set ANALYTICS_DBT_TARGET=dev"),
        (["dbt", "--", "--log-level", "debug", "seed"], "`dbt seed` would write rows"),
        (["sql", "select 1"], "there is no published copy yet"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence_that_says_what_to_do(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANALYTICS_START_DATE", str(day(0)))
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, arguments)
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert said in text
    assert "Traceback" not in text


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prompt]:
    """Runs a command in this process, on the project in `tmp_path / "data"`."""
    yield Prompt(tmp_path, monkeypatch)
    get_settings.cache_clear()


@pytest.mark.parametrize("name", ["status", "reconcile", "materialize"])
def test_the_help_says_the_exit_code(command: Prompt, name: str) -> None:
    assert "Exit code 1 if" in " ".join(command(name, "--help").output.split())


def test_the_exit_codes_are_those_of_the_help(command: Prompt, tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, on=False)
    raw = "raw_consent_events"

    def codes() -> tuple[int, int]:
        return command("status").exit_code, command("reconcile").exit_code

    assert codes() == (0, 1), "nothing has landed"
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(2)))
    project.drop("consent_events", "strange.csv", HEADER)
    project.land()
    assert codes() == (0, 0), "nothing failed, though days are missing"
    project.drop("consent_events", "events-2.csv", b"")
    project.land()
    assert codes() == (1, 0), "a file was refused"
    project.drop("consent_events", "events-2.csv", HEADER)
    project.land()
    CheckResults(project.settings.lake_dir).record(
        project.window, [Evaluation("stg_consent_events", "of_some_days", {day(1): "odd", day(3): "odd"}, False)]
    )
    assert codes() == (0, 0)
    assert project.runner().make([PlannedRun((raw,), project.window)])
    assert codes() == (0, 0)
    file = project.settings.raw_dir / raw / f"_day={day(1)}" / "data.parquet"
    pl.read_parquet(file).clear().write_parquet(file)
    assert codes() == (0, 1), "a row is lost"
    CheckResults(project.settings.lake_dir).record(
        project.window, [Evaluation(raw, "rejects_within_limit", {day(1): "rejected 9"}, True)]
    )
    assert codes() == (1, 1), "a check failed"


def test_status_has_a_row_for_each_check_and_a_line_for_domains_that_are_off(command: Prompt, tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, on=False)
    project.drop("consent_events", "events-1.csv", HEADER)
    project.land()
    names = ("sampling_rates_are_valid", "counts_are_of_the_sample")
    CheckResults(project.settings.lake_dir).record(
        project.window,
        [Evaluation("stg_consent_events", name, {day(1): "odd", day(3): "odd"}, False) for name in names],
    )
    told = command("status").output
    rows = [row for row in told.splitlines() if "stg_consent_events" in row and "warning" in row]
    assert [row.split("│")[3:5] for row in rows] == [[f" {day(1)} to {day(3)} ", "     2 "]] * 2
    others = ", ".join(domain.name for domain in DOMAINS if domain.name != project.domains[0].name)
    assert f"Off, since nothing of them ever came: {others}." in " ".join(told.split())
    assert "clickstream" not in told


def test_reconcile_shows_what_there_is_before_all_of_it_is_made(command: Prompt, tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, on=False)
    rows = event("a", day(1)) + event("b", day(2)) + event("early", day(0) - timedelta(400)) + "no record\n"
    project.drop("consent_events", "events-1.csv", HEADER + rows)
    project.land()
    found = reconcile(CONSENT_EVENTS, project.declared, datetime.now(UTC))
    assert (found.records, found.accepted, found.rejected, found.waiting) == (4, 3, 1, 1)
    assert (found.raw, found.src, found.stg, found.faults) == (None, None, None, [])
    assert found.unmade[1:] == [
        f"5 of 5 days of {name} are not made" for name in ("raw_consent_events", "stg_consent_events")
    ]

    assert project.runner().make([PlannedRun(("raw_consent_events",), Window.of_days(day(1), day(1)))])
    told = " ".join(command("reconcile").output.split())
    assert "src_consent_events is not made; 4 of 5 days of raw_consent_events are not made" in told
    others = [source.name for domain in DOMAINS for source in domain.sources if source is not CONSENT_EVENTS]
    assert f"Nothing ever came of: {', '.join(others)}." in told


def test_a_closed_history_has_no_days_after_its_end(command: Prompt) -> None:
    command.export(END_DATE=day(1))
    beyond = command("materialize", "--from", str(day(0)), "--to", str(day(2)))
    assert beyond.exit_code == 1
    assert "set ANALYTICS_END_DATE to a later day" in " ".join(beyond.output.split())


def test_a_history_that_ends_before_it_begins_is_said(tmp_path: Path) -> None:
    days = {"ANALYTICS_START_DATE": str(day(0)), "ANALYTICS_END_DATE": str(day(0) - timedelta(1))}
    env = os.environ | days | {"ANALYTICS_DATA_DIR": str(tmp_path / "data"), "DAGSTER_HOME": str(tmp_path / "home")}
    turned = subprocess.run([*PROGRAM, "status"], env=env, capture_output=True, text=True, check=False)
    assert turned.returncode == 1
    assert "ANALYTICS_END_DATE is before ANALYTICS_START_DATE" in " ".join(turned.stdout.split())


def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_REJECT_RATIO", "seven")
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, ["simulate"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 1
    assert "ANALYTICS_REJECT_RATIO='seven'" in result.output


def test_new_files_are_waited_for_landed_and_made_and_then_there_is_nothing_to_do(
    command: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.export(INBOX_SETTLE_SECONDS=12)
    folder = command.inbox / "consent_events"
    folder.mkdir(parents=True)
    (folder / "events-1.csv").write_text(HEADER + event("a", day(1)) + event("a", day(1)))

    def a_while(seconds: float) -> None:
        for file in folder.iterdir():
            os.utime(file, (0, 0))

    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=a_while))
    first = command("materialize", "--new")
    assert first.exit_code == 0, first.output
    assert "still being written" in first.output
    assert "mart_company_daily" in first.output
    second = command("materialize", "--new")
    assert (second.exit_code, second.output.strip()) == (0, "Nothing was out of date."), second.output
    shown = command("reconcile")
    assert shown.exit_code == 0
    assert "yes" in shown.output

    (folder / "events-2.csv").write_text("not,the,columns\n1,2,3\n")
    third = command("materialize", "--new")
    assert third.exit_code == 1
    assert "events-2.csv" in third.output
    assert "it lacks the column EVENT_ID" in " ".join(third.output.split())


def test_a_range_of_one_asset_leaves_the_others_alone(command: Prompt) -> None:
    command.export(INBOX_SETTLE_SECONDS=0)
    assert command("simulate", "--days", "5", "--scale", "0.05", "--only", "consent").exit_code == 0
    made = command("materialize", "--from", str(day(1)), "--to", str(day(2)), "--select", "group:consent")
    assert made.exit_code == 0, made.output
    assert "without days of their own: rpt_companies" in made.output
    one = command("materialize", "--from", str(day(1)), "--to", str(day(1)), "--select", "mart_company_daily")
    assert one.exit_code == 0, one.output
    assert "stg_consent_events" not in one.output
    assert "rpt_companies" not in one.output


def test_a_plan_says_days_reasons_and_what_is_not_known_and_makes_nothing(command: Prompt, tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, on=False)
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(2)))
    with closing(sqlite3.connect(project.settings.lake_dir / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("update contents set spec = 'that of another day' where spec != ''")
    before = project.declared.automation.recorded()
    told = command("plan", "--select", "group:consent")
    assert told.exit_code == 0, told.output
    text = " ".join(told.output.split())
    assert "analytics-assets materialize --new would make" in text
    (raw,) = [row for row in told.output.splitlines() if "raw_consent_events" in row and "│    5 │" in row]
    assert f"{day(0)} to" in raw and "never made" in raw
    assert "Of the inbox, 1 file has not landed; what that changes is not known before." in text
    assert "`analytics-assets rollout` would make nothing more." in text
    assert "To make this, run `analytics-assets materialize --new`." in text
    changed = f"warning: consent_events: {SPEC_HAS_CHANGED} (1 file, first events-1.csv)"
    assert changed in text
    assert changed in " ".join(command("rollout", "--select", "landed_consent_events").output.split())
    assert project.declared.automation.recorded() == before
    assert not project.settings.warehouse_file.exists()


def test_a_removal_says_how_much_it_removes_before_it_asks(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, on=False)
    (source,) = (one for one in project.sources if one.name == "consent_events")
    assert maintenance._held(project.settings, source) == "0 files, 0 rows landed"
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(2)))
    project.land()
    project.drop("consent_events", "2026/events-2.csv", HEADER + event("c", day(2)))
    assert maintenance._held(project.settings, source) == "2 files, 2 rows landed"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    file = get_settings().published_file
    file.parent.mkdir(parents=True)
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.volumes (name varchar, events decimal(38, 9), share double)")
        connection.execute("insert into marts.volumes values ('[b]shop', 1200, 0.25), ('café', 9.5, null)")
        connection.execute("comment on table marts.volumes is 'Events of a name.'")
        connection.execute("comment on column marts.volumes.share is 'Of all events.'")
    yield file
    get_settings.cache_clear()


def test_a_table_of_the_published_copy_lines_up(published: Path) -> None:
    result = CliRunner().invoke(app, ["sql", "select * from marts.volumes order by events desc"])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "┏━━━━━━━━━┳━━━━━━━━━┳━━━━━━━┓",
        "┃ name    ┃  events ┃ share ┃",
        "┡━━━━━━━━━╇━━━━━━━━━╇━━━━━━━┩",
        "│ [b]shop │ 1,200.0 │  0.25 │",
        "│ café    │     9.5 │       │",
        "└─────────┴─────────┴───────┘",
    ]


ODD = (
    "select 9007199254740993::hugeint * 1000000 as large, 0.1::double as share, 1.50::decimal(38, 9) as amount,"
    " '' as empty, null as nothing, 'a,\"b\"\nc' as text, timestamp '2026-01-05 01:02:03.000004' as at, 2026 as year"
    " union all select 1, 'nan', null, 'é', 1, null, null, 1000 order by large desc"
)


def test_programs_get_every_digit_and_every_row(published: Path, tmp_path: Path) -> None:
    def asked(*arguments: str, statement: str = ODD) -> bytes:
        result = CliRunner().invoke(app, ["sql", statement, *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout_bytes

    first, _ = csv.DictReader(StringIO(asked("--format", "csv").decode()))
    assert first == {
        "large": "9007199254740993000000",
        "share": "0.1",
        "amount": "1.500000000",
        "empty": "",
        "nothing": "",
        "text": 'a,"b"\nc',
        "at": "2026-01-05 01:02:03.000004",
        "year": "2026",
    }
    assert b',"",,' in asked("--format", "csv"), "an empty text is no null"
    first, _ = json.loads(asked("--format", "json"), parse_float=str)
    assert (first["large"], first["share"], first["nothing"]) == (9007199254740993000000, "0.1", None)
    frame = pl.read_parquet(BytesIO(asked("--format", "parquet")))
    assert frame["large"].to_list() == [9007199254740993000000, 1]
    assert frame["at"].to_list()[0] == datetime(2026, 1, 5, 1, 2, 3, 4)
    assert len(asked("--format", "csv", statement="from range(25123)").splitlines()) == 25124

    file = tmp_path / "rows.parquet"
    assert b"wrote:" in asked("--output", str(file))
    assert pl.read_parquet(file).equals(frame)
    assert b"Events of a name." in asked("--format", "csv", statement="show tables")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["select 1", "--output", "rows.txt"], "say the format of rows.txt"),
        (["select 1", "--output", "rows.csv", "--format", "table"], "--format table is for a terminal"),
        (["delete from marts.volumes", "--format", "csv"], "syntax error"),
        (["select 1 as a -- ;", "--format", "json"], '[ {"a":1} ]'),
        (["select * from read_text('/etc/hostname')", "--format", "csv"], "file system operations are disabled"),
        (["select 1) to '/tmp/a'; select (1", "--format", "csv"], "syntax error"),
    ],
)
def test_a_format_that_cannot_be_is_told_and_no_format_opens_a_file(
    published: Path, arguments: list[str], said: str
) -> None:
    assert said in " ".join(CliRunner().invoke(app, ["sql", *arguments]).output.split())


def test_tables_and_columns_are_shown_with_what_is_said_of_them(published: Path) -> None:
    def cells(statement: str) -> list[list[str]]:
        lines = CliRunner().invoke(app, ["sql", statement]).output.splitlines()
        return [[cell.strip() for cell in one.split("│")[1:-1]] for one in lines if one.startswith("│")]

    assert cells("show tables;") == [["marts", "volumes", "2", "Events of a name."]]
    assert cells("DESCRIBE marts.volumes")[1:] == [
        ["events", "DECIMAL(38,9)", ""],
        ["share", "DOUBLE", "Of all events."],
    ]
    assert cells("describe select 1 as a")[0][0] == "a", "DuckDB's own"


def test_a_listing_has_long_comments_on_one_line_and_cut_and_formats_for_programs_have_them_whole(
    published: Path,
) -> None:
    said = "Events of a name.\n\n- " + "one by one, " * 20
    with duckdb.connect(str(published)) as connection:
        connection.execute(f"comment on table marts.volumes is '{said}'")
    told = CliRunner().invoke(app, ["sql", "show tables"]).output
    assert "\\n" not in told and "Events of a name. - one by one, one" in told and "…" in told
    assert max(map(len, told.splitlines())) <= 120
    (row,) = json.loads(CliRunner().invoke(app, ["sql", "show tables", "--format", "json"]).output)
    assert row["comment"] == said


@pytest.mark.parametrize(
    "statement",
    [
        "show tables",
        "Describe stg_orders;",
        "select * from raw_orders",
        "select * from staging.stg_orders",
        "select * from marts.src_orders",
    ],
)
def test_tables_that_are_not_in_the_copy_are_told_of(published: Path, statement: str) -> None:
    told = " ".join(CliRunner().invoke(app, ["sql", statement]).output.split())
    assert "are in the warehouse, not in the published copy" in told and "Did you mean" not in told


@pytest.mark.parametrize("statement", ["describe marts.volumes", "select * from marts.volumes where name = 'raw_a'"])
def test_other_statements_say_nothing_of_them(published: Path, statement: str) -> None:
    assert "in the warehouse" not in CliRunner().invoke(app, ["sql", statement]).output


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("events", [1200, None, -3], ["1,200", "", "-3"]),
        ("install_year", [2026], ["2026"]),
        ("user_id", [1200], ["1200"]),
        ("amount", [Decimal("1200.50000"), Decimal("0.1251"), 7], ["1,200.50", "0.13", "7.00"]),
        ("price", [Decimal("1.50000"), Decimal("0.1251")], ["1.5000", "0.1251"]),
        ("share", [0.1 + 0.2, 1e-9, float("nan")], ["0.300000", "1e-09", "nan"]),
        ("whole", [3.0, 12e9], ["3", "12,000,000,000"]),
        ("is_open", [True, None], ["True", ""]),
        ("mixed", ["a", 1200], ["a", "1200"]),
    ],
)
def test_numbers_are_as_people_write_them(name: str, values: list[object], texts: list[str]) -> None:
    assert texts_of(name, values)[0] == texts


def test_a_table_fits_the_terminal_or_is_shown_by_lines() -> None:
    names, row = ["name", "events", "text"], ["a", 1_234_567, "a text that is longer than that"]

    def printed(parts: Sequence[Any], width: int) -> list[str]:
        terminal = Terminal(width=width, file=StringIO())
        for part in parts:
            terminal.print(part)
        return [one.rstrip() for one in terminal.file.getvalue().splitlines()]  # type: ignore[attr-defined]

    table = as_table(names, [row], 45)
    lines = printed([table], 45)
    assert len({len(one) for one in lines}) == 1 and len(lines[0]) <= 45
    assert "1,234,567" in lines[3] and "…" in lines[3]
    assert is_cut(names, [row], 45) and not is_cut(names, [row], 60)
    assert as_table(names, [row], 20) is None
    listing = printed([as_table(["name", "comment"], [["mart_of_a_long_name", "One row per user and day."]], 45)], 45)
    assert "mart_of_a_long_name" in listing[3] and "…" in listing[3], "the comment is cut, not the name"
    assert printed(as_lines(names, [row]), 60) == [
        "row 1",
        "name    a",
        "events  1,234,567",
        "text    a text that is longer than that",
    ]
    assert "events  1,234,567" in printed(as_lines(names, [row]), 20)


def test_a_wide_table_is_not_cut(published: Path) -> None:
    columns = ", ".join(f"'a text of some length' as column_{number}" for number in range(40))
    result = CliRunner().invoke(app, ["sql", f"select {columns}"])
    assert len({len(line) for line in result.output.splitlines()}) == 1
    assert result.output.count("a text of some length") == 40


def test_the_first_200_rows_are_shown_and_the_others_counted(published: Path) -> None:
    result = CliRunner().invoke(app, ["sql", "select range as number from range(25123)"])
    assert "199 │" in result.output and "200 │" not in result.output
    assert "24,923 more rows are not shown" in result.output
    assert "No rows." in CliRunner().invoke(app, ["sql", "select * from marts.volumes where false"]).output


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("selec 1", 'syntax error at or near "selec"'),
        ("select eevents from marts.volumes", 'Candidate bindings: "events"'),
        ("select 1; select 2", "say one statement"),
        ("", "say one statement"),
        ("delete from marts.volumes", "read-only mode"),
        ("select * from read_csv('/etc/hostname')", "file system operations are disabled"),
    ],
)
def test_a_statement_that_is_wrong_or_does_more_than_read_is_told_plainly(
    published: Path, statement: str, said: str
) -> None:
    result = CliRunner().invoke(app, ["sql", statement])
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


HOSTILE = "\x1b[2J\x1b]0;title\x07[red]a[/red]\r\nwrote: all is well \u202egpj.exe :smile: \udcff\\"
"""What a file, a folder or a cell may be called on Linux."""
SHOWN = "\\x1b[2J\\x1b]0;title\\x07[red]a[/red]\\r\\nwrote: all is well \\u202egpj.exe :smile: \\udcff\\"


def test_cells_and_headings_are_shown_as_text_in_their_line(published: Path) -> None:
    cell = HOSTILE.replace("\udcff", "")  # DuckDB's texts are UTF-8
    result = CliRunner().invoke(app, ["sql", f"select e'{cell}' as \"[bold]{cell}\", '[red]' as b".replace("\\'", "'")])
    assert result.exit_code == 0, result.output
    heading, row = (result.output.splitlines()[place] for place in (1, 3))
    shown = SHOWN.replace("\\udcff", "").removesuffix("\\")
    assert f"[bold]{shown}" in heading and shown in row and "[red] " in row
    assert len(result.output.splitlines()) == 5
    assert len({len(line) for line in result.output.splitlines()}) == 1, "it lines up"


def test_names_of_files_in_what_a_run_says_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    materialize.show_outcome(
        Outcome(files={"a": HOSTILE}, failures=[f"{HOSTILE} cannot be read"], warnings=[f"[b] {HOSTILE}"])
    )
    with materialize._progress() as announce:
        announce(f"landing {HOSTILE}")
    said = capsys.readouterr().out
    assert "".join(said.split()).count("".join(SHOWN.split())) == 4
    assert "\x1b" not in said and "\r" not in said
    begins = [part.split()[0] for part in said.splitlines() if "wrote" in part]
    assert "wrote:" not in begins[1:], "no line is forged"


def test_a_message_of_the_log_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    logger_of("analytics_assets.ingest.landing").warning(f"{HOSTILE} cannot be read: %s", "a\nb")
    assert caplog.messages == [f"{SHOWN} cannot be read: a\\nb"]


def test_plain_text_keeps_what_can_be_read() -> None:
    assert plain("Café Ångström, 東京, 😀, [b] & <i> 'x'") == "Café Ångström, 東京, 😀, [b] & <i> 'x'"
    assert plain("a\u2028b\u200bc\x9bd\x00") == r"a\u2028b\u200bc\x9bd\x00"
    assert [shortened("abcdef", longest) for longest in (6, 5)] == ["abcdef", "abcd…"]


def test_the_terminal_is_the_only_console() -> None:
    """What rich reads as markup, or a console of one's own, would let a file name through; ruff finds `print`."""
    for file in (PROJECT_DIR / "analytics_assets").rglob("*.py"):
        found = file.read_text()
        assert file.name == "terminal.py" or "rich.console" not in found, file
        assert "rich.markup" not in found and "from_markup" not in found, file


def test_a_snapshot_of_an_impossible_day_is_named_and_stops_nothing(command: Prompt) -> None:
    file = command.inbox / "companies" / "companies-9999-12-31.csv"
    file.parent.mkdir(parents=True)
    file.write_text("APIKEY,INDUSTRY_BACK,INDUSTRY_FRONT,HQ_COUNTRY\nshop,x,x,FR\n")
    said = command("materialize", "--new", "--select", "landed_companies")
    assert said.exit_code == 1
    assert "its name holds '9999-12-31', which is no date" in " ".join(said.output.split())
    for name in ("status", "reconcile"):
        said = command(name)
        assert isinstance(said.exception, SystemExit | None), f"{name}: {said.output}"
    file.unlink()
    assert command("status").exit_code == 0, "gone, and with it what was said of it"
