"""What becomes of a box in one term, by the worked example of SPEC §1 (days are counted from E)."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle_jobs.forecast.assumptions import Assumptions, ByHand, Declines
from lifecycle_jobs.forecast.course import Courses, Standing, Way
from lifecycle_jobs.policy import Policy

NOBODY_PAYS = Assumptions({"card": Declines(1.0)}, ByHand())


def lives(way: Way, assumptions: Assumptions = NOBODY_PAYS, **standing: Any) -> dict[str, dict[int, Any]]:
    """By kind the days of what happens to a box in a whole term, each with its probability."""
    whole_term = {"start": -100, "since": -101} | standing
    course = Courses(assumptions, None).of(Standing(Policy(), way, **whole_term))
    found: dict[str, dict[int, Any]] = {}
    for each in course.happenings:
        found.setdefault(each.kind, {})[each.offset] = pytest.approx(each.probability)
    return found


def certainly(*days: int) -> dict[int, float]:
    return dict.fromkeys(days, 1.0)


def test_a_box_that_nobody_pays_is_warned_suspended_and_deleted_on_the_days_of_the_specification() -> None:
    assert lives("by_hand") == {
        "box.expiry_alert": certainly(-90, -60, -30, -15, -7, -1),
        "box.suspended": certainly(1),
        "box.deletion_warning": certainly(31, 61, 84),
        "box.deleted": certainly(91),
    }


def test_a_card_that_declines_is_tried_at_every_slot_and_alerts_on_those_days_are_lost() -> None:
    life = lives("card")

    assert life["charge"] == life["charge.declined"] == certainly(-7, -5, -3, -1, 0)
    assert life["box.renewal_notice"] == certainly(-90, -37)
    assert "box.expiry_alert" not in life


def test_after_a_hard_decline_the_card_is_left_alone_and_the_holder_alerted() -> None:
    life = lives("card", Assumptions({"card": Declines(1.0, hard=1.0)}, ByHand()))

    assert life["charge"] == certainly(-7)
    assert life["box.expiry_alert"] == certainly(-1)


def test_each_attempt_is_a_draw_of_its_own() -> None:
    life = lives("card", Assumptions({"card": Declines(0.5, by_slot={0: 0.25})}, ByHand()))

    assert life["box.renewed"] == {-7: 0.5, -5: 0.25, -3: 0.125, -1: 0.0625, 0: 0.0625 * 0.75}
    assert life["box.suspended"] == {1: 0.0625 * 0.25}


def test_whoever_pays_by_hand_is_told_up_to_that_day() -> None:
    life = lives("by_hand", Assumptions({}, ByHand(0.6, {30: 0.5, -10: 0.5})))

    assert life["paid_by_hand"] == {-30: 0.3, 10: 0.3}
    assert life["box.expiry_alert"] == {-90: 1.0, -60: 1.0, -30: 1.0, -15: 0.7, -7: 0.7, -1: 0.7}
    assert life["box.deleted"] == {91: 0.4}


def test_a_box_that_is_still_unpaid_late_is_the_less_likely_to_be_paid() -> None:
    life = lives("by_hand", Assumptions({}, ByHand(0.6, {30: 0.5, 5: 0.5})), start=-20, since=-21)

    assert life["paid_by_hand"] == {-5: 0.3 / 0.7}


def test_a_hold_that_ends_after_the_term_has_the_card_charged_late_and_the_deletion_put_off() -> None:
    life = lives("card", held=True, held_until=4)

    assert life["charge"] == life["box.suspended"] == certainly(5)
    assert lives("by_hand", held=True, held_until=80)["box.deleted"] == certainly(111)


@pytest.mark.parametrize(("funded", "ends"), [(1, "box.renewed"), (0, "box.suspended")])
def test_credit_pays_as_far_as_it_goes(funded: int, ends: str) -> None:
    assert ends in lives("credit", funded=funded)


def test_of_a_box_that_waits_for_a_person_nothing_is_foretold() -> None:
    assert lives("set_aside") == {}
