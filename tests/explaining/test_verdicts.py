"""Why each job acts on a box or leaves it alone, in the words that a clerk reads to the holder."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.explaining.verdicts import verdicts_on
from lifecycle_jobs.lease import hold
from tests import factories
from tests.daily import run, settings_for
from tests.languages.exact import ENGLISH, ITALIAN

DAY = timedelta(days=1)
E = factories.EXPIRES_ON
SUSPENDED: dict[str, Any] = {"status": "suspended", "suspended_on": E + DAY, "suspended_reason": "unpaid"}
RENEWS: dict[str, Any] = {"auto_renew": True, "payment_method_id": "pm1"}


def said(store: Store, tmp_path: Path, job: str, box_id: int, on: date, **settings: Any) -> list[tuple[str, str]]:
    """What a job says of a box: the reason and the sentence."""
    verdicts = verdicts_on(store, settings_for(tmp_path, **settings), box_id, on, ENGLISH)
    return [(each.reason, each.told) for each in verdicts if each.job == job]


def a_box(store: Store, **values: Any) -> int:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        return factories.box(connection, **values)


@pytest.mark.parametrize(
    ("job", "values", "on", "reason", "told"),
    [
        (
            "auto_renew",
            RENEWS,
            E - 8 * DAY,
            "not_due",
            "paid until 31 March 2027: the first charge would be made on 24 March 2027",
        ),
        ("auto_renew", RENEWS, E - 7 * DAY, "box.renewed", "renewed for 1 year, to 31 March 2028"),
        ("auto_renew", RENEWS, E + 10 * DAY, "box.renewed", "renewed for 1 year, to 31 March 2028"),
        ("auto_renew", RENEWS, E + 11 * DAY, "not_due", "its term ended on 31 March 2027, more than 10 days ago"),
        ("auto_renew", {}, E, "auto_renew_off", "auto-renew is off"),
        (
            "auto_renew",
            RENEWS | {"cancelled_on": date(2027, 1, 9)},
            E,
            "cancelled",
            "its holder gave notice on 9 January 2027",
        ),
        (
            "auto_renew",
            RENEWS | {"hold_until": E, "hold_reason": "dispute"},
            E,
            "on_hold",
            "on hold until 31 March 2027 (dispute)",
        ),
        ("auto_renew", {"auto_renew": True}, E, "no_payment_method", "no payment method is stored for it"),
        (
            "auto_renew",
            RENEWS | {"plan": "domain"},
            E,
            "plan_not_auto_renewable",
            "a box of the plan domain is not charged without being asked for",
        ),
        ("auto_renew", SUSPENDED, E + 2 * DAY, "not_due", "it is suspended: it has to be renewed by hand"),
        ("suspend", {}, E, "not_due", "it is paid until 31 March 2027"),
        ("suspend", {}, E + DAY, "box.suspended", "not paid: the last paid day was 31 March 2027"),
        ("suspend", {"hold_reason": "court"}, E + DAY, "on_hold", "on hold until it is released (court)"),
        ("suspend", SUSPENDED, E + 9 * DAY, "not_due", "it is suspended already, since 1 April 2027"),
        (
            "suspend",
            SUSPENDED | {"suspended_reason": "spam"},
            E + 9 * DAY,
            "not_due",
            "it is suspended already by hand (spam), since 1 April 2027",
        ),
        ("delete", {}, E, "not_due", "it is not suspended; unpaid, it would be on 1 April 2027 at the earliest"),
        ("delete", SUSPENDED, E + 90 * DAY, "not_due", "not before 30 June 2027"),
        (
            "delete",
            SUSPENDED,
            E + 91 * DAY,
            "box.deleted",
            "not paid since 31 March 2027, suspended since 1 April 2027",
        ),
        (
            "delete",
            SUSPENDED | {"hold_reason": "dispute"},
            E + 91 * DAY,
            "on_hold",
            "on hold until it is released (dispute)",
        ),
        (
            "delete",
            SUSPENDED | {"suspended_reason": "spam"},
            E + 91 * DAY,
            "not_due",
            "it was suspended by hand (spam): such a box is never deleted",
        ),
        ("send_alerts", {}, E - 30 * DAY, "box.expiry_alert", "30 days before the last paid day, 31 March 2027"),
        ("send_alerts", {}, E - 29 * DAY, "not_due", "no message falls on this day; the next one may on 16 March 2027"),
        (
            "send_alerts",
            RENEWS,
            E - 37 * DAY,
            "box.renewal_notice",
            "37 days before 31 March 2027; it will be renewed by",
        ),
        (
            "send_alerts",
            {"cancelled_on": E - 60 * DAY},
            E - 30 * DAY,
            "cancelled",
            "its holder gave notice on 30 January 2027",
        ),
        (
            "send_alerts",
            SUSPENDED,
            E + 61 * DAY,
            "box.deletion_warning",
            "not paid since 31 March 2027; 30 days before its deletion, 30 June 2027",
        ),
        (
            "send_alerts",
            SUSPENDED,
            E + 62 * DAY,
            "not_due",
            "no message falls on this day; the next one may on 23 June 2027",
        ),
        ("renew_addons", {}, E, "not_due", "it has no add-on"),
        ("reconcile_charges", {}, E, "not_due", "no charge of it is without an answer"),
    ],
)
def test_a_job_tells_why(
    store: Store, tmp_path: Path, job: str, values: dict[str, Any], on: date, reason: str, told: str
) -> None:
    ((really, sentence),) = said(store, tmp_path, job, a_box(store, **values), on)

    assert really == reason
    assert sentence.startswith(told)


def test_auto_renew_is_off_since_a_day_by_somebody_for_a_reason(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store)
    with store.write() as connection:
        connection.execute(
            insert(tables.events).values(
                occurred_on=date(2027, 3, 3),
                kind="autorenew.switched_off",
                box_id=box_id,
                customer_id="c1",
                term_expires_on=E,
                actor="anna",
                why="he called",
                detail={},
            )
        )

    assert said(store, tmp_path, "auto_renew", box_id, E) == [
        ("auto_renew_off", "auto-renew is off since 3 March 2027, by anna (he called)")
    ]


def test_in_italian_the_sentence_is_built_as_italian_builds_it(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, hold_until=date(2027, 6, 11), hold_reason="contestazione")
    with store.write() as connection:
        connection.execute(
            insert(tables.events).values(
                occurred_on=date(2027, 3, 8),
                kind="autorenew.switched_off",
                box_id=box_id,
                customer_id="c1",
                term_expires_on=E,
                actor="anna",
                why="ha telefonato",
                detail={},
            )
        )

    verdicts = verdicts_on(store, settings_for(tmp_path), box_id, E + DAY, ITALIAN)

    assert {each.job: each.told for each in verdicts} == {
        "reconcile_charges": "nessun suo addebito è di esito ignoto",
        "auto_renew": "il rinnovo automatico è stato disattivato l’8 marzo 2027 da anna (ha telefonato)",
        "renew_addons": "non ha servizi aggiuntivi",
        "suspend": "scadenze sospese fino all’11 giugno 2027 compreso (contestazione)",
        "delete": "non è sospesa; se non viene pagata, potrebbe esserlo non prima del 1º aprile 2027",
        "send_alerts": "è scaduta il 31 marzo 2027: non c’è più nulla di cui avvisare",
    }


def charged(store: Store, box_id: int, status: str, **values: Any) -> None:
    with store.write() as connection:
        order = factories.order(connection, "R-1", box_id=box_id)
        factories.charge(
            connection, "key", order_id=order, box_id=box_id, status=status, attempted_on=E - 7 * DAY, **values
        )


@pytest.mark.parametrize(("job", "values"), [("auto_renew", RENEWS), ("send_alerts", {})])
def test_a_charge_without_an_answer_keeps_the_jobs_from_the_box(
    store: Store, tmp_path: Path, job: str, values: dict[str, Any]
) -> None:
    box_id = a_box(store, **values)
    charged(store, box_id, "unknown", token="sandbox_lost_answer_never_seen")

    ((reason, told),) = said(store, tmp_path, job, box_id, E - 7 * DAY)
    assert reason == "unresolved_charge"
    assert told.startswith("nobody knows yet what became of the charge of €12.08 made on 24 March 2027")


def test_a_declined_charge_is_tried_again_with_the_next_slot(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, **RENEWS)
    charged(store, box_id, "declined", decline_code="insufficient_funds", hard=False)

    ((reason, told),) = said(store, tmp_path, "auto_renew", box_id, E - 6 * DAY)
    assert reason == "slot_used"
    assert told == (
        "the attempt of these days was made on 24 March 2027 (insufficient funds); the next attempt is on 26 March 2027"
    )


def test_a_card_that_was_declined_for_good_is_not_asked_again(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, **RENEWS)
    charged(store, box_id, "declined", decline_code="stolen_card", hard=True)

    ((reason, told),) = said(store, tmp_path, "auto_renew", box_id, E)
    assert reason == "declined_for_good"
    assert told.startswith("its payment method was declined for good on 24 March 2027 (card reported stolen)")


def test_an_outage_of_the_gateway_is_no_reason_to_suspend(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store)
    charged(store, box_id, "not_attempted")

    ((reason, told),) = said(store, tmp_path, "suspend", box_id, E + DAY)
    assert (reason, told.endswith("it stays active through 3 April 2027")) == ("outage_grace", True)
    assert said(store, tmp_path, "suspend", box_id, E + 4 * DAY)[0][0] == "box.suspended"


def test_what_failed_on_a_box_keeps_it_from_being_deleted(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, **SUSPENDED)
    with store.write() as connection:
        connection.execute(
            insert(tables.parked_rows).values(
                run_on=E,
                last_run_on=E,
                job="renew_addons",
                subject="addon:x",
                box_id=box_id,
                error="?",
                state="open",
                parked_at=datetime(2027, 3, 31, tzinfo=UTC),
            )
        )

    ((reason, told),) = said(store, tmp_path, "delete", box_id, E + 91 * DAY)
    assert reason == "something_parked"
    assert told == (
        "something failed on it on 31 March 2027 (renewals of add-ons) and that is not settled: "
        "nothing is deleted in doubt"
    )


def test_without_a_delivered_warning_a_box_stays(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, **SUSPENDED)

    ((reason, told),) = said(
        store, tmp_path, "delete", box_id, E + 91 * DAY, deletion={"require_delivered_warning": True}
    )
    assert reason == "no_delivered_warning"
    assert "was accepted by the mail server long enough ago" in told


def test_too_many_deletions_at_once_are_counted_among_all_boxes(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, **SUSPENDED)
    with store.write() as connection:
        factories.customer(connection, "c2")
        for number in range(2):
            factories.box(connection, f"{number}@pec.it", customer_id="c2", **SUSPENDED)

    few = {"always_allowed": 2, "max_percent": 1}
    ((reason, told),) = said(store, tmp_path, "delete", box_id, E + 91 * DAY, deletion=few)
    assert (reason, told.startswith("3 boxes are due for deletion")) == ("too_many_at_once", True)


def test_credit_that_an_earlier_addon_of_another_box_uses_up_is_not_there_for_this_one(
    store: Store, tmp_path: Path
) -> None:
    with store.write() as connection:
        factories.customer(connection, credit=305)
        first, second = (
            factories.box(connection, f"{name}@pec.it", expires_on=E + timedelta(days=366)) for name in ("a", "b")
        )
        factories.addon(connection, "a1", first, paid_from="credit", expires_on=E)
        factories.addon(connection, "b1", second, paid_from="credit", expires_on=E)

    assert said(store, tmp_path, "renew_addons", first, E) == [
        ("addon.renewed", "its box was renewed, and the credit covers it: to 31 March 2028, €0.00 left")
    ]
    assert said(store, tmp_path, "renew_addons", second, E) == [
        ("addon.credit_short", "its box was renewed to 31 March 2028, but of €3.05 the credit covers only €0.00")
    ]


def test_each_addon_has_its_own_answer(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store)
    with store.write() as connection:
        factories.addon(connection, "given-up", box_id, paid_from="credit", expires_on=E, cancelled_on=E - 9 * DAY)
        factories.addon(connection, "lasting", box_id, paid_from="credit", expires_on=E)
        factories.addon(connection, "with-box", box_id, paid_from="renewal", expires_on=E)

    assert said(store, tmp_path, "renew_addons", box_id, E) == [
        ("not_due", "given up; it ends after 31 March 2027"),
        ("not_due", "it lasts until 31 March 2027, as its box does"),
        ("not_due", "it is paid with its box"),
    ]
    after = said(store, tmp_path, "renew_addons", box_id, E + DAY)
    assert ("addon.disabled", "its holder gave it up; its last day was 31 March 2027") in after


def test_credit_that_was_announced_to_be_short_is_not_said_to_do(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, expires_on=E + 365 * DAY)
    with store.write() as connection:
        factories.addon(connection, "a1", box_id, paid_from="credit", expires_on=E)
    report = run(store, settings_for(tmp_path), E - DAY)
    again = run(store, settings_for(tmp_path), E)

    assert [job.done for job in report.jobs if job.job == "renew_addons"] == [{"addon.credit_short": 1}]
    assert [job.skipped for job in again.jobs if job.job == "renew_addons"] == [{"already_announced": 1}]
    assert said(store, tmp_path, "renew_addons", box_id, E) == [
        ("already_announced", "its holder has been told already that the credit does not cover it")
    ]


def test_what_a_box_is_renewed_for_it_is_not_suspended_for_on_the_same_day(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store, **RENEWS)

    assert said(store, tmp_path, "suspend", box_id, E + DAY) == [("not_due", "it is paid until 31 March 2028")]


def test_while_a_run_is_under_way_nothing_is_told(store: Store, tmp_path: Path) -> None:
    box_id = a_box(store)

    with hold(store, "run", 60), pytest.raises(LeaseHeld, match="cannot be told before its end"):
        said(store, tmp_path, "suspend", box_id, E)
