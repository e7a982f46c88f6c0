"""What a person has done is told with its particulars, in words."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle_jobs.explaining.details import details_told
from tests.languages.exact import ENGLISH, ITALIAN


@pytest.mark.parametrize(
    ("detail", "english", "italian"),
    [
        (
            {"reason": "dispute", "until": "2027-06-30"},
            "reason: dispute; until: 30 June 2027",
            "motivo: dispute; fino al: 30 giugno 2027",
        ),
        (
            {"order_number": "R-1", "amount": "24.16", "reference": "CRO-77", "effective": True},
            "amount: €24.16; reference: CRO-77; taken by the order: yes",
            "importo: 24,16\xa0€; riferimento: CRO-77; accettato dall’ordine: sì",
        ),
        (
            {"kind": "extra_inbox", "quantity": 2, "balance": None, "addons": []},
            "kind: extra inbox space; quantity: 2",
            "tipo: spazio casella aggiuntivo; quantità: 2",
        ),
        (
            {"plan": "pro", "extras": {"extra_archive": 3}, "pay_by": "bank_transfer"},
            "plan: pro; extra space: 3 × extra archive space; to be paid by: bank transfer",
            "piano: pro; spazio aggiuntivo: 3 × spazio archivio aggiuntivo; da pagare con: bonifico",
        ),
        (
            {"code": "stolen_card", "hard": True, "addons": ["a1", "a2"]},
            "reason: card reported stolen; for good: yes; add-ons: a1, a2",
            "motivo: carta segnalata come rubata; definitivamente: sì; servizi aggiuntivi: a1, a2",
        ),
        ({"of_tomorrow": "x"}, "of tomorrow: x", "of tomorrow: x"),
        ({}, "", ""),
    ],
)
def test_details_are_told_by_name_and_value(detail: dict[str, Any], english: str, italian: str) -> None:
    assert details_told(ENGLISH, detail) == english
    assert details_told(ITALIAN, detail) == italian
