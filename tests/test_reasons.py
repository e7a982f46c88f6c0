"""Every action has its reason, in a sentence that can be read to the holder."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lifecycle_jobs.reasons import amount_cents, because
from tests.languages.exact import ENGLISH, ITALIAN

E = date(2027, 3, 31)


@pytest.mark.parametrize(
    ("what", "detail", "told"),
    [
        (
            "box.renewed",
            {"years": 2, "new_expires_on": "2029-03-31"},
            "renewed for 2 years, to 31 March 2029: auto-renew",
        ),
        (
            "charge.declined",
            {"code": "insufficient_funds", "next_attempt_on": "2027-03-26", "hard": False},
            "declined (insufficient funds); tried again on 26 March 2027",
        ),
        (
            "charge.declined",
            {"code": "stolen_card", "next_attempt_on": None, "hard": True},
            "declined (card reported stolen); the bank says not to ask again",
        ),
        (
            "charge.declined",
            {"code": "insufficient_funds", "next_attempt_on": None, "hard": False},
            "declined (insufficient funds); that was the last attempt of this term",
        ),
        ("addon.disabled", {"reason": "cancelled"}, "its holder gave it up; its last day was 31 March 2027"),
        (
            "addon.disabled",
            {"reason": "credit_short", "cost": "3.05", "balance": "1.00"},
            "its last day was 31 March 2027, and of €3.05 the credit covers only €1.00",
        ),
        ("box.suspended", {}, "not paid: the last paid day was 31 March 2027"),
        ("box.expiry_alert", {"days_left": 1}, "1 day before the last paid day, 31 March 2027"),
        (
            "box.deletion_warning",
            {"milestone": 7, "days_left": 6, "deletes_on": "2027-06-30"},
            "not paid since 31 March 2027; 6 days before its deletion, 30 June 2027",
        ),
        (
            "box.deletion_warning",
            {"milestone": 0, "deletes_on": "2027-07-07"},
            "its deletion is due, but no warning was delivered: not before 7 July 2027",
        ),
    ],
)
def test_the_reason_names_the_dates_and_amounts_on_which_it_was_decided(
    what: str, detail: dict[str, Any], told: str
) -> None:
    assert because(ENGLISH, what, E, detail).startswith(told)


def test_the_reason_is_said_in_italian_too() -> None:
    renewed = because(ITALIAN, "box.renewed", E, {"years": 2, "new_expires_on": "2029-03-31"})
    again = {"code": "insufficient_funds", "next_attempt_on": "2027-03-08", "hard": False}
    short = {"cost": "3.05", "balance": "1.00", "new_expires_on": "2028-03-31"}

    assert renewed == (
        "rinnovata per 2 anni, fino al 31 marzo 2029: il rinnovo automatico è attivo ed era il momento dell’addebito"
    )
    assert because(ITALIAN, "charge.declined", E, again) == (
        "addebito rifiutato (fondi insufficienti); si riprova l’8 marzo 2027"
    )
    assert because(ITALIAN, "box.suspended", E, {}) == "non pagata: è scaduta il 31 marzo 2027"
    assert because(ITALIAN, "addon.credit_short", E, short) == (
        "la casella è stata rinnovata fino al 31 marzo 2028, "
        "ma servono 3,05\xa0€ e il credito disponibile è di 1,00\xa0€"
    )


@pytest.mark.parametrize(
    ("detail", "cents"),
    [({"gross": "12.08"}, 1208), ({"amount": "0.29"}, 29), ({"cost": "3.05", "balance": "9.00"}, 305), ({}, None)],
)
def test_what_an_action_asks_for_is_known_in_cents(detail: dict[str, Any], cents: int | None) -> None:
    assert amount_cents(detail) == cents
