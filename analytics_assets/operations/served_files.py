"""What the UI's server shows beside the UI: the reports below `/exports/`, and the dbt docs at `/docs/`.

A report holds text from files that anybody may have dropped, and is served by the origin that launches runs. So its
page is sandboxed: whatever runs in it has an origin of its own, reaches no address, and cannot send what the UI sends.
"""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

KINDS = {
    ".html": "text/html",
    ".csv": "text/csv",
    ".md": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The content types of what is served, by ending; other files, such as the record of what is built, are not."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; "
        "sandbox allow-scripts allow-downloads allow-modals allow-popups allow-popups-to-escape-sandbox"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # asked again each time, since a report keeps its name
}


class _Files(StaticFiles):
    """The files of a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)
        self._folder = folder

    async def check_config(self) -> None:
        """Leaves a missing folder to the single request, since it may be made later."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The answer with a file."""
        file = Path(full_path)
        kind = KINDS.get(file.suffix)
        if kind is None or any(part.startswith(".") for part in file.relative_to(self._folder.resolve()).parts):
            raise HTTPException(404)
        response = FileResponse(
            file, status_code=status_code, stat_result=stat_result, media_type=kind, headers=dict(HEADERS)
        )
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


class WithFiles:
    """Answers requests for reports and dbt docs, and passes all others on to the application.

    Args:
        below: the path of the UI's address, if that has one.
    """

    def __init__(self, app: ASGIApp, exports: Path, docs: Path, below: str = "") -> None:
        # The page of all reports links to the docs by their place in the clone, seen from its own.
        paths = {"exports": exports, "docs": docs, "dbt_project/target/docs": docs}
        places = {f"{below.rstrip('/')}/{path}": folder for path, folder in paths.items()}
        self._app, self._places = app, tuple(places)
        self._files = Starlette(routes=[Mount(place, _Files(folder)) for place, folder in places.items()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with a file, or as the application does."""
        path = scope.get("path", "")
        is_ours = scope["type"] == "http" and any(path == p or path.startswith(f"{p}/") for p in self._places)
        await (self._files if is_ours else self._app)(scope, receive, send)
