"""`lifecycle-jobs import` against `COPY` of the same files into bare tables: no types, keys, indexes or checks."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from lifecycle_jobs.db.session import database_url
from tests.bench import databases
from tests.bench.charges import write_provider
from tests.bench.measure import COMMAND, environment_of, watching

_FILES: Final = ("customers", "payment_methods", "boxes", "addons")
_PIECE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Figure:
    """Seconds of the whole command, seconds of `COPY` with its commit, and the command's peak memory."""

    database: str
    seconds: float
    copied: float
    peak_mib: float


def figure(boxes: int, wrong: list[str]) -> Figure:
    """Measure so many boxes, each with a customer and a card; `wrong` gets a sentence if some did not arrive."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder:
        files = Path(folder) / "provider"
        write_provider(files, boxes)
        with databases.fresh("postgresql", Path(folder)) as (url, database):
            copied = _copied(_plain(url), files)
        with databases.fresh("postgresql", Path(folder)) as (url, database):
            environment = environment_of(url, Path(folder))
            subprocess.run([COMMAND, "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)
            began = time.perf_counter()
            process = subprocess.Popen(
                [COMMAND, "import", str(files)], env=environment, cwd=folder, stdout=subprocess.DEVNULL
            )
            with watching(process.pid) as peak:
                code = process.wait()
            seconds = time.perf_counter() - began
            with psycopg.connect(_plain(url)) as connection:
                found = connection.execute("SELECT count(*) FROM boxes").fetchone()
    if code or found != (boxes,):
        wrong.append(f"import of {boxes:,} boxes: exit code {code}, {found} boxes arrived")
    return Figure(database, seconds, copied, max(peak) / 2**20)


def _copied(url: str, files: Path) -> float:
    with psycopg.connect(url) as connection:
        columns = {name: (files / f"{name}.csv").open().readline().strip().split(",") for name in _FILES}
        for name, each in columns.items():
            of_text = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(column)) for column in each)
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), of_text))
        connection.commit()
        began = time.perf_counter()
        for name in _FILES:
            statement = sql.SQL("COPY {} FROM STDIN WITH (FORMAT csv, HEADER)").format(sql.Identifier(name))
            with (
                connection.cursor() as cursor,
                cursor.copy(statement) as copy,
                (files / f"{name}.csv").open("rb") as file,
            ):
                while piece := file.read(_PIECE):
                    copy.write(piece)
        connection.commit()
        return time.perf_counter() - began


def _plain(url: str) -> str:
    return database_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
