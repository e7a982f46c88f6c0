"""What is left to do about a declined charge, by advice and by the calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from lifecycle_jobs.mail.advice import NextStep, next_step, only_by_hand, replaceable, tried_again
from lifecycle_jobs.mail.contents import ADVICES, Advice, ChargeDeclinedLine
from lifecycle_jobs.mail.samples import SAMPLES

E = date(2027, 3, 31)
DAY = timedelta(days=1)
ON = date(2027, 3, 24)
NEXT = date(2027, 3, 26)


def declined(advice: Advice = "bank", *, next_on: date | None = NEXT, hard: bool = False) -> ChargeDeclinedLine:
    line = SAMPLES["charge.declined"][0].lines[0]
    assert isinstance(line, ChargeDeclinedLine)
    return replace(line, advice=advice, expires_on=E, hard=hard, final=next_on is None, next_attempt_on=next_on)


def test_a_method_is_tried_again_only_after_a_soft_decline_with_a_slot_to_come() -> None:
    assert tried_again(declined())
    assert not tried_again(declined(next_on=None))
    assert not tried_again(declined(hard=True))
    assert not tried_again(replace(declined(), final=True))


def test_a_new_method_is_charged_if_a_run_comes_before_the_box_has_expired() -> None:
    assert replaceable(declined(), E - DAY)
    assert not replaceable(declined(), E)


@pytest.mark.parametrize(
    ("advice", "step"),
    [
        ("funds", "pay"),
        ("replace", "replace"),
        ("confirm", "pay"),
        ("bank", "pay"),
        ("credit", "top_up"),
        ("provider", "wait"),
        ("later", "wait"),
    ],
)
def test_each_advice_has_its_first_step_while_another_attempt_follows(advice: Advice, step: NextStep) -> None:
    assert next_step(declined(advice), ON) == step


@pytest.mark.parametrize("advice", ADVICES)
def test_on_the_last_day_and_later_every_order_is_to_be_paid_by_hand(advice: Advice) -> None:
    for on in (E, E + 3 * DAY):
        assert only_by_hand(declined(advice, next_on=None), on)
        assert next_step(declined(advice, next_on=None), on) == "pay"


@pytest.mark.parametrize("advice", ["provider", "later", "credit", "funds", "bank"])
def test_nobody_waits_for_an_attempt_that_does_not_come(advice: Advice) -> None:
    for none_to_come in (declined(advice, next_on=None), declined(advice, next_on=None, hard=True)):
        assert next_step(none_to_come, ON) == "pay"


@pytest.mark.parametrize("advice", ["replace", "confirm"])
def test_storing_a_method_helps_until_the_day_before_expiry_whatever_is_tried_again(advice: Advice) -> None:
    hard = declined(advice, next_on=None, hard=True)

    assert not only_by_hand(hard, E - DAY)
    assert only_by_hand(hard, E)
