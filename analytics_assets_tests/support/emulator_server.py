"""The emulator as a process of its own: prints its port when it answers. Started by emulator.py."""

import decimal
import importlib.abc
import importlib.machinery
import io
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

_TYPES = {"STRING": "varchar", "INTEGER": "bigint", "FLOAT": "double", "BOOLEAN": "boolean", "DATE": "date"}
_TYPES |= {"TIMESTAMP": "timestamptz", "NUMERIC": "decimal(38, 9)"}
DAY_COLUMN = "_day"


class Refused(NamedTuple):
    """What the emulator refuses although BigQuery can do it."""

    pattern: str
    instead: str
    statement: str
    reason: str


REFUSED = (
    Refused(
        r"create or replace table function .*",
        "select 1",
        "`CREATE TABLE FUNCTION`",
        "It knows no functions; the query of the function is run with days in the place of its arguments.",
    ),
    Refused(
        r"format\('%\.17g', ([`\w]+)\)",
        r"cast(\1 as string)",
        "`FORMAT('%.17g', …)`",
        "It knows few formats; fractions are told apart by another text, so that of rows that tie in all but a "
        "fraction another may win.",
    ),
    Refused(
        r", wide_number_mode => 'round'",
        "",
        "`PARSE_JSON(…, wide_number_mode => 'round')`",
        "It knows no arguments by name; numbers of more digits than a fraction holds are not tried.",
    ),
    Refused(
        r"alter table \S+\s+set options \(partition_expiration_days.*",
        "select 1",
        "`ALTER TABLE … SET OPTIONS (partition_expiration_days = …)`",
        "It keeps no such option, and deletes no partition.",
    ),
    Refused(
        r"require_partition_filter\s*=\s*True\s*,?",
        "",
        "`OPTIONS (require_partition_filter = true)`",
        "It keeps no such option; that every statement of a run names its days is not shown by it.",
    ),
)
"""Each with what stands there instead when a statement is run; docs/bigquery.md names them, too."""

FLAGS = re.IGNORECASE | re.DOTALL
"""How the patterns are meant."""


class _Interpreted(importlib.abc.MetaPathFinder):
    """Finds sqlglot's sources and not what was compiled of them, from which the emulator cannot inherit."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if fullname.split(".")[0] != "sqlglot":
            return None
        for folder in path or sys.path:
            loader = (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES)
            if spec := importlib.machinery.FileFinder(folder, loader).find_spec(fullname):
                return spec
        return None


def serve() -> None:
    """Runs the emulator, with a way in for raw days; prints the port when it answers."""
    import polars as pl
    import uvicorn
    from crucible.engine import Engine, Pipeline
    from crucible.engine.session import Session
    from crucible.server.app import create_app
    from crucible.server.bigquery.app import BigQueryServer
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    decimal.DefaultContext.prec = 38  # NUMERIC's digits, of which it would answer 28; other threads start from this
    decimal.setcontext(decimal.DefaultContext)
    engine = Engine()

    async def load(request: Request) -> JSONResponse:
        """Puts a day's rows into its table as a load job would: all of the partition, or nothing."""
        target = ".".join(f'"{request.path_params[part]}"' for part in ("project", "dataset", "table"))
        names, types = zip(*(column.split(":") for column in request.query_params["columns"].split(",")), strict=True)
        rows = pl.read_parquet(io.BytesIO(await request.body())).select(names)
        # In small letters, which mean the same: a column that is renamed in its case alone, it does not rename.
        columns = ", ".join(f'"{name.lower()}" {_TYPES[kind]}' for name, kind in zip(names, types, strict=True))
        with engine.cursor(Session()) as cursor:
            cursor.execute(f"create table if not exists {target} ({columns})")
            cursor.execute("begin")
            cursor.execute(f"delete from {target} where {DAY_COLUMN} = ?", [request.path_params["day"]])
            if rows.height:
                cursor.executemany(f"insert into {target} values ({', '.join('?' * len(names))})", rows.rows())
            cursor.execute("commit")
        return JSONResponse({"rows": rows.height})

    execute, asked = Pipeline.execute, list[str]()

    def without_what_it_refuses(self: Pipeline, session: Session, sql: str, params: Any = None) -> Any:
        """Runs a statement, and keeps it as it was asked."""
        asked.append(sql)
        for refused in REFUSED:
            sql = re.sub(refused.pattern, refused.instead, sql, flags=FLAGS)
        return execute(self, session, sql, params)

    patched: dict[str, Any] = {}
    patch = BigQueryServer.tables_patch

    async def kept_patch(self: BigQueryServer, request: Request) -> Any:
        """Changes a table as it can, and keeps what else was asked: it would forget the descriptions of columns."""
        patched[request.path_params["table"]] = await request.json()
        return await patch(self, request)

    BigQueryServer.tables_patch = kept_patch

    async def statements(request: Request) -> JSONResponse:
        return JSONResponse({"statements": asked, "patched": patched})

    Pipeline.execute = without_what_it_refuses
    app = create_app("bigquery", engine)
    app.router.routes.insert(0, Route("/asked", statements, methods=["GET"]))
    app.router.routes.insert(0, Route("/raw/{project}/{dataset}/{table}/{day}", load, methods=["POST"]))

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            print(self.servers[0].sockets[0].getsockname()[1], flush=True)

    Server(uvicorn.Config(app, port=0, log_level="error")).run()


if __name__ == "__main__":
    sys.meta_path.insert(0, _Interpreted())
    serve()
