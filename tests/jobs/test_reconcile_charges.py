"""Charges whose answer was lost: asked again, never charged again (SPEC §3, reconcile_charges)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from freezegun import freeze_time

from lifecycle_jobs.day import Wish, work_of
from lifecycle_jobs.db import tables
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    RefundOutcome,
    RefundRefused,
    RefundRequest,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.runs import Run
from tests import factories
from tests.jobs.running import (
    BROKEN,
    E,
    Office,
    broken,
    change,
    charged,
    details,
    everything,
    expires_on,
    happened,
    look,
    parked,
    renewing_box,
    tried,
)

DAY = timedelta(days=1)
FIRST_SLOT = E - 7 * DAY
NEXT_E = date(2028, 3, 31)
TEN_PAST_THREE = datetime(2027, 3, 24, 3, 10, tzinfo=UTC)


@dataclass
class RealGateway:
    """A bank as there are real ones: look-ups lag behind by hours, and keys are forgotten after a day."""

    looked_up: LookUpOutcome = field(default_factory=NeverSeen)
    answer: ChargeOutcome = field(default_factory=lambda: Succeeded("tx_1"))
    lag: timedelta = timedelta(hours=20)
    memory: timedelta | None = timedelta(hours=24)
    presented: list[str] = field(default_factory=list)
    parallel: bool = False

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        self.presented.append(request.idempotency_key)
        return self.answer

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        del request
        return self.looked_up

    def refund(self, request: RefundRequest) -> RefundOutcome:
        return RefundRefused(f"{request.reference} was never asked for")

    def rehearse(self) -> Gateway:
        return self


def with_bank(office: Office, bank: RealGateway) -> Office:
    """The same office with another bank."""
    return replace(office, gateway=bank)


def left_by_a_killed_run(office: Office, token: str = "pm_card_visa") -> int:
    """A box with a charge that was intended for slot 7 at three in the morning, and no more."""
    with office.store.write() as connection:
        number = renewing_box(connection, token=token)
        tried(connection, number, 7, "pending")
    return number


def key_of(office: Office) -> str:
    return str(look(office.store, tables.charges)[-1]["idempotency_key"])


@pytest.mark.parametrize("left", ["pending", "unknown"])
def test_a_charge_that_was_made_renews_the_box_as_if_the_answer_had_come_in_time(office: Office, left: str) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        factories.addon(connection, "extra", box)
        tried(connection, box, 7, left)
        connection.execute(
            tables.order_lines.insert().values(
                order_id=1, position=1, item="extra_inbox", addon_id="extra", quantity=1, unit_price_cents=250,
                years=1, net_cents=250,
            )
        )  # fmt: skip
    bank = RealGateway(looked_up=Succeeded("tx_7"))

    with_bank(office, bank).job("reconcile_charges", FIRST_SLOT + 2 * DAY)

    (charge,) = look(office.store, tables.charges)
    assert (charge["status"], charge["gateway_reference"]) == ("succeeded", "tx_7")
    assert charge["settled_on"] == FIRST_SLOT + 2 * DAY
    assert expires_on(office.store, box) == NEXT_E
    assert [row["expires_on"] for row in look(office.store, tables.addons)] == [NEXT_E]
    (event,) = look(office.store, tables.events)
    assert (event["kind"], event["occurred_on"], event["job"]) == (
        "box.renewed",
        FIRST_SLOT + 2 * DAY,
        "reconcile_charges",
    )
    assert [row["status"] for row in look(office.store, tables.orders)] == ["paid"]
    assert bank.presented == []


def test_a_charge_that_was_declined_is_recorded_and_the_order_stays_open(office: Office) -> None:
    box = left_by_a_killed_run(office)
    bank = with_bank(office, RealGateway(looked_up=Declined("stolen_card", hard=True)))

    bank.job("reconcile_charges", FIRST_SLOT + DAY)

    assert charged(office.store) == [(7, "declined")]
    (told,) = details(office.store, "charge.declined")
    assert (told["code"], told["hard"], told["final"]) == ("stolen_card", True, True)
    assert expires_on(office.store, box) == E
    assert [row["status"] for row in look(office.store, tables.orders)] == ["awaiting_payment"]


def test_a_late_answer_tells_the_attempt_that_really_comes_next(office: Office) -> None:
    left_by_a_killed_run(office, token="pm_card_visa_chargeDeclined")
    bank = with_bank(office, RealGateway(Declined("generic_decline", hard=False), Declined("expired_card", hard=True)))

    bank.job("reconcile_charges", E)
    bank.job("auto_renew", E)

    assert [
        (told["slot"], told["final"], told["next_attempt_on"]) for told in details(office.store, "charge.declined")
    ] == [
        (7, False, E.isoformat()),
        (0, True, None),
    ]


def test_of_four_neighbours_only_the_unresolved_one_is_touched(office: Office) -> None:
    with office.store.write() as connection:
        for name, outcome in (("a", "unknown"), ("b", "declined"), ("c", "not_attempted"), ("d", "succeeded")):
            tried(connection, renewing_box(connection, name), 7, outcome)
    before = look(office.store, tables.charges), look(office.store, tables.boxes), look(office.store, tables.orders)

    with_bank(office, RealGateway(looked_up=Succeeded("tx"))).job("reconcile_charges", FIRST_SLOT + DAY)

    after = look(office.store, tables.charges), look(office.store, tables.boxes), look(office.store, tables.orders)
    assert [rows[1:] for rows in after] == [rows[1:] for rows in before]
    assert [rows[0] != old[0] for rows, old in zip(after, before, strict=True)] == [True, True, True]


def test_a_second_run_changes_nothing(office: Office) -> None:
    left_by_a_killed_run(office)
    bank = with_bank(office, RealGateway(looked_up=Succeeded("tx")))
    bank.job("reconcile_charges", FIRST_SLOT + DAY)
    before = everything(office.store)

    bank.job("reconcile_charges", FIRST_SLOT + DAY)
    bank.job("reconcile_charges", FIRST_SLOT + 2 * DAY)

    assert everything(office.store) == before


@freeze_time(TEN_PAST_THREE)
def test_an_interrupted_charge_that_was_never_seen_is_presented_again_the_same_day_under_its_own_key(
    office: Office,
) -> None:
    box = left_by_a_killed_run(office)
    bank = RealGateway()

    with_bank(office, bank).job("reconcile_charges", FIRST_SLOT)

    assert bank.presented == [key_of(office)]
    assert charged(office.store) == [(7, "succeeded")]
    assert expires_on(office.store, box) == NEXT_E


@freeze_time(TEN_PAST_THREE)
def test_what_was_booked_before_the_kill_is_not_booked_twice(sqlite_office: Office) -> None:
    office = sqlite_office
    box = left_by_a_killed_run(office)
    office.gateway.charge(
        factories.charge_request(key_of(office), order_number=f"R-{box}-20270331", slot_on=FIRST_SLOT)
    )

    office.job("reconcile_charges", FIRST_SLOT)

    assert charged(office.store) == [(7, "succeeded")]
    assert len(office.booked()) == 1


@freeze_time(TEN_PAST_THREE)
@pytest.mark.parametrize(
    "meanwhile",
    [{"auto_renew": False}, {"cancelled_on": FIRST_SLOT}, {"hold_reason": "dispute"}, {"payment_method_id": None}],
)
def test_nobody_is_charged_again_who_does_not_want_it_any_more(
    sqlite_office: Office, meanwhile: dict[str, object]
) -> None:
    office = sqlite_office
    box = left_by_a_killed_run(office)
    change(office.store, tables.boxes, box, **meanwhile)
    bank = RealGateway()

    report = with_bank(office, bank).job("reconcile_charges", FIRST_SLOT)

    assert bank.presented == []
    assert charged(office.store) == [(7, "pending")]
    assert report.skipped == {"changed_meanwhile": 1}


@pytest.mark.parametrize(("hours", "again"), [(12, True), (13, False)])
def test_after_half_a_day_the_bank_may_have_forgotten_the_key(
    sqlite_office: Office,
    hours: int,
    again: bool,  # noqa: FBT001
) -> None:
    office = sqlite_office
    left_by_a_killed_run(office)
    bank = RealGateway()

    with freeze_time(TEN_PAST_THREE - timedelta(minutes=10) + timedelta(hours=hours)):
        with_bank(office, bank).job("reconcile_charges", FIRST_SLOT)

    assert bool(bank.presented) is again


@freeze_time(TEN_PAST_THREE)
def test_a_charge_whose_answer_was_lost_is_never_presented_again(office: Office) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, "unknown")
    bank = RealGateway()

    report = with_bank(office, bank).job("reconcile_charges", FIRST_SLOT)

    assert bank.presented == []
    assert charged(office.store) == [(7, "unknown")]
    assert report.skipped == {"not_trusted_yet": 1}


@pytest.mark.parametrize("left", ["pending", "unknown"])
def test_never_seen_is_believed_on_a_later_date_and_then_the_slot_is_free_again(office: Office, left: str) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, left)

    with freeze_time(TEN_PAST_THREE + DAY):
        report = office.job("reconcile_charges", FIRST_SLOT + DAY)
        office.job("auto_renew", FIRST_SLOT + DAY)

    assert charged(office.store) == [(7, "not_attempted"), (7, "succeeded")]
    assert report.done == {"charge.not_attempted": 1}
    assert happened(office.store) == ["box.renewed"]
    assert expires_on(office.store, box) == NEXT_E


@pytest.mark.parametrize(("hours", "expected"), [(19, "unknown"), (20, "not_attempted"), (48, "not_attempted")])
def test_a_real_bank_is_believed_only_twenty_hours_after_the_attempt(
    sqlite_office: Office, hours: int, expected: str
) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, "unknown")

    with freeze_time(datetime(2027, 3, 24, 3, tzinfo=UTC) + timedelta(hours=hours)):
        with_bank(office, RealGateway()).job("reconcile_charges", FIRST_SLOT + DAY)

    assert charged(office.store) == [(7, expected)]


@freeze_time(TEN_PAST_THREE + 3 * DAY)
def test_on_the_date_of_the_attempt_never_seen_is_not_believed_however_late_it_is(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, "unknown")

    with_bank(office, RealGateway(lag=timedelta(0))).job("reconcile_charges", FIRST_SLOT)

    assert charged(office.store) == [(7, "unknown")]


@pytest.mark.parametrize("left", ["pending", "unknown"])
def test_without_an_answer_it_stays_unresolved(office: Office, left: str) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, left)

    report = with_bank(office, RealGateway(looked_up=NoAnswer("timed out"))).job("reconcile_charges", FIRST_SLOT + DAY)

    assert charged(office.store) == [(7, left)]
    assert report.skipped == {"no_answer": 1}
    assert happened(office.store) == []


@pytest.mark.parametrize(
    ("answer", "lag", "expected"),
    [
        (Unknown("timed out"), 20, "unknown"),
        (NotAttempted("connection refused"), 0, "not_attempted"),
        (NotAttempted("connection refused"), 20, "pending"),
    ],
)
@freeze_time(TEN_PAST_THREE)
def test_a_refusal_of_the_second_call_says_nothing_about_the_first_while_look_ups_lag(
    sqlite_office: Office, answer: ChargeOutcome, lag: int, expected: str
) -> None:
    office = sqlite_office
    left_by_a_killed_run(office)

    with_bank(office, RealGateway(answer=answer, lag=timedelta(hours=lag))).job("reconcile_charges", FIRST_SLOT)

    assert charged(office.store) == [(7, expected)]


@pytest.mark.parametrize(("days", "reported"), [(2, 0), (3, 1), (30, 1)])
def test_a_charge_that_is_unresolved_for_three_days_is_reported(
    sqlite_office: Office, days: int, reported: int
) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, "unknown")

    report = with_bank(office, RealGateway(looked_up=NoAnswer("?"))).job("reconcile_charges", FIRST_SLOT + days * DAY)

    assert len(report.failures) == reported
    assert all("1 charges have been unresolved for 3 days" in failure for failure in report.failures)


def test_while_it_is_unresolved_nobody_touches_the_box_or_its_addons_and_its_neighbour_lives_on(
    office: Office,
) -> None:
    bank = RealGateway(looked_up=NoAnswer("?"), answer=Declined("generic_decline", hard=False))
    unanswered = with_bank(office, bank)
    with office.store.write() as connection:
        for name in ("a", "b"):
            box = renewing_box(connection, name)
            factories.addon(connection, f"addon-{name}", box, paid_from="credit")
        tried(connection, 1, 7, "unknown")
    box_before, addon_before = look(office.store, tables.boxes)[0], look(office.store, tables.addons)[0]

    for day in (E - 5 * DAY, E - DAY, E + DAY, E + 61 * DAY, E + 91 * DAY):
        for job in ("reconcile_charges", "auto_renew", "renew_addons", "suspend", "delete", "send_alerts"):
            unanswered.job(job, day)

    assert look(office.store, tables.boxes)[0] == box_before
    assert look(office.store, tables.addons)[0] == addon_before
    assert happened(office.store, 1) == []
    assert happened(office.store, 2) == [
        "charge.declined",
        "charge.declined",
        "charge.declined",
        "addon.disabled",
        "box.suspended",
        "box.deletion_warning",
        "box.deleted",
    ]


@freeze_time(TEN_PAST_THREE)
@pytest.mark.parametrize("booked", [True, False])
def test_a_run_that_was_killed_during_a_call_settles_what_it_had_in_hand_before_it_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, *, booked: bool
) -> None:
    with office.store.write() as connection:
        boxes = [renewing_box(connection, name, expires_on=FIRST_SLOT - DAY) for name in ("a", "b")]
    charge = SandboxGateway.charge

    def killed(bank: SandboxGateway, request: ChargeRequest) -> ChargeOutcome:
        if booked:
            charge(bank, request)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SandboxGateway, "charge", killed)
        with pytest.raises(KeyboardInterrupt):
            office.day(FIRST_SLOT)
    assert charged(office.store) == [(0, "pending")] * 2

    report = office.day(FIRST_SLOT)

    assert (report.run_pass, report.failures) == (1, [])
    assert charged(office.store) == [(0, "succeeded")] * 2
    assert [happened(office.store, box) for box in boxes] == [["box.renewed"]] * 2
    assert len(office.booked()) == 2


def test_money_for_a_box_that_cannot_take_it_is_recorded_and_waits_to_be_refunded(office: Office) -> None:
    box = left_by_a_killed_run(office)
    change(office.store, tables.boxes, box, expires_on=NEXT_E)
    bank = with_bank(office, RealGateway(looked_up=Succeeded("tx")))

    bank.job("reconcile_charges", FIRST_SLOT + DAY)

    assert charged(office.store) == [(7, "succeeded")]
    assert expires_on(office.store, box) == NEXT_E
    assert [row["unapplied"] for row in look(office.store, tables.charges)] == [True]
    assert [row["status"] for row in look(office.store, tables.orders)] == ["awaiting_payment"]
    assert happened(office.store) == []


def test_a_charge_that_the_database_refuses_to_settle_is_parked_and_the_others_are_settled(office: Office) -> None:
    with office.store.write() as connection:
        boxes = [renewing_box(connection, name, token="sandbox_lost_answer_paid") for name in ("a", "b", "c")]
    office.day(FIRST_SLOT)
    bad = boxes[1]
    with broken(office.store, "boxes", "UPDATE", f"NEW.id = {bad}"):
        report = office.day(FIRST_SLOT + DAY)

    assert [expires_on(office.store, box) for box in boxes] == [NEXT_E, E, NEXT_E]
    assert len(report.failures) == 1
    ((job, _, error),) = parked(office.store)
    assert (job, BROKEN in error) == ("reconcile_charges", True)

    repaired = office.day(FIRST_SLOT + DAY)

    assert (repaired.failures, parked(office.store)) == ([], [])
    assert [expires_on(office.store, box) for box in boxes] == [NEXT_E] * 3
    assert len(office.booked()) == 3


class Curious(RealGateway):
    """Notes what it is asked about."""

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        self.presented.append(request.order_number)
        return NoAnswer("nobody is there")


def test_for_one_customer_the_charges_of_all_others_are_not_asked_about(office: Office) -> None:
    with office.store.write() as connection:
        for name in ("his", "hers"):
            factories.customer(connection, name)
            box = factories.box(connection, f"{name}@pec.it", customer_id=name)
            renewal = factories.order(connection, f"{name}-renewal", customer_id=name, box_id=box)
            factories.charge(connection, f"{name}-renewal", order_id=renewal, box_id=box)
            top_up = factories.order(
                connection, f"{name}-credit", kind="topup", customer_id=name, term_expires_on=None, years=None
            )
            factories.top_up_charge(connection, f"{name}-credit", order_id=top_up)
    bank = Curious()
    asked = Task(
        "reconcile_charges",
        office.store,
        Run(E, 1, "everything", E - DAY),
        office.settings.catalog(),
        5000,
        lambda _job, _rows: None,
        of_customer="his",
    )

    work_of(office.settings, bank, Wish())["reconcile_charges"](asked)

    assert bank.presented == ["his-renewal", "his-credit"]
