"""What the sandbox answers (SPEC §7)."""

from __future__ import annotations

from datetime import date

SOFT = {"pm_card_visa_chargeDeclined", "pm_card_visa_chargeDeclinedInsufficientFunds"}
HARD = {"pm_card_chargeDeclinedExpiredCard", "pm_card_visa_chargeDeclinedStolenCard"}
PAID_FROM = "sandbox_paid_from:"


def bank(token: str, slot_on: date) -> str:
    """Its answer by token, to a charge for a slot on that date."""
    if token in SOFT:
        return "soft"
    if token in HARD:
        return "hard"
    if token.startswith(PAID_FROM):
        return "succeeded" if slot_on >= date.fromisoformat(token.removeprefix(PAID_FROM)) else "soft"
    return {
        "pm_card_visa": "succeeded",
        "sandbox_lost_answer_paid": "lost, booked",
        "sandbox_lost_answer_never_seen": "lost",
        "sandbox_unavailable": "refused",
    }[token]
