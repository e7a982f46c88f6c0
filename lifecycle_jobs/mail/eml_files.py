"""Messages as files, one `.eml` each, in a folder per day: for trying out, and for pick-up by another program."""

from __future__ import annotations

import re
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
        file = self._directory / envelope.created_on.isoformat() / file_name(envelope)
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


def file_name(envelope: Outgoing) -> str:
    """A name for people to find, the same for the same message: day, kind, customer, and a digest of the key."""
    customer = _UNSAFE.sub("_", envelope.customer_id)[:_LONGEST_ID]
    digest = sha256(envelope.key.encode()).hexdigest()[:8]
    return f"{envelope.created_on}-{envelope.kind}-{customer}-{digest}.eml"
