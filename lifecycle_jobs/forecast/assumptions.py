"""What the months ahead depend on and no policy says: which charges are declined, and who pays by hand.

All of it are shares between 0 and 1, measured over the last year or given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle_jobs.languages import Speech

PAID_BY_HAND_BEFORE: Final = {30: 0.25, 15: 0.25, 7: 0.25, 1: 0.25}
"""Days before E on which payers by hand pay, where the last year does not tell: when the last alerts reach them."""


_ROUNDING = 1e-9
"""What rounding may leave of nothing: shares that add up to one do so only nearly."""


@dataclass(frozen=True, slots=True)
class Declines:
    """How often a charge is declined, by its slot, and the share of declines after which no other is tried (hard).

    Each attempt is a draw of its own; that cards which were declined once are declined again is in the rates of the
    later slots. `otherwise` holds for a slot that is not in `by_slot`.
    """

    otherwise: float = 0.0
    hard: float = 0.0
    by_slot: Mapping[int, float] = field(default_factory=dict)

    def rate(self, slot: int) -> float:
        """The share of charges for a slot that are declined."""
        return self.by_slot.get(slot, self.otherwise)


@dataclass(frozen=True, slots=True)
class ByHand:
    """The share of terms without auto-renewal that somebody pays, and how many days before E (after it: negative).

    The shares of `days_before` add up to 1.
    """

    rate: float = 0.0
    days_before: Mapping[int, float] = field(default_factory=lambda: dict(PAID_BY_HAND_BEFORE))

    def chance(self, offset: int) -> float:
        """The chance that it is paid so many days after E (before: negative), if it was not paid on an earlier day."""
        earlier = sum(share for before, share in self.days_before.items() if -before < offset)
        open_still = 1 - self.rate * earlier
        due = self.rate * self.days_before.get(-offset, 0.0)
        return min(1.0, due / open_still) if open_still > _ROUNDING else 0.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something about a forecast, to be said in any language.

    Of its values floats are shares from 0 to 1, whole numbers are numbers, and what is itself a sentence is said first.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def said(self, speech: Speech) -> str:
        """The sentence in a language."""
        return speech(self.text, **{name: _value(speech, value) for name, value in self.values.items()})

    def __str__(self) -> str:
        return self.said(Speech("en"))


def _value(speech: Speech, value: Any) -> Any:
    if isinstance(value, Sentence):
        return value.said(speech)
    if isinstance(value, float):
        return speech.share(value)
    return speech.number(value) if isinstance(value, int) else value


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Rates by kind of payment method, those of payers by hand, and sentences that say where they come from."""

    declines: Mapping[str, Declines]
    by_hand: ByHand
    told: Sequence[Sentence] = ()

    def of(self, kind: str) -> Declines:
        """How charges to such a method are declined."""
        return self.declines.get(kind, Declines())
