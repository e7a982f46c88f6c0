"""What takes longer than a page may: planning a day, reckoning a forecast, doing what was approved.

One thing of each name at a time, in a thread of its own. What it came to is kept until it is begun anew, so that
everybody who looks sees the same. It ends with the process; nothing here needs to outlast it, as all that it does is
safe to break off and to begin again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from lifecycle_jobs import clock
from lifecycle_jobs.errors import LifecycleError
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

    @property
    def under_way(self) -> bool:
        """Whether it goes on."""
        return not self.ended.is_set()


class Work:
    """The pieces of work by name."""

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Piece | None:
        """The piece that was begun last under a name."""
        return self._pieces.get(name)

    def begin(self, name: str, by: str, do: Callable[[Advance], Any]) -> Piece:
        """Begin it, unless it is under way already: then that is the one."""
        with self._lock:
            piece = self._pieces.get(name)
            if piece is not None and piece.under_way:
                return piece
            piece = self._pieces[name] = Piece(name, by, clock.now())
        threading.Thread(target=self._do, args=(piece, do), name=f"console {name}", daemon=True).start()
        return piece

    def _do(self, piece: Piece, do: Callable[[Advance], Any]) -> None:
        def advance(doing: str, rows: int) -> None:
            if doing != piece.doing:
                piece.doing, piece.rows = doing, 0
            piece.rows += rows

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
