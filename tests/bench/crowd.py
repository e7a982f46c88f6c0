"""Very many boxes with the same day ahead of them, and nothing else: what one set-based job is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

from lifecycle_jobs.policy import UNPAID
from tests.bench.rows import COLUMNS, Batch, Days, Row

Job = Literal["suspend", "delete", "send_alerts"]
JOBS: tuple[Job, ...] = ("suspend", "delete", "send_alerts")

_BATCH = 20_000
_BOXES_OF_A_CUSTOMER = 2
_DAYS_LEFT = {"suspend": -1, "delete": -91, "send_alerts": 30}


def batches(job: Job, boxes: int, on: date) -> Iterator[Batch]:
    """So many boxes, two to a customer, each of which the job has to change on that date; one add-on in ten."""
    days = Days(on)
    for start in range(0, boxes, _BATCH):
        batch: Batch = {table: [] for table in COLUMNS}
        for number in range(start + 1, min(start + _BATCH, boxes) + 1):
            customer = f"c{(number + 1) // _BOXES_OF_A_CUSTOMER:08d}"
            if number % _BOXES_OF_A_CUSTOMER:
                batch["customers"].append((customer, f"Holder {number}", f"{customer}@example.it", "it", None, 0))
            batch["boxes"].append(_box(job, number, customer, days))
            if number % 10 == 0:
                term = days.text(_DAYS_LEFT[job])
                batch["addons"].append((f"a{number:08d}", number, "extra_inbox", 1, 250, "renewal", "active", term))
        yield batch


def _box(job: Job, number: int, customer: str, days: Days) -> Row:
    left = _DAYS_LEFT[job]
    suspended = job == "delete"
    address = f"box{number:08d}@pec.example.it"
    return (
        number,
        address,
        address,
        customer,
        "standard",
        "suspended" if suspended else "active",
        days.text(left),
        1,
        0,
        None,
        None,
        None,
        None,
        None,
        None,
        days.text(left + 1) if suspended else None,
        UNPAID if suspended else None,
        None,
    )
