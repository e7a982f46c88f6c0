"""A domain gives its date to the boxes on it, and takes them along when it is let go (SPEC §2)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, select

from lifecycle_jobs.accounts import (
    ReleasedDomain,
    RenewedDomain,
    cancel_box,
    release_domain,
    renew_domain,
    suspend_box,
    withdraw_cancellation,
)
from lifecycle_jobs.db import tables
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    addon_row,
    box_row,
    change,
    details,
    everything,
    expires_on,
    happened,
    look,
    status,
    tried,
    while_waiting,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
ON = date(2027, 4, 10)
DOMAIN = "esempio.it"
ONE, TWO = "uno@esempio.it", "due@esempio.it"


def renew(
    office: Office, *, until: date = NEXT_E, on: date = ON, request_id: str = "renew", domain: str = DOMAIN
) -> RenewedDomain:
    return renew_domain(office.store, clerk(on), domain, until, request_id=request_id)


def release(office: Office, *, on: date = date(2027, 3, 1), request_id: str = "release") -> ReleasedDomain:
    return release_domain(office.store, clerk(on), DOMAIN, request_id=request_id)


@pytest.fixture
def domain(office: Office) -> tuple[int, int]:
    """Two boxes on a domain, and one that is on none."""
    with office.store.write() as connection:
        factories.customer(connection)
        ids = [factories.box(connection, address, plan="domain", domain=DOMAIN) for address in (ONE, TWO)]
        factories.box(connection, "altra@pec.example.it")
    return ids[0], ids[1]


def test_a_box_that_is_being_sold_on_it_at_that_moment_gets_its_date_too(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, ONE, plan="domain", domain=DOMAIN)

    def sell_another(connection: Connection) -> None:
        connection.execute(select(tables.boxes.c.id).with_for_update(key_share=True))
        factories.box(connection, TWO, plan="domain", domain=DOMAIN)

    while_waiting(office, sell_another, lambda: renew(office))

    assert {row["expires_on"] for row in look(office.store, tables.boxes)} == {NEXT_E}


def test_all_boxes_on_it_get_its_date_and_suspended_ones_revive(office: Office, domain: tuple[int, int]) -> None:
    office.day(E + timedelta(days=1))
    assert status(office.store, domain[0]) == "suspended"

    assert renew(office, domain="Esempio.IT") == RenewedDomain("Esempio.IT", NEXT_E, (TWO, ONE), ())

    for box in domain:
        row = box_row(office.store, box)
        assert (row["expires_on"], row["status"], row["suspended_on"]) == (NEXT_E, "active", None)
    assert expires_on(office.store, 3) == E
    assert happened(office.store, domain[0])[-1] == "box.domain_renewed"
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("domain")
def test_each_holder_is_told_of_all_boxes_in_one_message(office: Office) -> None:
    renew(office)

    (text,) = letters(office, ON)
    assert queued(office) == ["box.domain_renewed"]
    assert "2 caselle PEC: sono valide fino al 31 marzo 2028 compreso" in text
    assert ONE in text
    assert TWO in text


def test_a_box_suspended_by_hand_gets_the_date_and_stays_suspended(office: Office, domain: tuple[int, int]) -> None:
    suspend_box(office.store, clerk(ON), ONE, reason="spam", request_id="suspend")

    renew(office)

    assert (status(office.store, domain[0]), expires_on(office.store, domain[0])) == ("suspended", NEXT_E)
    assert [told["suspended"] for told in details(office.store, "box.domain_renewed")] == [False, True]
    assert any("Resta sospesa per decisione nostra" in text for text in letters(office, ON))


def test_extra_space_on_the_renewal_moves_with_its_box(office: Office, domain: tuple[int, int]) -> None:
    with office.store.write() as connection:
        factories.addon(connection, "a1", domain[0])
        factories.addon(connection, "a2", domain[0], cancelled_on=ON)

    renew(office)

    assert (addon_row(office.store, "a1")["expires_on"], addon_row(office.store, "a2")["expires_on"]) == (NEXT_E, E)
    assert_books_are_right(office.store, office.settings)


def test_a_cancelled_box_is_left_out_until_its_holder_withdraws_even_past_e(
    office: Office, domain: tuple[int, int]
) -> None:
    cancel_box(office.store, clerk(E), ONE, request_id="cancel")

    (sentence,) = renew(office).left_out
    assert sentence == (
        f"{ONE} was cancelled by its holder on 2027-03-31. To keep it, withdraw that and renew the domain again "
        f"(lifecycle-jobs box withdraw {ONE})."
    )
    assert (expires_on(office.store, domain[0]), expires_on(office.store, domain[1])) == (E, NEXT_E)

    withdraw_cancellation(office.store, clerk(ON), ONE, request_id="withdraw")
    assert renew(office, request_id="again").renewed == (ONE,)
    assert_books_are_right(office.store, office.settings)


def test_a_box_that_is_being_charged_or_paid_longer_is_left_out(office: Office, domain: tuple[int, int]) -> None:
    with office.store.write() as connection:
        factories.method(connection)
    change(office.store, tables.boxes, domain[0], payment_method_id="pm1")
    with office.store.write() as connection:
        tried(connection, domain[0], 7, "unknown")
    change(office.store, tables.boxes, domain[1], expires_on=date(2029, 1, 1))

    sentences = (
        (
            f"{ONE} is being charged, and nobody knows the outcome yet. Renew the domain again when that is settled "
            "(lifecycle-jobs reconcile)."
        ),
        f"{TWO} is paid until 2029-01-01 already, which is later.",
    )
    assert refused(office, lambda: renew(office)) == "\n".join(sentences)


@pytest.mark.usefixtures("domain")
def test_a_domain_without_boxes_a_date_in_the_past_and_one_that_moves_nothing_are_refused(office: Office) -> None:
    assert refused(office, lambda: renew(office, domain="altro.it")) == "There is no box on the domain altro.it."
    assert refused(office, lambda: renew(office, until=ON - timedelta(days=1))) == (
        "2027-04-09 is past: name the day until which the domain esempio.it is paid now."
    )
    renew(office)
    assert refused(office, lambda: renew(office, request_id="again")) == (
        "All boxes on the domain esempio.it end on 2028-03-31 already."
    )


def test_a_domain_let_go_takes_its_boxes_along(office: Office, domain: tuple[int, int]) -> None:
    assert release(office) == ReleasedDomain(DOMAIN, (TWO, ONE), E)

    assert queued(office) == ["domain.released"]
    (text,) = letters(office, date(2027, 3, 1))
    assert "il dominio esempio.it non viene rinnovato: 2 caselle PEC terminano con esso" in text
    assert "cancellabile dal 30 giugno 2027" in text
    for on in (E + timedelta(days=1), E + timedelta(days=91)):
        office.day(on)
    assert [status(office.store, box) for box in domain] == ["deleted", "deleted"]
    assert happened(office.store, domain[0]) == ["domain.released", "box.suspended", "box.deleted"]
    assert_books_are_right(office.store, office.settings)


def test_renewed_after_all_it_keeps_them(office: Office, domain: tuple[int, int]) -> None:
    release(office)
    office.day(E + timedelta(days=1))

    assert renew(office).renewed == (TWO, ONE)

    row = box_row(office.store, domain[0])
    assert (row["status"], row["expires_on"], row["cancelled_on"]) == ("active", NEXT_E, None)


@pytest.mark.usefixtures("domain")
def test_what_its_domain_took_along_cannot_be_withdrawn_alone(office: Office) -> None:
    release(office)

    assert refused(office, lambda: withdraw_cancellation(office.store, clerk(ON), ONE, request_id="withdraw")) == (
        f"{ONE} was let go with its domain esempio.it; renewing that keeps it (lifecycle-jobs domain renew esempio.it)."
    )
    assert refused(office, lambda: release(office, request_id="again")) == (
        "All boxes on the domain esempio.it are cancelled already."
    )


@pytest.mark.usefixtures("domain")
def test_asked_again_each_is_done_once(office: Office) -> None:
    first = release(office)
    assert release(office) == first
    renewed = renew(office)
    after = everything(office.store)
    assert renew(office) == renewed
    assert everything(office.store) == after
