"""A stand-in for the bank on one machine: it answers by token and keeps a journal to count (SPEC §7).

It is idempotent by key for ever, across processes and crashes, because it decides from its journal and
writes there before it answers.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from lifecycle_jobs import clock
from lifecycle_jobs.payments.declines import reason_of
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    Refunded,
    RefundOutcome,
    RefundRefused,
    RefundRequest,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.sandbox_journal import Journal, Line, Outcome, Turn, read_lines
from lifecycle_jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the bank does about a token, and whether whoever asked hears of it."""

    outcome: Outcome
    decline_code: str | None = None
    hard: bool | None = None
    answer_lost: bool = False


_PAID = _Verdict("succeeded")
_NONE_OF_OURS = "unknown_token"


def _declined(code: str) -> _Verdict:
    return _Verdict("declined", code, hard=reason_of(code).hard)


_NO_FUNDS = _declined("insufficient_funds")

_VERDICTS = {
    "pm_card_visa": _PAID,
    "pm_card_visa_chargeDeclined": _declined("generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _NO_FUNDS,
    "pm_card_chargeDeclinedExpiredCard": _declined("expired_card"),
    "pm_card_visa_chargeDeclinedStolenCard": _declined("stolen_card"),
    "sandbox_lost_answer_paid": _Verdict("succeeded", answer_lost=True),
    "sandbox_lost_answer_never_seen": _Verdict("never_seen", answer_lost=True),
    "sandbox_unavailable": _Verdict("refused"),
}
_PAID_FROM = "sandbox_paid_from:"


class SandboxGateway:
    """The embedded default gateway. No money moves; what would have moved stands in the journal."""

    lag: timedelta = timedelta(0)
    memory: timedelta | None = None
    parallel: bool = False

    def __init__(self, journal: Path, *, rehearsing: bool = False) -> None:
        self._journal = Journal(journal, rehearsing=rehearsing)

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Collect the amount, at most once for the key, and answer as the token says."""
        try:
            with self._journal.turn() as turn:
                return _charge(turn, request)
        except OSError as error:
            return NotAttempted(f"the sandbox journal cannot be used: {error.strerror}")

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        """What the journal says about the key; an answer that was lost is not lost here."""
        try:
            with self._journal.turn() as turn:
                settled = turn.find(request.idempotency_key)
        except OSError as error:
            return NoAnswer(f"the sandbox journal cannot be used: {error.strerror}")
        return NeverSeen() if settled is None else _told(settled)

    def refund(self, request: RefundRequest) -> RefundOutcome:
        """Give a booked charge back, once."""
        try:
            with self._journal.turn() as turn:
                return _refund(turn, request)
        except OSError as error:
            return NotAttempted(f"the sandbox journal cannot be used: {error.strerror}")

    def check(self) -> str | None:
        """Whether the journal can be written to, or could be made."""
        file = self._journal.path
        try:
            if file.exists():
                with self._journal.turn():
                    return None
        except OSError as error:
            return f"the sandbox journal cannot be used: {error.strerror}"
        there = next(folder for folder in file.absolute().parents if folder.exists())
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return None
        return f"the sandbox journal cannot be made in {there}"

    def rehearse(self) -> Gateway:
        """A gateway for dry runs: answers the same, also about what is already booked, and writes nothing."""
        return SandboxGateway(self._journal.path, rehearsing=True)


def open_sandbox(settings: Settings) -> Gateway:
    """The sandbox with the journal that the settings name."""
    return SandboxGateway(settings.sandbox.journal)


def bookings(journal: Path) -> list[Line]:
    """The charges that moved money, in the order they were booked; a key occurs once."""
    return [line for line in read_lines(journal) if line.outcome == "succeeded"]


def refunds(journal: Path) -> list[Line]:
    """The refunds that moved money back, in the order they were booked."""
    return [line for line in read_lines(journal) if line.outcome == "refunded"]


def _charge(turn: Turn, request: ChargeRequest) -> ChargeOutcome:
    token, verdict = _judge(request.token, request.slot_on)
    settled = turn.find(request.idempotency_key)
    if settled is not None:
        same = (settled.amount_cents, settled.token) == (request.amount_cents, token)
        verdict = _Verdict("repeated", answer_lost=settled.answer_lost) if same else _Verdict("mismatched")
    line = _line(request, token, verdict)
    try:
        turn.append(line)
    except OSError as error:
        return Unknown(f"the sandbox journal took no more: {error.strerror}")
    return _answer(line if settled is None else settled, verdict)


def _refund(turn: Turn, request: RefundRequest) -> RefundOutcome:
    booked = turn.find_booked(request.reference)
    if booked is None:
        return RefundRefused("no such charge")
    if booked.amount_cents != request.amount_cents:
        return RefundRefused("the amount is not that of the charge")
    refund = turn.find_refund(request.reference)
    if refund is None:
        refund = booked._replace(moment=clock.now().isoformat(), key=request.idempotency_key, outcome="refunded")
        try:
            turn.append(refund)
        except OSError as error:
            return Unknown(f"the sandbox journal took no more: {error.strerror}")
    return Refunded(f"{request.reference}_refund")


def _answer(line: Line, verdict: _Verdict) -> ChargeOutcome:
    if verdict.outcome == "mismatched":
        return Unknown("key was used with other parameters")
    if verdict.outcome == "refused":
        return NotAttempted("connection refused")
    if verdict.answer_lost:
        return Unknown("timed out")
    return _told(line)


def _told(line: Line) -> Succeeded | Declined:
    if line.outcome == "succeeded":
        return Succeeded(line.reference or _reference(line.key))
    return Declined(line.decline_code or _NONE_OF_OURS, hard=bool(line.hard))


def _judge(token: str, slot_on: date) -> tuple[str, _Verdict]:
    if token in _VERDICTS:
        return token, _VERDICTS[token]
    paid_from = _paid_from(token)
    if paid_from is not None:
        return token, _NO_FUNDS if slot_on < paid_from else _PAID
    # Where this token came from it may be a real one, so not even the journal repeats it.
    return "", _declined(_NONE_OF_OURS)


def _paid_from(token: str) -> date | None:
    written = token.removeprefix(_PAID_FROM)
    if written == token:
        return None
    try:
        paid_from = date.fromisoformat(written)
    except ValueError:
        return None
    # Python reads more forms of ISO 8601 than the one that the token is documented with.
    return paid_from if paid_from.isoformat() == written else None


def _line(request: ChargeRequest, token: str, verdict: _Verdict) -> Line:
    return Line(
        moment=clock.now().isoformat(),
        key=request.idempotency_key,
        order_number=request.order_number,
        amount_cents=request.amount_cents,
        token=token,
        slot_on=request.slot_on.isoformat(),
        outcome=verdict.outcome,
        reference=_reference(request.idempotency_key) if verdict.outcome == "succeeded" else None,
        decline_code=verdict.decline_code,
        hard=verdict.hard,
        answer_lost=verdict.answer_lost,
    )


def _reference(key: str) -> str:
    return "sandbox_" + hashlib.sha256(key.encode()).hexdigest()[:16]
