"""What a delivery did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class DeliveryReport:
    """How many messages went which way. `stopped` says why the rest was left in the queue, if it was.

    `deferred` were tried and are to be tried again; `held_back` were not, because their recipients had enough for the
    day; `redirected` are those of `sent` that went to `mail.redirect_to`. `elsewhere`: another process was at it, and
    all is left to it. `more`: the pass was over, and there may be more. `failures` are for a person to look at: what
    became of other processes that were to help.
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
    failures: list[str] = field(default_factory=list)

    def add(self, other: DeliveryReport) -> None:
        """Count what another process did."""
        self.sent += other.sent
        self.moot += other.moot
        self.failed += other.failed
        self.parked += other.parked
        self.deferred += other.deferred
        self.held_back += other.held_back
        self.redirected += other.redirected
        self.more = self.more or other.more

    @property
    def handled(self) -> int:
        """Messages looked at, whatever became of them."""
        return self.sent + self.moot + self.failed + self.parked + self.deferred + self.held_back
