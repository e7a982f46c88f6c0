"""The box of an address: the living one, or the one that was deleted last, with all that can be told of it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, events
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.explaining.explanation import Explanation, explain
from lifecycle_jobs.lease import hold
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.daily import run, settings_for
from tests.languages.exact import ENGLISH, ITALIAN

DAY = timedelta(days=1)
E = factories.EXPIRES_ON
ADDRESS = "mario.rossi@pec.example.it"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def lines(found: Explanation) -> list[tuple[date, str]]:
    return [(each.on, each.what) for each in found.coming]


def a_box(store: Store, **values: Any) -> int:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection, brand="visa", last4="4242")
        return factories.box(connection, **values)


def test_the_past_tells_what_was_done_by_whom_and_how_the_mail_fared(store: Store, settings: Settings) -> None:
    a_box(store, auto_renew=True, payment_method_id="pm1")
    run(store, settings, E - 7 * DAY)

    past = explain(store, settings, ADDRESS.upper(), E, ENGLISH).past

    assert [(each.on, each.what, each.told, each.by) for each in past] == [
        (
            E - 7 * DAY,
            "box.renewed",
            "renewed for 1 year, to 31 March 2028: auto-renew is on, and its charge was due",
            "auto_renew",
        ),
        (
            E - 7 * DAY,
            "charge",
            "€12.08 by card, attempt of 7 days before the last paid day: gone through",
            "auto_renew",
        ),
        (E - 7 * DAY, "order", "R-1-20270331, renewal, €12.08: paid on 24 March 2027", ""),
    ]
    assert past[0].message == "accepted on 24 March 2027"


def test_what_the_run_of_the_date_has_done_is_told_apart(store: Store, settings: Settings) -> None:
    a_box(store)
    run(store, settings, E - 30 * DAY)
    run(store, settings, E + DAY)

    found = explain(store, settings, ADDRESS, E + DAY, ENGLISH)

    assert [each.what for each in found.done] == ["box.suspended"]
    assert [each.what for each in found.past] == ["box.expiry_alert", "box.suspended"]


def test_an_event_with_other_details_than_today_is_told_by_those_that_it_has(store: Store, settings: Settings) -> None:
    box_id = a_box(store)
    with store.write() as connection:
        factories.event(
            connection, "box.renewed", box_id=box_id, occurred_on=E - 5 * DAY, job="auto_renew", detail={"years": 1}
        )

    (renewed,) = explain(store, settings, ADDRESS, E, ENGLISH).past

    assert (renewed.what, renewed.told) == ("box.renewed", "years: 1")


def test_what_was_told_today_does_not_lie_ahead_any_more(store: Store, settings: Settings) -> None:
    a_box(store)
    before = explain(store, settings, ADDRESS, E - 30 * DAY, ENGLISH)
    run(store, settings, E - 30 * DAY)
    after = explain(store, settings, ADDRESS, E - 30 * DAY, ENGLISH)

    assert lines(before)[0] == (E - 30 * DAY, "expiry alert")
    assert lines(after)[0] == (E - 15 * DAY, "expiry alert")


def test_the_coming_life_of_the_worked_example_is_that_of_the_spec(store: Store, settings: Settings) -> None:
    a_box(store)

    assert lines(explain(store, settings, ADDRESS, date(2026, 12, 1), ENGLISH)) == [
        *[(E - days * DAY, "expiry alert") for days in (90, 60, 30, 15, 7, 1)],
        (date(2027, 4, 1), "suspension"),
        *[(day, "deletion warning") for day in (date(2027, 5, 1), date(2027, 5, 31), date(2027, 6, 23))],
        (date(2027, 6, 30), "deletion"),
    ]


def test_a_box_that_renews_itself_is_charged_and_what_comes_after_is_said_to_be_so_if_that_fails(
    store: Store, settings: Settings
) -> None:
    a_box(store, auto_renew=True, payment_method_id="pm1", renewal_years=2)

    coming = explain(store, settings, ADDRESS, E - 38 * DAY, ENGLISH).coming

    assert [(each.on, each.what, each.told) for each in coming[:3]] == [
        (E - 37 * DAY, "renewal notice", "37 days before 31 March 2027"),
        (E - 7 * DAY, "charge", "€24.16 to Visa card ending in 4242: renewed to 31 March 2029"),
        (E + DAY, "suspension", "if the charge does not go through"),
    ]


def test_a_card_that_ends_before_it_is_charged_is_told_of(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection, exp_month=2, exp_year=2027)
        factories.box(connection, auto_renew=True, payment_method_id="pm1")

    (charge,) = [
        each for each in explain(store, settings, ADDRESS, E - 38 * DAY, ENGLISH).coming if each.what == "charge"
    ]
    assert charge.told.endswith("; but it ends on 28 February 2027, before that")


def test_a_card_that_was_declined_for_good_is_not_charged_any_more(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection, token="pm_card_visa_chargeDeclinedStolenCard")
        factories.box(connection, auto_renew=True, payment_method_id="pm1")
    run(store, settings, E - 7 * DAY)

    assert lines(explain(store, settings, ADDRESS, E - 6 * DAY, ENGLISH))[:2] == [
        (E - DAY, "expiry alert"),
        (E + DAY, "suspension"),
    ]


def test_after_an_outage_what_comes_is_told_as_it_comes(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection, token="sandbox_unavailable")
        factories.box(connection, auto_renew=True, payment_method_id="pm1")

    told = {}
    for days in (-7, 0, 1, 2, 3):
        run(store, settings, E + days * DAY, deliver=False)
        found = explain(store, settings, ADDRESS, E + days * DAY, ENGLISH)
        (why,) = [each.told for each in found.verdicts if each.job == "auto_renew"]
        ahead = {each.what: (each.on - E).days for each in found.coming}
        told[days] = (why.partition("; ")[2], ahead.get("charge"), ahead["suspension"], ahead["deletion"])

    assert told == {
        -7: ("the next attempt is on 25 March 2027", -6, 1, 91),
        0: ("the next attempt is on 1 April 2027", 1, 1, 91),
        1: ("the next attempt is on 2 April 2027", 2, 2, 91),
        2: ("the next attempt is on 3 April 2027", 3, 3, 91),
        3: ("that was the last attempt of this term", None, 4, 91),
    }
    run(store, settings, E + 4 * DAY, deliver=False)
    assert explain(store, settings, ADDRESS, E + 4 * DAY, ENGLISH).box["status"] == "suspended"


def test_a_box_that_should_have_been_suspended_is_suspended_by_the_next_run(store: Store, settings: Settings) -> None:
    a_box(store)

    assert lines(explain(store, settings, ADDRESS, E + 70 * DAY, ENGLISH)) == [
        (E + 70 * DAY, "suspension"),
        (E + 93 * DAY, "deletion warning"),
        (E + 100 * DAY, "deletion"),
    ]


def test_a_hold_puts_suspension_and_deletion_off(store: Store, settings: Settings) -> None:
    a_box(store, hold_until=E + 9 * DAY, hold_reason="dispute", cancelled_on=E - 99 * DAY)

    assert lines(explain(store, settings, ADDRESS, E, ENGLISH)) == [
        (E + 10 * DAY, "suspension"),
        *[(E + days * DAY, "deletion warning") for days in (31, 61, 84)],
        (E + 91 * DAY, "deletion"),
    ]


def test_a_hold_without_an_end_leaves_nothing_to_come(store: Store, settings: Settings) -> None:
    a_box(store, status="suspended", hold_reason="court")

    assert explain(store, settings, ADDRESS, E + 99 * DAY, ENGLISH).coming == []


def test_a_deleted_box_has_a_past_and_nothing_else(store: Store, settings: Settings) -> None:
    a_box(store, status="suspended")
    run(store, settings, E + 91 * DAY)

    found = explain(store, settings, ADDRESS, E + 99 * DAY, ENGLISH)

    assert (found.box["status"], [each.what for each in found.past]) == ("deleted", ["box.deleted"])
    assert (found.verdicts, found.coming) == ([], [])
    assert found.untold == "It was deleted on 30 June 2027: no job has anything to do with it."


def test_of_an_address_that_was_sold_again_the_living_box_is_told_of(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, status="deleted", deleted_on=date(2025, 5, 1), expires_on=date(2025, 1, 1))
        factories.box(connection)

    found = explain(store, settings, ADDRESS, E, ENGLISH)

    assert (found.box["status"], found.others, found.sold_again) == ("active", [date(2025, 5, 1)], False)


def test_each_earlier_box_of_an_address_is_told_of_by_the_day_on_which_it_was_deleted(
    store: Store, settings: Settings
) -> None:
    first, second = date(2023, 5, 1), date(2025, 5, 1)
    with store.write() as connection:
        factories.customer(connection)
        for day in (first, second):
            factories.box(connection, status="deleted", deleted_on=day, expires_on=day - 120 * DAY)
        factories.box(connection)

    found = explain(store, settings, ADDRESS, E, ENGLISH, deleted_on=first)

    assert (found.box["deleted_on"], found.others, found.sold_again) == (first, [second], True)
    with pytest.raises(Refused, match=r"No box .* was deleted on 2 May 2023"):
        explain(store, settings, ADDRESS, E, ENGLISH, deleted_on=first + DAY)


def test_an_address_that_never_was_is_refused(store: Store, settings: Settings) -> None:
    with pytest.raises(Refused, match=r"There is no box nobody@pec\.it, and there never was one"):
        explain(store, settings, "nobody@pec.it", E, ENGLISH)


def test_while_a_run_is_under_way_the_past_is_told_all_the_same(store: Store, settings: Settings) -> None:
    a_box(store)
    run(store, settings, E - 30 * DAY)

    with hold(store, "run", 60):
        found = explain(store, settings, ADDRESS, E, ENGLISH)

    assert found.untold is not None
    assert (len(found.past), found.verdicts, len(found.coming)) == (1, [], 5)


def test_a_box_is_explained_in_italian(store: Store, settings: Settings) -> None:
    a_box(store, auto_renew=True, payment_method_id="pm1")
    run(store, settings, E - 7 * DAY)

    found = explain(store, settings, ADDRESS, E, ITALIAN)

    renewed = (
        "rinnovata per 1 anno, fino al 31 marzo 2028: il rinnovo automatico è attivo ed era il momento dell’addebito"
    )
    assert [(each.what, each.told, each.message) for each in found.past] == [
        ("box.renewed", renewed, "accettato il 24 marzo 2027"),
        ("charge", "12,08\xa0€ con carta, tentativo di 7 giorni prima della scadenza: riuscito", ""),
        ("order", "R-1-20270331, rinnovo, 12,08\xa0€: pagato il 24 marzo 2027", ""),
    ]
    assert [(each.job, each.told) for each in found.verdicts] == [
        ("reconcile_charges", "nessun suo addebito è di esito ignoto"),
        ("auto_renew", "pagata fino al 31 marzo 2028: il primo addebito sarebbe il 24 marzo 2028"),
        ("renew_addons", "non ha servizi aggiuntivi"),
        ("suspend", "è pagata fino al 31 marzo 2028"),
        ("delete", "non è sospesa; se non viene pagata, potrebbe esserlo non prima del 1º aprile 2028"),
        ("send_alerts", "in questo giorno non è previsto alcun avviso; il prossimo può esserlo il 1º gennaio 2028"),
    ]
    assert [(each.what, each.told) for each in found.coming][-6:] == [
        ("charge", "12,08\xa0€ (carta Visa che termina con 4242): rinnovata fino al 31 marzo 2029"),
        ("suspension", "se l’addebito non riesce"),
        ("deletion warning", "60 giorni prima della cancellazione, il 30 giugno 2028, se l’addebito non riesce"),
        ("deletion warning", "30 giorni prima della cancellazione, il 30 giugno 2028, se l’addebito non riesce"),
        ("deletion warning", "7 giorni prima della cancellazione, il 30 giugno 2028, se l’addebito non riesce"),
        ("deletion", "definitiva, se l’addebito non riesce"),
    ]


def test_what_is_said_to_come_comes(store: Store, settings: Settings) -> None:
    """Boxes that nobody pays for: every alert, suspension, warning and deletion on the day that was foretold."""
    with store.write() as connection:
        factories.customer(connection)
        for number in range(6):
            ends = E + timedelta(days=number)
            held = ends + timedelta(days=number * 7) if number % 2 else None
            factories.box(
                connection,
                f"{number}@pec.it",
                expires_on=ends,
                hold_until=held,
                hold_reason=None if held is None else "dispute",
                cancelled_on=E if number == 4 else None,
            )
    start = E - 3 * DAY
    foretold = {
        (f"{number}@pec.it", each.on, _KINDS[each.what])
        for number in range(6)
        for each in explain(store, settings, f"{number}@pec.it", start, ENGLISH).coming
    }

    # On the days before too: what came unforetold would be caught up with there, and so stand on a wrong date.
    for day in sorted({on - before * DAY for _, on, _ in foretold for before in (1, 0)}):
        run(store, settings, day, deliver=False)

    with store.read() as connection:
        really = {
            (row.address, row.occurred_on, row.kind)
            for row in connection.execute(
                select(boxes.c.address, events.c.occurred_on, events.c.kind).join(boxes, boxes.c.id == events.c.box_id)
            )
        }
    assert foretold == really


_KINDS = {
    "expiry alert": "box.expiry_alert",
    "suspension": "box.suspended",
    "deletion warning": "box.deletion_warning",
    "deletion": "box.deleted",
}
