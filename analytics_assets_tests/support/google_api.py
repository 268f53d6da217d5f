"""A stand-in for Google's login and for its Drive and Sheets API on loopback; faults come as they are set.

Written after Google's references (developers.google.com/drive/api/reference/rest/v3, …/sheets/api/reference/rest), not
after the code that it tests. Where Google is strict it is strict, too: a request needs a token of its own login, all
parts of a batch are applied or none, a cell must lie within its tab, not all rows may be frozen. It keeps what it was
asked.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.credentials import CredentialsWithRegionalAccessBoundary
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from analytics_assets_tests.support.bigquery_api import listening

Resource = dict[str, Any]

ACCOUNT = "reports@a-project.example"
TOKEN = "ya29.a-token-of-the-stand-in"
MOST_CELLS = 10_000_000
MOST_CHARACTERS = 50_000


class GoogleError(Exception):
    """An answer that is an error; Drive gives its reason, too."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason

    def response(self) -> Response:
        error: Resource = {"code": self.status, "message": self.message}
        if self.reason:
            error["errors"] = [{"domain": "global", "reason": self.reason, "message": self.message}]
        return JSONResponse({"error": error}, status_code=self.status)


@dataclass
class HeldTab:
    """A tab: its properties, and its cells by row and column."""

    properties: Resource
    cells: dict[tuple[int, int], Resource] = field(default_factory=dict)
    widths: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        grid = self.properties["gridProperties"]
        return grid["rowCount"], grid["columnCount"]

    @property
    def values(self) -> list[list[str | float | None]]:
        """What stands in the cells, row by row."""
        rows, columns = self.size
        return [[self._value(row, column) for column in range(columns)] for row in range(rows)]

    def _value(self, row: int, column: int) -> str | float | None:
        value = self.cells.get((row, column), {}).get("userEnteredValue", {})
        assert not {"formulaValue"} & value.keys(), "a formula would be evaluated"
        return next(iter(value.values()), None)

    def pattern(self, row: int, column: int) -> str:
        return self.cells[row, column]["userEnteredFormat"]["numberFormat"]["pattern"]


@dataclass
class HeldSpreadsheet:
    """A spreadsheet in Drive: who owns it, where it lies, who may read it, and its tabs by their numbers."""

    name: str
    owner: str = ACCOUNT
    folder: str = ""
    is_trashed: bool = False
    readers: list[Resource] = field(default_factory=list)
    tabs: dict[int, HeldTab] = field(default_factory=dict)

    def tab(self, title: str) -> HeldTab:
        return next(tab for tab in self.tabs.values() if tab.properties["title"] == title)

    @property
    def titles(self) -> list[str]:
        return [tab.properties["title"] for tab in self.tabs.values()]


@dataclass
class GoogleApi:
    """The APIs, what they hold and what they saw.

    Attributes:
        faults: what goes wrong with which request, counted from 1: `503` answers so without doing anything,
            `503 after` does what it is asked first; `403 <reason>` is an answer of Drive.
        has_storage: whether the account may own files.
        spreadsheets: by id.
        requests: method and path of each, in their order.
        mails: how many were sent.
    """

    faults: Mapping[int, str] = field(default_factory=dict)
    has_storage: bool = True
    spreadsheets: dict[str, HeldSpreadsheet] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    mails: int = 0
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def key_file(self, folder: Path, url: str) -> Path:
        """The key of the account, as Google's console writes it, but with this login."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / "key.json"
        content = {
            "type": "service_account",
            "project_id": "a-project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "token_uri": f"{url}/token",
        }
        file.write_text(json.dumps(content))
        return file

    @property
    def secrets(self) -> list[str]:
        """What must stand in no log: the token, and a line of the key."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return [TOKEN, pem.decode().splitlines()[3]]

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            ("/drive/v3/files", "GET", self._list_files),
            ("/drive/v3/files", "POST", self._make_file),
            ("/drive/v3/files/{file}/permissions", "GET", self._list_permissions),
            ("/drive/v3/files/{file}/permissions", "POST", self._add_permission),
            ("/v4/spreadsheets/{file}", "GET", self._get),
            ("/v4/spreadsheets/{file}:batchUpdate", "POST", self._batch_update),
        ]
        found = [Route(path, self._answering(do), methods=[method]) for path, method, do in reversed(routes)]
        return Starlette(routes=[Route("/token", self._log_in, methods=["POST"]), *found])

    async def _log_in(self, request: Request) -> Response:
        (assertion,) = parse_qs((await request.body()).decode())["assertion"]
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        try:
            claims = jwt.decode(assertion, certs=public)
        except ValueError as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        assert claims["iss"] == ACCOUNT
        return JSONResponse({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def _answering(self, do: Callable[[Request, Resource], Resource]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            content = await request.body()
            self.requests.append(f"{request.method} {request.url.path}")
            fault, _, how = self.faults.get(len(self.requests), "").partition(" ")
            try:
                if request.headers.get("authorization") != f"Bearer {TOKEN}":
                    raise GoogleError(401, "Request had invalid authentication credentials.")
                if fault and how != "after":
                    raise GoogleError(int(fault), "Quota exceeded for quota metric 'Write requests'.", how)
                answer = JSONResponse(do(request, json.loads(content or b"{}")))
                return Response("Service unavailable", int(fault)) if fault else answer
            except GoogleError as error:
                return error.response()

        return endpoint

    # ------------------------------------------------------------------------------------------------------- Drive

    def _list_files(self, request: Request, body: Resource) -> Resource:
        query = request.query_params["q"]
        name = re.search(r"name = '((?:[^'\\]|\\.)*)'", query)
        assert name and "mimeType = 'application/vnd.google-apps.spreadsheet'" in query
        wanted = re.sub(r"\\(.)", r"\1", name[1])
        folder = re.search(r"'([\w-]+)' in parents", query)
        files = [
            {"id": number, "name": held.name}
            for number, held in self.spreadsheets.items()
            if held.name == wanted
            and ("trashed = false" not in query or not held.is_trashed)
            and (not folder or held.folder == folder[1])
            and ("'me' in owners" not in query or held.owner == ACCOUNT)
        ]
        assert request.query_params.get("orderBy") == "createdTime", "else their order is any"
        return {"files": files[: int(request.query_params["pageSize"])]}

    def _make_file(self, request: Request, body: Resource) -> Resource:
        if not self.has_storage:
            raise GoogleError(403, "The user's Drive storage quota has been exceeded.", "storageQuotaExceeded")
        assert body["mimeType"] == "application/vnd.google-apps.spreadsheet"
        number = f"made-{len(self.spreadsheets) + 1}"
        grid = {"rowCount": 1000, "columnCount": 26}
        first = HeldTab({"sheetId": 0, "title": "Sheet1", "gridProperties": grid})
        folder = (body.get("parents") or [""])[0]
        self.spreadsheets[number] = HeldSpreadsheet(body["name"], folder=folder, tabs={0: first})
        return {"id": number, "name": body["name"]}

    def _held(self, request: Request) -> HeldSpreadsheet:
        if (held := self.spreadsheets.get(request.path_params["file"])) is None:
            raise GoogleError(404, "Requested entity was not found.")
        return held

    def _list_permissions(self, request: Request, body: Resource) -> Resource:
        held = self._held(request)
        return {"permissions": [{"id": "0", "role": "owner", "emailAddress": held.owner}, *held.readers]}

    def _add_permission(self, request: Request, body: Resource) -> Resource:
        self._held(request).readers.append(body)
        self.mails += request.query_params.get("sendNotificationEmail", "true").lower() == "true"
        return {"id": body["emailAddress"]}

    # ------------------------------------------------------------------------------------------------------ Sheets

    def _get(self, request: Request, body: Resource) -> Resource:
        held = self._held(request)
        return {
            "spreadsheetId": request.path_params["file"],
            "properties": {"title": held.name},
            "sheets": [{"properties": tab.properties} for tab in held.tabs.values()],
        }

    def _batch_update(self, request: Request, body: Resource) -> Resource:
        held = self._held(request)
        tabs = copy.deepcopy(held.tabs)
        for one in body["requests"]:
            ((name, part),) = one.items()
            getattr(self, f"_{name}")(tabs, part)
        for tab in tabs.values():
            grid = tab.properties["gridProperties"]
            if grid.get("frozenRowCount", 0) >= grid["rowCount"]:
                raise GoogleError(400, "You can't freeze all visible rows on the sheet.")
            if grid.get("frozenColumnCount", 0) >= grid["columnCount"]:
                raise GoogleError(400, "You can't freeze all visible columns on the sheet.")
        if not tabs:
            raise GoogleError(400, "You can't remove all the sheets in a document.")
        if sum(rows * columns for rows, columns in (tab.size for tab in tabs.values())) > MOST_CELLS:
            raise GoogleError(400, f"This action would increase the number of cells above {MOST_CELLS}.")
        held.tabs = tabs
        return {"spreadsheetId": request.path_params["file"], "replies": [{} for _ in body["requests"]]}

    def _tab(self, tabs: dict[int, HeldTab], number: int) -> HeldTab:
        if number not in tabs:
            raise GoogleError(400, f"No grid with id: {number}")
        return tabs[number]

    def _addSheet(self, tabs: dict[int, HeldTab], part: Resource) -> None:
        properties = part["properties"]
        if properties["title"].lower() in {tab.properties["title"].lower() for tab in tabs.values()}:
            raise GoogleError(400, f'A sheet with the name "{properties["title"]}" already exists.')
        if properties["sheetId"] in tabs or not 0 <= properties["sheetId"] < 2**31:
            raise GoogleError(400, f"Sheet with ID {properties['sheetId']} cannot be added")
        tabs[properties["sheetId"]] = HeldTab(properties)

    def _deleteSheet(self, tabs: dict[int, HeldTab], part: Resource) -> None:
        self._tab(tabs, part["sheetId"])
        del tabs[part["sheetId"]]

    def _updateSheetProperties(self, tabs: dict[int, HeldTab], part: Resource) -> None:
        tab, grid = self._tab(tabs, part["properties"]["sheetId"]), part["properties"]["gridProperties"]
        for name in part["fields"].split(","):
            head, _, leaf = name.partition(".")
            assert head == "gridProperties" and leaf in grid, name
            tab.properties["gridProperties"][leaf] = grid[leaf]
        rows, columns = tab.size
        tab.cells = {
            (row, column): cell for (row, column), cell in tab.cells.items() if row < rows and column < columns
        }

    def _updateCells(self, tabs: dict[int, HeldTab], part: Resource) -> None:
        tab = self._tab(tabs, part["range"]["sheetId"])
        assert part["range"].keys() == {"sheetId"} and part["fields"] == "userEnteredValue"
        for cell in tab.cells.values():
            cell.pop("userEnteredValue", None)
        rows, columns = tab.size
        for row, values in enumerate(part["rows"]):
            for column, cell in enumerate(values["values"]):
                if row >= rows or column >= columns:
                    raise GoogleError(400, f"Attempting to write column: {column}, beyond the last requested column")
                value = cell.get("userEnteredValue", {})
                assert value.keys() <= {"stringValue", "numberValue"} and len(value) <= 1
                if len(str(value.get("stringValue", ""))) > MOST_CHARACTERS:
                    raise GoogleError(400, f"Your input contains more than the maximum of {MOST_CHARACTERS} characters")
                if value:
                    tab.cells.setdefault((row, column), {})["userEnteredValue"] = value

    def _repeatCell(self, tabs: dict[int, HeldTab], part: Resource) -> None:
        tab, where = self._tab(tabs, part["range"]["sheetId"]), part["range"]
        names = re.fullmatch(r"userEnteredFormat\(([\w,]+)\)", part["fields"])
        assert names, part["fields"]
        rows, columns = tab.size
        for row in range(where.get("startRowIndex", 0), where.get("endRowIndex", rows)):
            for column in range(where.get("startColumnIndex", 0), where.get("endColumnIndex", columns)):
                held = tab.cells.setdefault((row, column), {}).setdefault("userEnteredFormat", {})
                held |= {name: part["cell"]["userEnteredFormat"][name] for name in names[1].split(",")}

    def _updateDimensionProperties(self, tabs: dict[int, HeldTab], part: Resource) -> None:
        tab, where = self._tab(tabs, part["range"]["sheetId"]), part["range"]
        assert (where["dimension"], part["fields"]) == ("COLUMNS", "pixelSize")
        for column in range(where["startIndex"], where["endIndex"]):
            assert column < tab.size[1]
            tab.widths[column] = part["properties"]["pixelSize"]


@contextmanager
def served(api: GoogleApi) -> Iterator[str]:
    """Serves on loopback until the block ends; gives the address.

    Beside each login, Google's library would ask Google itself for the account's regions.
    """
    asks = "_is_regional_access_boundary_lookup_required"
    with patch.object(CredentialsWithRegionalAccessBoundary, asks, lambda _: False), listening(api.app()) as url:
        yield url
