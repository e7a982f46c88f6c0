"""What things cost, and what becomes of an add-on that credit pays: the examples of SPEC §2 and §3."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from lifecycle_jobs.policy import (
    AddonStep,
    Catalog,
    Plan,
    Policy,
    Space,
    addon_renewed_with_box,
    addon_step,
    addon_years_to_pay,
    archive_lost_mb,
    deletions_allowed,
    renewal_net,
)

A = date(2027, 3, 31)
DAY = timedelta(days=1)
CATALOG = Catalog({}, Decimal(22))


def plan(code: str, *, policy: Policy | None = None, auto_renewable: bool = True) -> Plan:
    return Plan(code, code.title(), 990, 1, 0, 1, 0, 5, auto_renewable, policy or Policy())


@pytest.mark.parametrize(
    ("net", "gross"),
    [(990, 1208), (2480, 3026), (250, 305), (0, 0), (1, 1), (2, 2), (3, 4), (25, 31), (75, 92), (2500, 3050)],
)
def test_vat_is_added_once_and_rounded_half_up_to_the_cent(net: int, gross: int) -> None:
    assert CATALOG.gross(net) == gross


def test_exactly_half_a_cent_is_rounded_up() -> None:
    assert Catalog({}, Decimal(10)).gross(5) == 6
    assert Catalog({}, Decimal(10)).gross(15) == 17


def test_rounding_each_line_by_itself_would_give_another_price() -> None:
    assert CATALOG.gross(renewal_net(990, 250, 2)) == 3026
    assert 2 * (CATALOG.gross(990) + CATALOG.gross(250)) == 3026
    assert CATALOG.gross(renewal_net(990, 250, 5)) == 7564
    assert 5 * (CATALOG.gross(990) + CATALOG.gross(250)) == 7565


def test_a_renewal_costs_its_years_times_box_and_addons() -> None:
    assert renewal_net(990, 0, 1) == 990
    assert renewal_net(990, 250, 2) == 2480


def test_plans_with_one_policy_share_a_group_in_a_fixed_order() -> None:
    own = Policy(suspended_days=30)
    plans = {code: plan(code, policy=policy) for code, policy in [("b", None), ("c", own), ("a", None)]}

    groups = Catalog(plans, Decimal(22)).groups()

    assert [(group.policy, group.plans) for group in groups] == [(Policy(), ("a", "b")), (own, ("c",))]


def test_only_some_plans_may_be_charged_without_being_asked() -> None:
    plans = {"standard": plan("standard"), "domain": plan("domain", auto_renewable=False)}

    assert Catalog(plans, Decimal(22)).auto_renewable() == ("standard",)


@pytest.mark.parametrize(
    ("due", "not_deleted", "allowed"),
    [
        (0, 0, True),
        (100, 100, True),
        (101, 101, False),
        (101, 2019, False),
        (101, 2020, True),
        (102, 2020, False),
        (500_000, 10_000_000, True),
        (500_001, 10_000_000, False),
    ],
)
def test_a_day_deletes_at_most_a_hundred_boxes_or_five_percent(*, due: int, not_deleted: int, allowed: bool) -> None:
    assert deletions_allowed(due, not_deleted, max_percent=5, always_allowed=100) is allowed


@pytest.mark.parametrize(
    ("status", "box_after_a", "box_after_today", "renewed"),
    [
        ("active", 365, 300, True),
        ("active", 1, 0, True),
        ("active", 0, 0, False),
        ("active", -1, 0, False),
        ("active", 1, -1, False),
        ("suspended", 365, 300, False),
        ("deleted", 365, 300, False),
    ],
)
def test_a_box_was_renewed_if_it_is_active_and_ends_later_than_its_addon(
    *, status: str, box_after_a: int, box_after_today: int, renewed: bool
) -> None:
    expires_on = A + box_after_a * DAY

    found = addon_renewed_with_box(
        box_status=status, box_expires_on=expires_on, addon_expires_on=A, on=expires_on - box_after_today * DAY
    )

    assert found is renewed


@pytest.mark.parametrize(
    ("followed", "cancelled", "days_after_a", "balance", "step"),
    [
        (True, False, -30, 305, "renew"),
        (True, False, 0, 305, "renew"),
        (True, False, 40, 305, "renew"),
        (True, False, -30, 304, "announce_short"),
        (True, False, 0, 304, "announce_short"),
        (True, False, 1, 304, "disable"),
        (False, False, 0, 305, "wait"),
        (False, False, 1, 305, "wait"),
        (False, False, 0, 304, "wait"),
        (False, False, 1, 304, "disable"),
        (True, True, 0, 305, "wait"),
        (True, True, 1, 305, "end"),
        (False, True, 0, 0, "wait"),
        (False, True, 1, 305, "end"),
    ],
)
def test_what_becomes_of_an_addon_that_credit_pays(
    *, followed: bool, cancelled: bool, days_after_a: int, balance: int, step: AddonStep
) -> None:
    found = addon_step(
        followed=followed,
        cancelled=cancelled,
        addon_expires_on=A,
        on=A + days_after_a * DAY,
        cost_cents=305,
        balance_cents=balance,
    )

    assert found == step


SMALL, LARGE = Space(1, 0), Space(2, 3)


@pytest.mark.parametrize(
    ("before", "after", "used_mb", "lost_mb"),
    [
        (LARGE, SMALL, 2355, 2355),
        (LARGE, SMALL, 0, 0),
        (LARGE, SMALL, None, None),
        (Space(2, 8), LARGE, 3 * 1024, 0),
        (Space(2, 8), LARGE, 3 * 1024 + 1, 1),
        (SMALL, LARGE, None, 0),
        (LARGE, LARGE, 9999, 0),
    ],
)
def test_an_archive_loses_what_it_has_no_room_for(
    before: Space, after: Space, used_mb: int | None, lost_mb: int | None
) -> None:
    assert archive_lost_mb(before, after, used_mb) == lost_mb


@pytest.mark.parametrize(
    ("on", "expires_on", "years"),
    [
        (date(2026, 1, 31), date(2027, 3, 31), 2),
        (date(2026, 3, 31), date(2027, 3, 31), 1),
        (date(2026, 12, 30), date(2027, 3, 31), 1),
        (date(2026, 12, 31), date(2027, 3, 31), 0),
        (date(2026, 11, 30), date(2027, 2, 28), 0),
        (date(2026, 11, 29), date(2027, 2, 28), 0),
        (date(2026, 11, 27), date(2027, 2, 28), 1),
        (date(2027, 4, 1), date(2027, 3, 31), 0),
    ],
)
def test_extra_space_is_paid_for_begun_years_and_free_in_the_last_three_calendar_months(
    on: date, expires_on: date, years: int
) -> None:
    assert addon_years_to_pay(on, expires_on) == years
