"""What was measured, kept in a file: one record for each cell, the latest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lifecycle_jobs import clock
from tests.bench.cells import Cell
from tests.bench.figures import machine


@dataclass(frozen=True, slots=True)
class Record:
    """Figures of one cell. `wrong` says in sentences what was not as it had to be; then the figures prove nothing."""

    cell: Cell
    about: str
    figures: Mapping[str, Any]
    wrong: tuple[str, ...]
    machine: str
    measured_on: str


Records = dict[Cell, Record]


def record(cell: Cell, about: str, figures: Mapping[str, Any], wrong: Iterable[str] = ()) -> Record:
    """Measured now, on this machine. `about` names the database or the server with its version."""
    return Record(cell, about, figures, tuple(wrong), machine(), clock.now().date().isoformat())


def read(file: Path) -> Records:
    """What the file holds; nothing if it is not there."""
    if not file.exists():
        return {}
    records = {}
    for each in json.loads(file.read_text())["records"]:
        cell = Cell(**each.pop("cell"))
        records[cell] = Record(cell, **{**each, "wrong": tuple(each["wrong"])})
    return records


def merge(file: Path, new: Record) -> Records:
    """Put a record into the file, in the place of an earlier one of the same cell; returns all of them."""
    records = read(file) | {new.cell: new}
    write(file, json.dumps({"records": [asdict(each) for each in records.values()]}, indent=1) + "\n")
    return records


def write(file: Path, content: str) -> None:
    """Replace a file as a whole: who breaks off has the old one."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    with unfinished.open("w") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    unfinished.replace(file)
