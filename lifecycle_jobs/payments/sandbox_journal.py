"""The sandbox bank's own books: a file of JSON lines that outlives the program and can be counted (SPEC §7).

A line is in the file, and on the disk, before anybody hears of it. Several threads and processes may keep
one journal: each takes its turn under a lock of the operating system, which ends with the process that holds
it, and first reads what the others have written since.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

Outcome = Literal["succeeded", "declined", "never_seen", "refused", "repeated", "mismatched", "refunded"]
"""What the bank did with a request.

`succeeded` is the only one that moved money, and occurs once for a key. `never_seen` and `refused` did not
reach the bank; `repeated` presented a known key again and was told what had become of it; `mismatched`
presented a known key with another amount or token and was turned away. `refunded` gave back what the charge of the
same reference had moved.
"""


class Line(NamedTuple):
    """One request, as the bank wrote it down.

    `moment` is UTC, ISO 8601. `token` is empty where it is none of the sandbox's own: that could be a real
    one. `slot_on` is an ISO date. `answer_lost`: whoever asked was left without an answer.
    """

    moment: str
    key: str
    order_number: str
    amount_cents: int
    token: str
    slot_on: str
    outcome: Outcome
    reference: str | None
    decline_code: str | None
    hard: bool | None
    answer_lost: bool


class Turn:
    """What the holder of the lock may do: look a key up, and write a line."""

    def __init__(self, settled: MutableMapping[str, Line], descriptor: int | None) -> None:
        self._settled = settled
        self._descriptor = descriptor

    def find(self, key: str) -> Line | None:
        """The line that settled the key, `succeeded` or `declined`; None if the bank has not seen it."""
        return self._settled.get(key)

    def find_booked(self, reference: str) -> Line | None:
        """The charge that moved money under this reference."""
        return self._of_reference(reference, "succeeded")

    def find_refund(self, reference: str) -> Line | None:
        """The line that gave that charge back."""
        return self._of_reference(reference, "refunded")

    def _of_reference(self, reference: str, outcome: Outcome) -> Line | None:
        for line in self._settled.values():
            if line.reference == reference and line.outcome == outcome:
                return line
        return None

    def append(self, line: Line) -> None:
        """Write a line so that it survives a power cut; in a rehearsal only remember it.

        Raises OSError if the disk does not take it; it may then be in the journal or not.
        """
        if self._descriptor is None:
            _settle(self._settled, line)
            return
        # Known only once it is read back: the file is the truth, not the memory of this process.
        unwritten = json.dumps(line._asdict(), separators=(",", ":")).encode() + b"\n"
        while unwritten:
            unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        os.fsync(self._descriptor)


class Journal:
    """The file, and what this process has read of it."""

    def __init__(self, path: Path, *, rehearsing: bool = False) -> None:
        self.path = path
        self._rehearsing = rehearsing
        self._one_thread = threading.Lock()
        self._settled: dict[str, Line] = {}
        self._rehearsed: dict[str, Line] = {}
        self._file: tuple[int, int] | None = None
        self._read_to = 0

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Keep everybody else out, and know what they wrote. Raises OSError if the file cannot be used."""
        with self._one_thread:
            if self._rehearsing:
                with _open_to_read(self.path) as descriptor:
                    if descriptor is not None:
                        self._catch_up(descriptor)
                yield Turn(ChainMap(self._rehearsed, self._settled), None)
                return
            with _open_to_append(self.path) as descriptor:
                self._catch_up(descriptor)
                if os.fstat(descriptor).st_size > self._read_to:
                    # Whoever was killed while writing the last line had answered nobody: it was never seen.
                    os.ftruncate(descriptor, self._read_to)
                yield Turn(self._settled, descriptor)

    def _catch_up(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        if self._file != (state.st_dev, state.st_ino) or state.st_size < self._read_to:
            self._file, self._read_to = (state.st_dev, state.st_ino), 0
            self._settled.clear()
        added = _read(descriptor, self._read_to, state.st_size)
        for line in _lines(added):
            _settle(self._settled, line)
        self._read_to += len(added)


def read_lines(path: Path) -> list[Line]:
    """Every line of a journal, in the order the bank wrote them; none if there is no file."""
    with _open_to_read(path) as descriptor:
        if descriptor is None:
            return []
        return list(_lines(_read(descriptor, 0, os.fstat(descriptor).st_size)))


def _settle(settled: MutableMapping[str, Line], line: Line) -> None:
    if line.outcome in {"succeeded", "declined", "refunded"}:
        settled[line.key] = line


def _lines(written: bytes) -> Iterator[Line]:
    for text in written.split(b"\n")[:-1]:
        try:
            yield Line(**json.loads(text.decode()))
        except (ValueError, TypeError):
            # A power cut can leave anything where a line was not yet on the disk: nobody had an answer.
            continue


def _read(descriptor: int, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    while start < end and (part := os.pread(descriptor, end - start, start)):
        parts.append(part)
        start += len(part)
    written = b"".join(parts)
    return written[: written.rfind(b"\n") + 1]


@contextmanager
def _open_to_append(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_CREAT, 0o600)
        _make_name_durable(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _open_to_read(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def _make_name_durable(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
