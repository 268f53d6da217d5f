"""Writes the tabs of a report into a Google Sheet: through gspread, as a service account.

A tab is replaced as a whole by one request, which Google applies as a whole or not at all. Each step looks at what is
there before it writes, so that a step whose answer got lost can be repeated, and a second run gives the same sheet.
Importing gspread takes half a second: import this module inside the step alone.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import count
from typing import Any, TypeVar

import gspread
from google.auth.exceptions import GoogleAuthError
from gspread.exceptions import APIError
from gspread.http_client import HTTPClient, ParamsType
from gspread.urls import DRIVE_FILES_API_V3_URL, SPREADSHEET_DRIVE_URL
from requests import RequestException, Response
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from analytics_assets.foundation.failures import is_transient
from analytics_assets.reports.tabs import Cell, Room, Tab
from analytics_assets.settings import Sheets
from analytics_assets.spec.report import Format

ROOM = Room(rows=10_000, characters=50_000)
"""What a tab holds: a request should not be much larger than some megabytes, and a cell of a sheet holds so many
characters (support.google.com/drive/answer/37603)."""

TRIES = 6
"""How often a step is tried. With waits of 5, 10, 20, 40 and 80 seconds, a quota of a minute has passed by then."""

_TIMEOUT = (10.0, 180.0)  # seconds: to connect; Google gives up on a request after three minutes

_MIME_TYPE = "application/vnd.google-apps.spreadsheet"

_TRANSIENT_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded"})
"""With which Drive answers 403 for too many requests (developers.google.com/drive/api/guides/handle-errors)."""

_NO_STORAGE = frozenset({"storageQuotaExceeded", "teamDriveFileLimitExceeded", "insufficientFilePermissions"})

_DAY_ZERO = date(1899, 12, 30)  # of the serial numbers that spreadsheets hold for days

_PIXELS = 7  # of a character

_TYPES: Mapping[Format, str] = {Format.SHARE: "PERCENT", Format.MONEY: "CURRENCY"}

_Request = dict[str, Any]
_Found = TypeVar("_Found")


class SheetError(RuntimeError):
    """Why a sheet could not be written; `may_pass` says whether a retry may succeed a little later."""

    def __init__(self, reason: str, *, may_pass: bool, why: str = "") -> None:
        super().__init__(reason)
        self.may_pass, self.why = may_pass, why


def send(settings: Sheets, title: str, tabs: Sequence[Tab], wait_seconds: float) -> str:
    """Replaces some tabs of the spreadsheet of a title, shares it, and returns its address; other tabs stay.

    The spreadsheet is made if there is none. Readers who lack access are added; nobody is removed, and no mail is sent.

    Args:
        wait_seconds: how long to wait before the first repetition; then twice that each time.

    Raises:
        SheetError: Google cannot be reached or refuses; no error names the key.
    """
    client = _client(settings)

    def trying(step: Callable[[], _Found]) -> _Found:
        return Retrying(
            retry=retry_if_exception(is_transient),
            wait=wait_exponential(multiplier=wait_seconds),
            stop=stop_after_attempt(TRIES),
            reraise=True,
        )(step)

    try:
        known = trying(lambda: _find(client, settings, title))
        # A spreadsheet whose making was not answered may be there all the same, so it is looked for again.
        sheet = known or trying(lambda: _find(client, settings, title) or client.create(title, settings.folder).id)
        for tab in tabs:
            trying(partial(_replace, client, sheet, tab))
        if not known:
            trying(lambda: _delete_others(client, sheet, tabs))
        trying(lambda: _share(client, settings, sheet))
    except SheetError as error:
        if error.why in _NO_STORAGE:
            raise SheetError(f"{error}; {_where_to_make_it(client, title)}", may_pass=False) from error
        raise
    return SPREADSHEET_DRIVE_URL % sheet


def _client(settings: Sheets) -> gspread.Client:
    class Api(HTTPClient):
        """Google's APIs, or a stand-in for them, with errors that say what Google said."""

        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Response:
            if settings.api_endpoint:
                endpoint = settings.api_endpoint + endpoint.partition("googleapis.com")[2]
            try:
                return super().request(method, endpoint, *args, **kwargs)
            except APIError as error:
                raise _as_sheet_error(error.response.status_code, error.error) from error
            except (RequestException, GoogleAuthError) as error:
                said = f"{type(error).__name__}: {error}"
                raise SheetError(f"Google cannot be reached: {said}", may_pass=is_transient(error)) from error

    try:
        client = gspread.service_account(settings.key_file, http_client=Api)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no key of a service account, as Google's JSON"
        said = f"{settings.key_file} of ANALYTICS_SHEETS__KEY_FILE cannot be used: {reason}"
        raise SheetError(said, may_pass=False) from None  # what its parser quotes may be the key
    client.set_timeout(_TIMEOUT)
    return client


def _as_sheet_error(status: int, error: Mapping[str, Any]) -> SheetError:
    why = next((str(one.get("reason", "")) for one in error.get("errors", ())), "")
    may_pass = status in (408, 429) or status >= 500 or why in _TRANSIENT_REASONS
    message = " ".join(str(error["message"]).split())
    return SheetError(f"Google answers {status}: {message}", may_pass=may_pass, why=why)


def _where_to_make_it(client: gspread.Client, title: str) -> str:
    account = getattr(client.http_client.auth, "service_account_email", "the account")
    return (
        f"make a spreadsheet named {title!r} in a folder that is shared with {account} as an editor, or name a folder "
        "of a shared drive, in which the account may make it; the folder stands in ANALYTICS_SHEETS__FOLDER"
    )


def _find(client: gspread.Client, settings: Sheets, title: str) -> str | None:
    """The oldest spreadsheet of a title in the folder, or else among those that the account owns.

    gspread's own look-up would also take one that lies in the bin, or that a stranger has shared with the account.
    """
    quoted = title.replace("\\", "\\\\").replace("'", "\\'")
    place = f"'{settings.folder}' in parents" if settings.folder else "'me' in owners"
    params: ParamsType = {
        "q": f"mimeType = '{_MIME_TYPE}' and name = '{quoted}' and trashed = false and {place}",
        "orderBy": "createdTime",
        "pageSize": 1,
        "fields": "files(id)",
        "supportsAllDrives": True,
        "includeItemsFromAllDrives": True,
    }
    files = client.http_client.request("get", DRIVE_FILES_API_V3_URL, params=params).json()["files"]
    return files[0]["id"] if files else None


def _tabs(client: gspread.Client, spreadsheet: str) -> dict[str, int]:
    """The numbers of the tabs that a spreadsheet has, by title."""
    found = client.http_client.fetch_sheet_metadata(spreadsheet, {"fields": "sheets.properties(sheetId,title)"})
    return {one["properties"]["title"]: one["properties"]["sheetId"] for one in found["sheets"]}


def _replace(client: gspread.Client, spreadsheet: str, tab: Tab) -> None:
    client.http_client.batch_update(spreadsheet, {"requests": _requests(tab, _tabs(client, spreadsheet))})


def _delete_others(client: gspread.Client, spreadsheet: str, tabs: Sequence[Tab]) -> None:
    """Deletes the empty tab with which a spreadsheet is made."""
    titles = {tab.title for tab in tabs}
    others = [number for title, number in _tabs(client, spreadsheet).items() if title not in titles]
    if others:
        requests = [{"deleteSheet": {"sheetId": number}} for number in others]
        client.http_client.batch_update(spreadsheet, {"requests": requests})


def _share(client: gspread.Client, settings: Sheets, spreadsheet: str) -> None:
    if not settings.readers:
        return
    held = {str(one.get("emailAddress", "")).lower() for one in client.list_permissions(spreadsheet)}
    for reader in settings.readers:
        if reader.lower() not in held:
            client.insert_permission(spreadsheet, reader, perm_type="user", role="reader", notify=False)


# ------------------------------------------------------------------------------------------------------- requests


def _requests(tab: Tab, there: Mapping[str, int]) -> list[_Request]:
    """The parts of the request that makes a tab hold these rows and nothing else.

    Args:
        there: the numbers of the tabs that the spreadsheet has, by title.
    """
    rows = [list(tab.headings), *tab.rows, *([[tab.below]] if tab.below else [])]
    number = there.get(tab.title)
    properties: _Request = {
        "sheetId": _new_number(tab.title, there) if number is None else number,
        "gridProperties": {
            "rowCount": max(len(rows), 2),  # not all rows can be frozen
            "columnCount": len(tab.headings),
            "frozenRowCount": 1,
            "frozenColumnCount": tab.named_by,
        },
    }
    where = {"sheetId": properties["sheetId"]}
    begin: _Request = {"addSheet": {"properties": {"title": tab.title, **properties}}}
    if number is not None:
        fields = ",".join(f"gridProperties.{name}" for name in properties["gridProperties"])
        begin = {"updateSheetProperties": {"properties": properties, "fields": fields}}
    cells = {
        "range": where,  # the whole tab: what the rows do not reach is emptied
        "rows": [{"values": [_cell(cell) for cell in row]} for row in rows],
        "fields": "userEnteredValue",
    }
    heading = {"textFormat": {"bold": True}, "wrapStrategy": "WRAP", "verticalAlignment": "TOP"}
    return [
        begin,
        {"updateCells": cells},
        _formatted({**where, "startRowIndex": 0, "endRowIndex": 1}, heading),
        *(_of_column(tab, at, where) for at in range(len(tab.headings))),
        *(
            {
                "updateDimensionProperties": {
                    "range": {**where, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1},
                    "properties": {"pixelSize": width * _PIXELS},
                    "fields": "pixelSize",
                }
            }
            for at, width in enumerate(tab.widths)
        ),
    ]


def _new_number(title: str, there: Mapping[str, int]) -> int:
    """A number for a new tab, from its title: the same request then makes the same tab."""
    first = zlib.crc32(title.encode()) >> 1  # 31 bits
    return next(number for number in count(first) if number not in there.values())


def _cell(cell: Cell) -> _Request:
    """A cell by the type of its value. A text is never parsed, so that none becomes a formula (as input option RAW)."""
    match cell:
        case None:
            return {}
        case str():
            return {"userEnteredValue": {"stringValue": cell}}
        case date():
            return {"userEnteredValue": {"numberValue": (cell - _DAY_ZERO).days}}
        case _:
            return {"userEnteredValue": {"numberValue": cell}}


def _of_column(tab: Tab, at: int, where: _Request) -> _Request:
    """The format of a column below its heading."""
    form = tab.formats[at]
    wanted: _Request = {"wrapStrategy": "WRAP", "verticalAlignment": "TOP"}
    if form:
        wanted = {"numberFormat": {"type": _TYPES.get(form.format, "NUMBER"), "pattern": form.pattern}}
    elif any(isinstance(row[at], date) for row in tab.rows):
        wanted = {"numberFormat": {"type": "DATE", "pattern": "yyyy-mm-dd"}}
    return _formatted({**where, "startRowIndex": 1, "startColumnIndex": at, "endColumnIndex": at + 1}, wanted)


def _formatted(where: _Request, wanted: _Request) -> _Request:
    fields = f"userEnteredFormat({','.join(wanted)})"
    return {"repeatCell": {"range": where, "cell": {"userEnteredFormat": wanted}, "fields": fields}}
