"""Messages as files, one `.eml` each, in a folder per day: for trying out, and for pick-up by another program."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path

from lifecycle_jobs.mail.transports import (
    Accepted,
    AlwaysOpen,
    MayHandOver,
    Outcome,
    Outgoing,
    TemporaryFailure,
    Withheld,
    at_once,
)

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_ID = 60
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class EmlFiles(AlwaysOpen):
    """Writes messages below a directory. A message written again replaces itself, so nothing comes twice."""

    repeatable = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: set[Path] = set()

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        """Write the file under its name only when it is complete; a full disk or a missing right is temporary."""
        if not may_hand_over():
            return Withheld()
        file = self._directory / envelope.created_on.isoformat() / _name_of(envelope)
        unfinished = file.with_name(f".{file.name}.unfinished")
        try:
            if file.parent not in self._made:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(file.parent)
            unfinished.write_bytes(envelope.content)
            unfinished.replace(file)
        except OSError as error:
            self._made.discard(file.parent)
            return TemporaryFailure(f"{type(error).__name__}: {error.strerror}", unavailable=True, attempted=False)
        return Accepted(file.relative_to(self._directory).as_posix())


def _name_of(envelope: Outgoing) -> str:
    return file_name(envelope.created_on, envelope.kind, envelope.customer_id, envelope.key)


def file_name(created_on: date, kind: str, customer_id: str, key: str) -> str:
    """A name for people to find, the same for the same message: day, kind, customer, and a digest of the key."""
    customer = _UNSAFE.sub("_", customer_id)[:_LONGEST_ID]
    return f"{created_on}-{kind}-{customer}-{sha256(key.encode()).hexdigest()[:8]}.eml"


def days_with_files(directory: Path, before: date) -> Iterator[date]:
    """The days before one that have a folder, the oldest first."""
    folders = sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    for name in folders:
        if _DAY.fullmatch(name) and name < before.isoformat():
            yield date.fromisoformat(name)


def files_of(directory: Path, day: date, *, but: Collection[str]) -> list[Path]:
    """The messages of a day, without those of these names. Files that are not ours are none."""
    ours = re.compile(rf"\.?{day}-[a-z._]+-[A-Za-z0-9._-]+-[0-9a-f]{{8}}\.eml(\.unfinished)?")
    found = (directory / day.isoformat()).iterdir()
    return sorted(path for path in found if ours.fullmatch(path.name) and path.name not in but and path.is_file())


def delete_files(files: list[Path]) -> None:
    """Delete messages of a day, and the folder of the day if nothing is left in it."""
    for file in files:
        file.unlink(missing_ok=True)
    if files and not any(files[0].parent.iterdir()):
        files[0].parent.rmdir()
