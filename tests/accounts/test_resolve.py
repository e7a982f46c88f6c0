"""A clerk's word on a charge of which the gateway does not tell us: settled once, with all that follows (SPEC §3)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs import lease
from lifecycle_jobs.accounts import resolve_charge
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import LeaseHeld, Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.gateway import NotAttempted, Succeeded
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    change,
    charged,
    details,
    everything,
    expires_on,
    happened,
    look,
    renewing_box,
    tried,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
FIRST_SLOT = E - timedelta(days=7)
ON = FIRST_SLOT + timedelta(days=2)
KEY = "earlier-1-7-1"


def say(office: Office, said: Succeeded | NotAttempted, key: str = KEY, *, on: date = ON) -> str:
    return resolve_charge(office.store, office.settings, Operator("anna", "seen on their pages", on), key, said)


@pytest.fixture(params=["pending", "unknown"])
def doubtful(office: Office, request: pytest.FixtureRequest) -> int:
    """A box with a charge of the first slot that nobody knows the outcome of."""
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, request.param)
        return box


def test_a_charge_that_was_made_renews_the_box_and_the_holder_gets_a_receipt(office: Office, doubtful: int) -> None:
    assert say(office, Succeeded("pi_17")) == "renewed"

    (charge,) = look(office.store, tables.charges)
    assert (charge["status"], charge["gateway_reference"], charge["settled_on"]) == ("succeeded", "pi_17", ON)
    assert expires_on(office.store, doubtful) == NEXT_E
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["box.renewed"]
    assert_books_are_right(office.store, office.settings)


def test_a_charge_that_was_not_made_leaves_the_order_open_and_says_nothing_to_the_holder(
    office: Office, doubtful: int
) -> None:
    assert say(office, NotAttempted("never arrived")) == "not_attempted"

    (charge,) = look(office.store, tables.charges)
    assert (charge["status"], charge["why"]) == ("not_attempted", "never arrived")
    assert expires_on(office.store, doubtful) == E
    assert [row["status"] for row in look(office.store, tables.orders)] == ["awaiting_payment"]
    assert look(office.store, tables.messages) == []


def test_after_a_charge_that_was_not_made_the_next_run_charges_the_box(office: Office, doubtful: int) -> None:
    say(office, NotAttempted("never arrived"))

    office.day(ON)

    assert charged(office.store, doubtful) == [(7, "not_attempted"), (5, "succeeded")]
    assert len(office.booked()) == 1


@pytest.mark.parametrize(
    ("said", "outcome", "reference"), [(Succeeded("pi_17"), "paid", "pi_17"), (NotAttempted("no"), "not_made", None)]
)
def test_the_history_says_who_said_what_and_why(
    office: Office, doubtful: int, said: Succeeded | NotAttempted, outcome: str, reference: str | None
) -> None:
    say(office, said)

    event = look(office.store, tables.events)[-1]
    assert (event["kind"], event["box_id"], event["customer_id"]) == ("charge.resolved", doubtful, "c-a")
    assert (event["actor"], event["why"], event["occurred_on"]) == ("anna", "seen on their pages", ON)
    assert event["detail"] == {"key": KEY, "amount": "12.08", "outcome": outcome, "reference": reference}


@pytest.mark.usefixtures("doubtful")
def test_a_charge_that_nobody_knows_is_refused(office: Office) -> None:
    before = everything(office.store)

    with pytest.raises(Refused, match=r"There is no charge k\. See: lifecycle-jobs status"):
        say(office, Succeeded("pi_17"), "k")

    assert everything(office.store) == before


@pytest.mark.parametrize("settled", ["succeeded", "declined", "not_attempted"])
def test_a_charge_that_is_settled_is_refused(office: Office, settled: str) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, settled)
    before = everything(office.store)

    for said in (Succeeded("pi_17"), NotAttempted("never arrived")):
        with pytest.raises(Refused, match=f"Charge {KEY} is settled already: {settled}. Nothing was done."):
            say(office, said)

    assert everything(office.store) == before


@pytest.mark.usefixtures("doubtful")
def test_a_charge_is_resolved_once(office: Office) -> None:
    say(office, Succeeded("pi_17"))

    with pytest.raises(Refused, match="is settled already: succeeded"):
        say(office, Succeeded("pi_17"))

    assert happened(office.store) == ["box.renewed", "charge.resolved"]


def test_money_for_a_box_that_has_gone_on_is_recorded_and_to_be_given_back(office: Office, doubtful: int) -> None:
    change(office.store, tables.boxes, doubtful, expires_on=NEXT_E)

    assert say(office, Succeeded("pi_17")) == "to_be_refunded"

    (charge,) = look(office.store, tables.charges)
    assert (charge["status"], charge["unapplied"]) == ("succeeded", True)
    assert expires_on(office.store, doubtful) == NEXT_E
    assert [row["outcome"] for row in details(office.store, "charge.resolved")] == ["paid"]
    assert look(office.store, tables.messages) == []


@pytest.mark.usefixtures("doubtful")
def test_while_a_run_is_under_way_nothing_is_resolved_because_the_run_may_be_making_that_charge(
    office: Office,
) -> None:
    before = everything(office.store)

    with lease.hold(office.store, "run", 60), pytest.raises(LeaseHeld, match="Another run is under way"):
        say(office, NotAttempted("not on their pages yet"))

    assert everything(office.store) == before
