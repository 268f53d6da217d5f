"""Reloads a changed dbt project automatically: it asks the sensors' code server to reload its definitions.

Each run loads the current files when it starts; the automation's graph is loaded only once.
While the two differ, nothing is requested, since runs would use code that the graph does not know.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from threading import Thread

from analytics_assets.dagster_internals import CodeLocationOrigin, GrpcServerCodeLocationOrigin
from analytics_assets.dbt.project import fingerprint, loaded_fingerprint
from analytics_assets.foundation.failures import in_brief
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.settings import Settings

logger = logger_of(__name__)

CHANGED = "The dbt project has changed since it was loaded"
RELOAD_SECONDS = 180

_TRY = "import analytics_assets.definitions as location; location.defs.resolve_all_asset_specs()"


class Reload:
    """Detects that files of the dbt project differ from the loaded ones, and reloads them.

    Args:
        faults: the project's faults, such as models that are left out.
        tell: called with what a person must know, once per state of the files.
    """

    def __init__(self, settings: Settings, faults: Sequence[str], tell: Callable[[Sequence[str]], None]) -> None:
        self._settings, self._faults, self._tell = settings, faults, tell
        self._loaded = self._seen = loaded_fingerprint(settings)
        self._thread: Thread | None = None
        self._why_not = ""

    def __call__(self, origin: CodeLocationOrigin | None) -> str | None:
        """The reason why the automation must not request anything now; None if it may.

        Files are loaded once they have not changed since the previous call: `git pull` writes many files, and an editor
        may write one in two steps.

        Args:
            origin: how to reach the caller's code server.
        """
        if self._faults:
            self._tell(self._faults)
            self._faults = ()
        now, before = fingerprint(self._settings), self._seen
        self._seen = now
        if now != before:
            self._thread, self._why_not = None, ""
        if now == self._loaded:
            return None
        if not isinstance(origin, GrpcServerCodeLocationOrigin):
            return self._given_up("press `Reload definitions` in the UI")
        if now == before and self._thread is None:
            self._thread = Thread(target=self._reload, args=[origin], daemon=True)
            self._thread.start()
        return self._why_not or f"{CHANGED}; it is being loaded."

    def _reload(self, origin: GrpcServerCodeLocationOrigin) -> None:
        """Reloads the code server; on success that ends this process, and another one replaces it."""
        tried = subprocess.run([sys.executable, "-c", _TRY], capture_output=True, text=True, check=False)
        if tried.returncode:  # a server that cannot load has no sensors, so nothing would reload it after a fix
            last = (tried.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            self._given_up(f"it cannot be loaded: {last}")
            return
        try:
            origin.create_client().reload_code(timeout=RELOAD_SECONDS)
        except Exception as error:  # from gRPC, or the server does not support a reload
            self._given_up(f"press `Reload definitions` in the UI ({type(error).__name__})")

    def _given_up(self, what_to_do: str) -> str:
        if not self._why_not:
            self._why_not = in_brief(f"{CHANGED}; the automation waits: {what_to_do}.")
            logger.warning(self._why_not)
            self._tell([self._why_not])
        return self._why_not
