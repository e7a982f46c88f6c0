"""The actions of a plan in a file, so that a million of them need no memory and a later plan can be compared with it.

A line of JSON for each action, compressed in blocks, so that a page of them is read without what stands before it.
The files name boxes and holders, so only their owner may read them.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.whole_files import write_whole

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-([0-9a-f]{16})\.jsonl\.gz")
_UNFINISHED = re.compile(r"\.\d{4}-\d{2}-\d{2}-[0-9a-f]{16}\.jsonl\.gz\.")
"""What a process has left behind that was killed while it kept a plan."""

_FAST = 1
"""Level of compression: such files shrink to a tenth even so, and a run waits for it."""

_BLOCK = 1000
"""Actions that are compressed together."""


@dataclass(frozen=True, slots=True)
class Block:
    """Where in the file some actions lie, how many stand before them, and how many of them do what."""

    offset: int
    length: int
    first: int
    kinds: Mapping[str, int]


@contextmanager
def scratch_file() -> Iterator[Path]:
    """A file that is gone when the block ends."""
    descriptor, name = tempfile.mkstemp(prefix="lifecycle-plan-", suffix=".jsonl.gz")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_actions(path: Path, actions: Iterable[Action]) -> Sequence[Block]:
    """Write them, in their order; returns where they are."""
    blocks = []
    offset = first = 0
    left = iter(actions)
    with path.open("wb") as file:
        while some := list(islice(left, _BLOCK)):
            lines = "".join(json.dumps(asdict(action), default=date.isoformat) + "\n" for action in some)
            length = file.write(gzip.compress(lines.encode(), _FAST, mtime=0))
            blocks.append(Block(offset, length, first, Counter(action.what for action in some)))
            offset += length
            first += len(some)
    return blocks


def read_actions(path: Path) -> Iterator[Action]:
    """Read them again, as they were written."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield _action(line)


def read_from(path: Path, blocks: Sequence[Block], place: int, what: str | None) -> Iterator[tuple[int, Action]]:
    """The actions from a place on, each with its place (from 0); with `what`, only those that do this."""
    sought = b"" if what is None else json.dumps(what).encode()
    for block in blocks:
        number = sum(block.kinds.values()) if what is None else block.kinds.get(what, 0)
        if number and block.first + sum(block.kinds.values()) > place:
            for at, line in enumerate(_lines(path, block), block.first):
                if at >= place and sought in line:
                    action = _action(line)
                    if what is None or action.what == what:
                        yield at, action


def read_of_box(path: Path, blocks: Sequence[Block], address: str) -> Iterator[Action]:
    """The actions on one box, whatever the case of its address is."""
    # Most lines need not be parsed to see that they are about another one.
    sought = json.dumps(address.lower()).encode() if address.isascii() else b""
    for block in blocks:
        for line in _lines(path, block):
            if sought in line.lower():
                action = _action(line)
                if action.address is not None and action.address.lower() == address.lower():
                    yield action


def _lines(path: Path, block: Block) -> Sequence[bytes]:
    with path.open("rb") as file:
        file.seek(block.offset)
        return gzip.decompress(file.read(block.length)).splitlines()


def _action(line: str | bytes) -> Action:
    told = json.loads(line)
    term = told.pop("term_expires_on")
    return Action(**told, term_expires_on=None if term is None else date.fromisoformat(term))


def keep(folder: Path, on: date, digest: str, path: Path) -> None:
    """Keep the file of a plan under its date and hash. Raises OSError if the folder does not take it."""
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as plan, write_whole(folder / f"{on}-{digest}.jsonl.gz", private=True) as kept:
        shutil.copyfileobj(plan, kept)


def find(folder: Path, on: date, digest: str) -> Path | None:
    """The file of a plan of a date; none if it was not kept here."""
    path = folder / f"{on}-{digest}.jsonl.gz"
    return path if _NAME.fullmatch(path.name) and path.is_file() else None


def no_longer_kept(folder: Path, today: date, days: int) -> Sequence[Path]:
    """The plans whose date lies more than so many days back, and the day on which they were made too.

    The plan of a date long past, made to replay it, would otherwise be gone at once. Raises OSError if it cannot be
    told.
    """
    first = today - timedelta(days=days)
    return [path for path in folder.iterdir() if _is_over(path, first)]


def forget(plans: Sequence[Path]) -> None:
    """Remove them. Raises OSError if they are another user's."""
    for path in plans:
        path.unlink(missing_ok=True)


def _is_over(path: Path, first: date) -> bool:
    named = _NAME.fullmatch(path.name)
    over = _UNFINISHED.match(path.name) if named is None else date.fromisoformat(named[1]) < first
    return bool(over) and _made_on(path) < first


def _made_on(path: Path) -> date:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
