"""The bank of a simulation answers as the forecast assumes, and each question once for all."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from lifecycle_jobs.forecast.assumptions import Assumptions, ByHand, Declines
from lifecycle_jobs.forecast.course import Courses, Standing
from lifecycle_jobs.payments.gateway import (
    ChargeRequest,
    Declined,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.policy import Policy
from lifecycle_jobs.simulating.bank import Bank, Trouble
from lifecycle_jobs.simulating.chance import Chance
from tests.simulating.crowd import RATES

E = date(2027, 3, 31)
ALL_DECLINED = Assumptions({"card": Declines(1.0)}, ByHand())


def request(box: int, slot: int = 7, attempt: int = 1) -> ChargeRequest:
    return ChargeRequest(
        idempotency_key=f"simulated-{box}-abcdef12-20270331-{slot}-{attempt}",
        amount_cents=1208,
        method_kind="card",
        token="pm_of_a_real_card",
        gateway_customer_id=None,
        order_number=f"R-{box}-20270331",
        box_address=f"box{box}@pec.example.it",
        slot_on=E - timedelta(days=slot),
        asked_at=datetime(2027, 3, 24, 4, tzinfo=UTC),
    )


def test_terms_end_as_the_course_of_the_forecast_has_it() -> None:
    bank, boxes = Bank(Chance(1), RATES, Trouble()), 4000
    counted: Counter[tuple[str, int]] = Counter()
    for box in range(boxes):
        for slot in Policy().charge_slots:
            answer = bank.charge(request(box, slot))
            counted["charge.declined" if isinstance(answer, Declined) else "box.renewed", -slot] += 1
            if isinstance(answer, Succeeded) or (isinstance(answer, Declined) and answer.hard):
                break

    course = Courses(RATES, None).of(Standing(Policy(), "card", start=-100, since=-101))
    foretold = {
        (each.kind, each.offset): each.probability
        for each in course.happenings
        if each.kind in {"charge.declined", "box.renewed"}
    }

    assert foretold.keys() == counted.keys()
    for what, probability in foretold.items():
        astray = (probability * (1 - probability) / boxes) ** 0.5
        assert counted[what] / boxes == pytest.approx(probability, abs=4 * astray), what


def test_a_charge_that_was_delayed_by_an_outage_is_decided_as_it_would_have_been() -> None:
    in_time, delayed = Bank(Chance(3), RATES, Trouble()), Bank(Chance(3), RATES, Trouble(outages=1.0))
    delayed.begin(E)

    first = [delayed.charge(request(box)) for box in range(50)]
    delayed._trouble = Trouble()
    delayed.begin(E + timedelta(days=1))
    later = [delayed.charge(request(box, attempt=2)) for box in range(50)]

    assert all(isinstance(answer, NotAttempted) for answer in first)
    assert [type(answer) for answer in later] == [type(in_time.charge(request(box))) for box in range(50)]
    assert delayed.met.outages == 1


def test_an_answer_that_was_lost_is_found_when_the_charge_arrived_and_never_seen_when_not() -> None:
    bank = Bank(Chance(1), ALL_DECLINED, Trouble(lost_answers=1.0))

    answers = [bank.charge(request(box)) for box in range(200)]
    found = Counter(type(bank.look_up(request(box))) for box in range(200))

    assert all(isinstance(answer, Unknown) for answer in answers)
    assert found.keys() == {Declined, NeverSeen}
    assert (bank.met.lost_answers, bank.met.never_seen) == (200, found[NeverSeen])
    assert 70 < found[NeverSeen] < 130


def test_on_a_day_of_outage_nobody_is_told_anything() -> None:
    bank = Bank(Chance(1), RATES, Trouble(lost_answers=1.0, outages=1.0), {request(1).idempotency_key: 7})
    bank.begin(E)

    assert isinstance(bank.charge(request(1)), NotAttempted)
    assert isinstance(bank.look_up(request(1)), NoAnswer)
    assert bank.met.lost_answers == 0


def test_what_was_open_before_is_looked_up_and_what_was_never_charged_is_not_there() -> None:
    key = request(1).idempotency_key
    answers = {type(Bank(Chance(seed), ALL_DECLINED, Trouble(), {key: 7}).look_up(request(1))) for seed in range(20)}

    assert answers == {Declined, NeverSeen}
    assert isinstance(Bank(Chance(1), ALL_DECLINED, Trouble()).look_up(request(1)), NeverSeen)
