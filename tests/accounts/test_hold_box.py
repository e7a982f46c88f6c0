"""A box on hold: nothing that cannot be undone happens to it, and nobody is told why (SPEC §2)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs.accounts import HeldBox, ReleasedBox, hold_box, release_box
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, box_row, charged, details, everything, happened, renewing_box, status

E = factories.EXPIRES_ON
ON = date(2027, 3, 10)
ADDRESS = "a@pec.example.it"
REASON = "causa 12/2027"


def hold(
    office: Office,
    *,
    until: date | None = None,
    reason: str = REASON,
    on: date = ON,
    request_id: str = "hold",
) -> HeldBox:
    return hold_box(office.store, clerk(on), ADDRESS, reason=reason, until=until, request_id=request_id)


def release(office: Office, *, on: date = ON, request_id: str = "release") -> ReleasedBox:
    return release_box(office.store, clerk(on), ADDRESS, request_id=request_id)


@pytest.fixture
def box(office: Office) -> int:
    """A box that renews itself by card."""
    with office.store.write() as connection:
        return renewing_box(connection)


def test_on_hold_it_is_neither_charged_nor_suspended_until_the_day_after(office: Office, box: int) -> None:
    until = E + timedelta(days=20)
    assert hold(office, until=until) == HeldBox(ADDRESS, until)

    for on in (E, E + timedelta(days=1), until):
        office.day(on)
    assert (charged(office.store), status(office.store, box)) == ([], "active")
    assert_books_are_right(office.store, office.settings)

    office.day(until + timedelta(days=1))
    assert status(office.store, box) == "suspended"


def test_released_after_the_run_it_waits_for_the_next_and_the_books_are_right(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, auto_renew=False)
    hold(office)
    after = E + timedelta(days=1)
    office.day(after)

    release(office, on=after)
    assert status(office.store, box) == "active"
    assert_books_are_right(office.store, office.settings)

    office.day(after + timedelta(days=1))
    assert status(office.store, box) == "suspended"


def test_the_history_knows_the_reason_and_the_holder_is_not_told(office: Office, box: int) -> None:
    hold(office, until=date(2027, 9, 30))

    assert happened(office.store, box) == queued(office) == ["hold.placed"]
    assert details(office.store, "hold.placed") == [
        {"reason": REASON, "until": "2027-09-30", "was_until": None, "was_for": None}
    ]
    (text,) = letters(office, ON)
    assert "fino al 30 settembre 2027 compreso" in text
    assert "12/2027" not in text


def test_without_an_end_it_lasts_until_it_is_released(office: Office, box: int) -> None:
    hold(office)
    office.day(E + timedelta(days=1))
    assert status(office.store, box) == "active"

    later = E + timedelta(days=11)
    assert release(office, on=later) == ReleasedBox(ADDRESS, E)

    office.day(later)
    assert status(office.store, box) == "suspended"
    assert queued(office)[:2] == ["hold.placed", "hold.released"]


def test_released_a_box_is_not_deleted_for_thirty_days_from_the_last_day_of_its_hold(office: Office, box: int) -> None:
    x = E + timedelta(days=91)
    hold(office)
    release(office, on=x, request_id="first")
    assert box_row(office.store, box)["hold_until"] == x - timedelta(days=1)

    for day in range(29):
        office.job("suspend", x + timedelta(days=day))
        office.job("delete", x + timedelta(days=day))
    assert status(office.store, box) == "suspended"
    office.job("delete", x + timedelta(days=30))
    assert status(office.store, box) == "deleted"


@pytest.mark.usefixtures("box")
def test_the_end_of_a_hold_may_be_put_off_and_the_history_keeps_what_was_there(office: Office) -> None:
    hold(office, until=date(2027, 4, 30))

    assert hold(office, until=date(2027, 5, 31), reason="ricorso", request_id="longer").until == date(2027, 5, 31)
    assert hold(office, reason="ricorso", request_id="for good").until is None

    assert details(office.store, "hold.placed")[1] == {
        "reason": "ricorso",
        "until": "2027-05-31",
        "was_until": "2027-04-30",
        "was_for": REASON,
    }


@pytest.mark.usefixtures("box")
def test_a_hold_is_not_cut_short_by_another(office: Office) -> None:
    hold(office, until=date(2027, 4, 30))
    assert refused(office, lambda: hold(office, until=date(2027, 4, 29), request_id="shorter")) == (
        f"{ADDRESS} is on hold until 2027-04-30 already, which is longer. To end that sooner, release it "
        f"(lifecycle-jobs box release {ADDRESS})."
    )
    assert refused(office, lambda: hold(office, until=date(2027, 4, 30), request_id="same")) == (
        f"{ADDRESS} is on hold until 2027-04-30 for that reason already."
    )
    hold(office, request_id="for good")
    assert "is on hold until it is released already, which is longer" in refused(
        office, lambda: hold(office, until=date(2099, 1, 1), request_id="dated")
    )


@pytest.mark.usefixtures("box")
def test_an_end_in_the_past_or_no_reason_is_refused(office: Office) -> None:
    assert refused(office, lambda: hold(office, until=ON - timedelta(days=1))) == (
        "A hold cannot end on 2027-03-09, which is past. Name a day from 2027-03-10 on, or none."
    )
    sentence = "Say why, in 1 to 500 characters: the reason is kept with the box."
    assert refused(office, lambda: hold(office, reason="  ")) == sentence
    assert refused(office, lambda: hold(office, reason="x" * 501)) == sentence
    assert hold(office, until=ON).until == ON


@pytest.mark.usefixtures("box")
def test_what_is_not_on_hold_is_not_released(office: Office) -> None:
    assert refused(office, lambda: release(office)) == f"{ADDRESS} is not on hold."
    hold(office, until=ON)
    assert refused(office, lambda: release(office, on=ON + timedelta(days=1))) == (
        f"{ADDRESS} is not on hold any more: its hold ended on 2027-03-10."
    )


@pytest.mark.usefixtures("box")
def test_asked_again_each_is_done_once(office: Office) -> None:
    first = hold(office)
    assert hold(office) == first
    ended = release(office)
    after = everything(office.store)
    assert release(office) == ended
    assert everything(office.store) == after
