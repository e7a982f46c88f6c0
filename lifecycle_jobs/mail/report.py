"""What a delivery did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DeliveryReport:
    """How many messages went which way. `stopped` says why the rest was left in the queue, if it was.

    `deferred` were tried and are to be tried again; `held_back` were not, because their recipients had enough for the
    day; `redirected` are those of `sent` that went to `mail.redirect_to`. `elsewhere`: another process was at it, and
    all is left to it. `more`: the pass was over, and there may be more.
    """

    sent: int = 0
    moot: int = 0
    failed: int = 0
    parked: int = 0
    deferred: int = 0
    held_back: int = 0
    redirected: int = 0
    stopped: str | None = None
    elsewhere: bool = False
    more: bool = False

    @property
    def handled(self) -> int:
        """Messages looked at, whatever became of them."""
        return self.sent + self.moot + self.failed + self.parked + self.deferred + self.held_back
