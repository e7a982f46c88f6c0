"""Made-up reports for `templates check` and the tests: a quiet day, a bad one, and one that was never run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from lifecycle_jobs.report.contents import ComingDay, Count, DailyReport, RunOfDay
from lifecycle_jobs.status import Listing
from lifecycle_jobs.stops import Stop
from lifecycle_jobs.watching.noticing import DECLINED, MOVED, UNDELIVERED, Unusual

_ON: Final = date(2027, 3, 24)
_E: Final = date(2027, 3, 31)
_NOTHING: Final = Listing(0, [])


def _listing(*rows: dict[str, Any], total: int | None = None) -> Listing:
    return Listing(len(rows) if total is None else total, list(rows))


QUIET: Final = DailyReport(
    on=_ON,
    as_of=_ON,
    stop=None,
    gap=None,
    run=RunOfDay("completed", 1, datetime(2027, 3, 24, 2, 4, tzinfo=UTC), 0),
    counts=[Count("box.expiry_alert", 1204, 1187, 1251), Count("box.renewed", 312, 298, 305)],
    deletions=_NOTHING,
    problems=[],
    unusual=[],
    parked=_NOTHING,
    unresolved=_NOTHING,
    overdue=0,
    refunds_due=_NOTHING,
    failed_messages=_NOTHING,
    notices=_NOTHING,
    not_attempted=_NOTHING,
    held_back=_NOTHING,
    unwarned=0,
    coming=[ComingDay(_ON + timedelta(days=ahead), expiry_alerts=1200 + ahead) for ahead in range(1, 8)],
)
"""A day on which all went well."""

BUSY: Final = replace(
    QUIET,
    stop=Stop(datetime(2027, 3, 24, 9, 30, tzinfo=UTC), "anna", "the bank reports double charges"),
    gap=date(2027, 3, 3),
    run=RunOfDay("running", 2, None, 0),
    counts=[
        *QUIET.counts,
        Count("box.deleted", 2, 0, 12_345),
        Count("something.new", 1, 0, 0),
    ],
    deletions=_listing(
        {
            "address": "mario.rossi@pec.example.it",
            "customer_id": "c1",
            "expires_on": date(2026, 12, 23),
            "suspended_on": date(2026, 12, 24),
        },
        {
            "address": "amministrazione.condominio.via.garibaldi.127@pec.example.it",
            "customer_id": "CLIENTE-000000123456789",
            "expires_on": date(2026, 12, 8),
            "suspended_on": date(2026, 12, 9),
        },
        total=501,
    ),
    problems=["130 boxes are due for deletion, more than 5 % of 1000 and more than 100: none was deleted."],
    unusual=[
        Unusual(_ON, "delete", "box.deleted", 130, usual=11.5, stopped=True),
        Unusual(_ON, "send_alerts", "box.expiry_alert", 0, usual=1187.0),
        Unusual(_ON, "renew_addons", "something.new", 2500, usual=0.0),
        Unusual(_ON, "auto_renew", DECLINED, 120, out_of=400, usual=12.4),
        Unusual(_ON - timedelta(days=1), "messages", UNDELIVERED, 1300, usual=9.0),
        Unusual(_ON - timedelta(days=1), "import", MOVED, 12_000, out_of=1_000_000),
    ],
    parked=_listing(
        {"run_on": _ON, "job": "suspend", "subject": "box:17", "error": "IntegrityError: no <good>", "times": 1},
        {"run_on": _ON, "job": "deliver", "subject": "message:4", "error": "RenderError: no good", "times": 3},
    ),
    unresolved=_listing(
        {
            "idempotency_key": "lifecycle-17-2027-03-31-7-1",
            "address": "segreteria@pec.example.it",
            "status": "unknown",
            "amount_cents": 1208,
            "why": "timed out",
            "since": _ON,
            "days": 0,
        },
        {
            "idempotency_key": "lifecycle-18-2027-03-31-7-1",
            "address": "ufficio@pec.example.it",
            "status": "pending",
            "amount_cents": 123_456,
            "why": None,
            "since": _ON - timedelta(days=4),
            "days": 4,
        },
    ),
    overdue=1,
    refunds_due=_listing(
        {
            "key": "lifecycle-19-2027-03-31-7-1",
            "kind": "charge",
            "gateway_reference": "pi_3",
            "address": "vendite@pec.example.it",
            "order_number": "R-19-20270331",
            "amount_cents": 3026,
            "since": _ON,
            "days": 1,
        },
        {
            "key": "CRO 123",
            "kind": "registered",
            "gateway_reference": None,
            "address": "legale@pec.example.it",
            "order_number": "R-20-20270331",
            "amount_cents": 1208,
            "since": _ON,
            "days": 2,
        },
    ),
    failed_messages=_listing(
        {"id": 1, "kind": "box.suspended", "customer_id": "c2", "since": _ON, "response": "550 5.1.1 no such user"},
        {"id": 2, "kind": "something.new", "customer_id": "c3", "since": _ON, "response": None},
    ),
    notices=_listing(
        {
            "notice_id": "evt_1",
            "concerns": "dispute",
            "kind": "charge.dispute.created",
            "idempotency_key": "lifecycle-16-2027-03-31-7-1",
            "amount_cents": 1208,
            "reason": "fraudulent",
            "received_at": datetime(2027, 3, 24, 7, 0, tzinfo=UTC),
        },
        {
            "notice_id": "evt_2",
            "concerns": "refund",
            "kind": "charge.refunded",
            "idempotency_key": None,
            "amount_cents": None,
            "reason": None,
            "received_at": datetime(2027, 3, 24, 8, 0, tzinfo=UTC),
        },
        {
            "notice_id": "evt_3",
            "concerns": "outcome",
            "kind": "payment_intent.succeeded",
            "idempotency_key": "lifecycle-15-2027-03-31-7-1",
            "amount_cents": 1208,
            "reason": None,
            "received_at": datetime(2027, 3, 24, 9, 0, tzinfo=UTC),
        },
    ),
    not_attempted=_listing(
        {"address": "info@pec.example.it", "why": "connection refused", "since": _ON, "days": 0},
        {"address": "shop@pec.example.it", "why": None, "since": _ON, "days": 0},
    ),
    held_back=_listing(
        *(
            {
                "address": f"{reason}@pec.example.it",
                "expires_on": date(2026, 12, 1),
                "since": date(2026, 12, 2),
                "days": 112,
                "reason": reason,
            }
            for reason in ("on_hold", "no_delivered_warning", "something_new")
        )
    ),
    unwarned=1,
    coming=[
        ComingDay(
            _E,
            expiry_alerts=27_412,
            renewal_notices=9_120,
            first_charges=8_803,
            ended_by_hand=1_019,
            ended_automatic=733,
            deletions=425,
        )
    ],
)
"""A day on which everything went wrong that can."""

MISSING: Final = replace(QUIET, run=None, counts=[], coming=[])
"""A date that was never run, with nothing to tell."""

SAMPLES: Final[Sequence[DailyReport]] = (QUIET, BUSY, MISSING)
