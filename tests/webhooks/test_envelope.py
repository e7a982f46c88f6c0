"""What a webhook says: enough to act on, the same each time, signed so that the library's own verifier takes it."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from lifecycle_jobs import clock
from lifecycle_jobs.webhooks.envelope import written
from tests.webhooks.receiver import ANOTHER_SECRET, SECRET
from tests.webhooks.sending import DELETED

DOMAIN = "lifecycle.example.it"


def test_it_tells_what_happened_to_which_box() -> None:
    assert json.loads(written(DELETED, DOMAIN).body) == {
        "type": "box.deleted",
        "timestamp": "2027-06-30T01:02:03.456Z",
        "data": {
            "event_id": 17,
            "sequence": 17,
            "occurred_on": "2027-06-30",
            "box_id": 3,
            "address": "mario.rossi@pec.example.it",
            "customer_id": "c1",
            "term_expires_on": "2027-03-31",
            "addon_id": None,
            "addon_kind": None,
            "addon_quantity": None,
            "detail": {"suspended_on": "2027-04-01"},
        },
    }


def test_a_later_attempt_is_the_same_to_the_byte() -> None:
    assert written(dataclasses.replace(DELETED, attempts=5), DOMAIN) == written(DELETED, DOMAIN)


def test_the_order_in_which_a_database_gives_the_detail_does_not_matter() -> None:
    one = dataclasses.replace(DELETED, detail={"a": 1, "b": "ü"})
    other = dataclasses.replace(DELETED, detail={"b": "ü", "a": 1})

    assert written(one, DOMAIN) == written(other, DOMAIN)


@pytest.mark.parametrize(
    "another",
    [
        {"event_id": 18},
        {"kind": "box.suspended"},
        {"box_id": 4},
        {"addon_id": "a1"},
        {"occurred_on": date(2027, 7, 1)},
        {"detail": {"suspended_on": "2027-04-02"}},
    ],
)
def test_after_a_restored_backup_another_event_under_the_same_number_has_another_id(another: dict[str, Any]) -> None:
    assert written(dataclasses.replace(DELETED, **another), DOMAIN).id != written(DELETED, DOMAIN).id


def test_two_installations_never_have_the_same_id() -> None:
    assert written(DELETED, "test.example.it").id != written(DELETED, DOMAIN).id


def test_who_knows_the_secret_can_verify_it_and_nobody_else() -> None:
    envelope = written(DELETED, DOMAIN)
    headers = envelope.signed(Webhook(SECRET), clock.now())

    assert Webhook(SECRET).verify(envelope.body, headers)["type"] == "box.deleted"
    with pytest.raises(WebhookVerificationError):
        Webhook(ANOTHER_SECRET).verify(envelope.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(envelope.body.replace("rossi", "verdi"), headers)
