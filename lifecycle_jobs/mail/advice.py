"""What can still be done about a declined charge on the day its message is written (SPEC §3, auto_renew).

The advice of the decline says what would help; the calendar says whether anything is charged by itself any more.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from lifecycle_jobs.mail.contents import Advice, ChargeDeclinedLine

NextStep = Literal["wait", "replace", "top_up", "pay"]
"""The one thing that a holder is asked to do first."""

_NEW_METHOD: Final[frozenset[Advice]] = frozenset({"replace", "confirm"})
_NOTHING_TO_DO: Final[frozenset[Advice]] = frozenset({"provider", "later"})


def tried_again(line: ChargeDeclinedLine) -> bool:
    """Whether the same payment method is charged once more."""
    return line.next_attempt_on is not None and not line.final and not line.hard


def replaceable(line: ChargeDeclinedLine, on: date) -> bool:
    """Whether a payment method stored now is still charged: by the next run, which must not come after E."""
    return line.expires_on > on


def only_by_hand(line: ChargeDeclinedLine, on: date) -> bool:
    """Whether following the advice is not enough, because nothing would be charged: the order must be paid by hand."""
    return not (replaceable(line, on) if line.advice in _NEW_METHOD else tried_again(line))


def next_step(line: ChargeDeclinedLine, on: date) -> NextStep:
    """What the holder does first: wait, replace the method, top up, or pay by hand."""
    if line.advice == "confirm" or only_by_hand(line, on):
        return "pay"
    if line.advice in _NOTHING_TO_DO:
        return "wait"
    if line.advice == "replace":
        return "replace"
    return "top_up" if line.advice == "credit" else "pay"
