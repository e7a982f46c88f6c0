"""The actions of a plan in a file, so that a million of them need no memory and a later plan can be compared with it.

A line of JSON for each action, compressed. The files name boxes and holders, so only their owner may read them.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

from lifecycle_jobs.jobs.actions import Action

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-([0-9a-f]{16})\.jsonl\.gz")
_FAST = 1
"""Level of compression: such files shrink to a tenth even so, and a run waits for it."""


@contextmanager
def scratch_file() -> Iterator[Path]:
    """A file that is gone when the block ends."""
    descriptor, name = tempfile.mkstemp(prefix="lifecycle-plan-", suffix=".jsonl.gz")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_actions(path: Path, actions: Iterable[Action]) -> None:
    """Write them, in their order."""
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=_FAST) as file:
        for action in actions:
            file.write(json.dumps(asdict(action), default=date.isoformat) + "\n")


def read_actions(path: Path) -> Iterator[Action]:
    """Read them again, as they were written."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            told = json.loads(line)
            term = told.pop("term_expires_on")
            yield Action(**told, term_expires_on=None if term is None else date.fromisoformat(term))


def keep(folder: Path, on: date, digest: str, path: Path) -> None:
    """Keep the file of a plan under its date and hash. Raises OSError if the folder does not take it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".unfinished-", delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
            unfinished.rename(folder / f"{on}-{digest}.jsonl.gz")
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def find(folder: Path, on: date, digest: str) -> Path | None:
    """The file of a plan of a date; none if it was not kept here."""
    path = folder / f"{on}-{digest}.jsonl.gz"
    return path if _NAME.fullmatch(path.name) and path.is_file() else None


def forget(folder: Path, today: date, days: int) -> None:
    """Remove the plans for dates more than so many days back."""
    for path in folder.glob("*.jsonl.gz"):
        named = _NAME.fullmatch(path.name)
        if named and date.fromisoformat(named[1]) < today - timedelta(days=days):
            path.unlink(missing_ok=True)
