"""Very many boxes of which exactly so many are due, and no others: what shows whether the others cost anything.

Everybody has two boxes and no history. The boxes that are due are spread evenly among the others, whose terms end so
far away that no job has to look at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, Literal

from lifecycle_jobs.policy import UNPAID
from tests.bench.due import Due
from tests.bench.rows import COLUMNS, Batch, Days, Row

Fate = Literal["alert", "suspend", "delete", "renew"]

_BATCH: Final = 20_000
_BOXES_OF_A_CUSTOMER: Final = 2
_DAYS_LEFT: Final[dict[Fate, int]] = {"alert": 30, "suspend": -1, "delete": -91, "renew": 7}
_EVENT: Final[dict[Fate, tuple[str, str]]] = {
    "alert": ("send_alerts", "box.expiry_alert"),
    "suspend": ("suspend", "box.suspended"),
    "delete": ("delete", "box.deleted"),
    "renew": ("auto_renew", "box.renewed"),
}
_FAR: Final = range(100, 360)
"""Days left of the others: before the first alert."""


class Sparse:
    """So many boxes. The first of those due meets the first fate, the next the next, and so on, round and round.

    The rows can be had once; afterwards `due` says what the day has to do.
    """

    def __init__(self, boxes: int, on: date, due: int, fates: Sequence[Fate]) -> None:
        self.due = Due()
        self._boxes = boxes
        self._days = Days(on)
        self._wanted = due
        self._every = boxes // due
        self._fates = fates

    def batches(self) -> Iterator[Batch]:
        """All rows, in batches that refer only to themselves and to those before."""
        for start in range(1, self._boxes + 1, _BATCH):
            batch: Batch = {table: [] for table in COLUMNS}
            for number in range(start, min(start + _BATCH, self._boxes + 1)):
                self._make(number, batch)
            yield batch

    def _make(self, number: int, batch: Batch) -> None:
        holder = (number + 1) // _BOXES_OF_A_CUSTOMER
        customer = f"c{holder:08d}"
        if number % _BOXES_OF_A_CUSTOMER:
            batch["customers"].append((customer, f"Holder {holder}", f"{customer}@example.it", "it", None, 0))
        turn, rest = divmod(number, self._every)
        if rest or turn > self._wanted:
            left = _FAR[number % len(_FAR)]
            batch["boxes"].append(self._box(number, customer, "active", left, None))
            return
        fate = self._fates[(turn - 1) % len(self._fates)]
        method = None
        if fate == "renew":
            method = f"m{number:08d}"
            batch["payment_methods"].append((method, customer, "card", "pm_card_visa", "visa", "4242"))
            self.due.attempts["succeeded"] += 1
        self.due.expect(*_EVENT[fate], holder)
        status = "suspended" if fate == "delete" else "active"
        batch["boxes"].append(self._box(number, customer, status, _DAYS_LEFT[fate], method))

    def _box(self, number: int, customer: str, status: str, left: int, method: str | None) -> Row:
        # Neighbours by address are not neighbours on the disk, as in life.
        address = f"box{number * 7_368_787 % 1_000_000_007:010d}@pec.example.it"
        suspended = status == "suspended"
        return (
            number,
            address,
            address,
            customer,
            "standard",
            status,
            self._days.text(left),
            1,
            int(method is not None),
            method,
            None,
            None,
            None,
            None,
            None,
            self._days.text(left + 1) if suspended else None,
            UNPAID if suspended else None,
            None,
        )
