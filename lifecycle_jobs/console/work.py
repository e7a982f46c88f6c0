"""What takes longer than a page may: planning a day, reckoning a forecast, doing what was approved.

One thing of each name at a time, in a thread of its own. What it came to is kept until it is begun anew, so that
everybody who looks sees the same. It ends with the process; nothing here needs to outlast it, as all that it does is
safe to break off and to begin again.

A plan holds what it writes until it is taken back, on SQLite the whole file, and so does the look at one right before
it is carried out: whoever throws the emergency stop must not wait for it, so it can be broken off.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from lifecycle_jobs import clock
from lifecycle_jobs.errors import LifecycleError, StopRequested
from lifecycle_jobs.runs import describe

log = structlog.get_logger()

Advance = Callable[[str, int], None]
"""Told what is being done and how many rows are through."""


@dataclass(slots=True)
class Piece:
    """A piece of work: how far it is, and what came of it. `by` is who began it."""

    name: str
    by: str
    began_at: datetime
    doing: str = ""
    rows: int = 0
    result: Any = None
    trouble: str | None = None
    ended_at: datetime | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    broken_off: threading.Event = field(default_factory=threading.Event)

    @property
    def under_way(self) -> bool:
        """Whether it goes on."""
        return not self.ended.is_set()


class Work:
    """The pieces of work by name, and a folder for what they make, which is gone when the console is."""

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}
        self._lock = threading.Lock()
        self._folder: TemporaryDirectory[str] | None = None

    def new_file(self) -> Path:
        """A name for a file of a piece of work, which only its owner may read."""
        with self._lock:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="lifecycle-console-")
            return Path(self._folder.name) / uuid.uuid4().hex

    def find(self, name: str) -> Piece | None:
        """The piece that was begun last under a name."""
        return self._pieces.get(name)

    def named(self, beginning: str) -> Sequence[Piece]:
        """The pieces whose names begin so, the latest first."""
        with self._lock:
            found = [piece for name, piece in self._pieces.items() if name.startswith(beginning)]
        return sorted(found, key=lambda piece: piece.began_at, reverse=True)

    def forget(self, piece: Piece) -> None:
        """Keep what it came to no longer."""
        with self._lock:
            if self._pieces.get(piece.name) is piece:
                del self._pieces[piece.name]

    def begin(self, name: str, by: str, do: Callable[[Advance], Any]) -> Piece:
        """Begin it, unless it is under way already: then that is the one."""
        with self._lock:
            piece = self._pieces.get(name)
            if piece is not None and piece.under_way:
                return piece
            piece = self._pieces[name] = Piece(name, by, clock.now())
        threading.Thread(target=self._do, args=(piece, do), name=f"console {name}", daemon=True).start()
        return piece

    def break_off(self, beginning: str, patience: float) -> None:
        """End the pieces whose names begin so, and wait for their end so many seconds at most."""
        found = [piece for piece in self.named(beginning) if piece.under_way]
        for piece in found:
            piece.broken_off.set()
        for piece in found:
            piece.ended.wait(patience)

    def close(self) -> None:
        """The console is gone: nobody looks any more."""
        self.break_off("", 0)
        if self._folder is not None:
            self._folder.cleanup()

    def _do(self, piece: Piece, do: Callable[[Advance], Any]) -> None:
        def advance(doing: str, rows: int) -> None:
            if doing != piece.doing:
                piece.doing, piece.rows = doing, 0
            piece.rows += rows
            if piece.broken_off.is_set():
                message = "Broken off. What was committed stays done; it can be begun again."
                raise StopRequested(message)

        try:
            piece.result = do(advance)
        except LifecycleError as refused:
            piece.trouble = str(refused)
        except Exception as error:  # noqa: BLE001 -- whatever it is, whoever looks has to be told
            log.warning("console_work_failed", work=piece.name, error=type(error).__name__)
            piece.trouble = describe(error)
        finally:
            piece.ended_at = clock.now()
            piece.ended.set()
