"""What moved money, as the bank wrote it down: one JSON line each, in the file before anybody is answered."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Charge:
    """A payment that was made. `moment` is ISO 8601, UTC; `key` is the idempotency key it came with."""

    moment: str
    key: str
    amount: int
    payment_method: str
    customer: str | None
    reference: str
    order: str
    box: str


@dataclass(frozen=True, slots=True)
class Refund:
    """A payment that was given back. `reference` names the payment."""

    moment: str
    key: str
    amount: int
    reference: str
    refund: str


def append(file: Path, entry: Charge | Refund) -> None:
    line = {"what": type(entry).__name__, **asdict(entry)}
    with file.open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(line) + "\n")


def charges(file: Path) -> list[Charge]:
    return [Charge(**line) for line in _lines(file, "Charge")]


def refunds(file: Path) -> list[Refund]:
    return [Refund(**line) for line in _lines(file, "Refund")]


def _lines(file: Path, what: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.pop("what") == what]
