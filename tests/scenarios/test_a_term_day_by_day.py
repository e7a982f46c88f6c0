"""Both worked examples of the rules, run date by date from before the first alert until after the last deletion.

All boxes belong to one provider, so one walk serves every life. What is expected is written in days from E, the last
day that is paid for; the two calendars say which dates these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from email import message_from_bytes, policy

import pytest

from lifecycle_jobs.payments.sandbox import bookings
from tests.scenarios.provider import Books, Provider, Row, days

Calendar = Mapping[str, str]

A_PLAIN_YEAR: Calendar = {
    "E-93": "2026-12-28",
    "E-90": "2026-12-31",
    "E-60": "2027-01-30",
    "E-37": "2027-02-22",
    "E-30": "2027-03-01",
    "E-15": "2027-03-16",
    "E-7": "2027-03-24",
    "E-6": "2027-03-25",
    "E-5": "2027-03-26",
    "E-4": "2027-03-27",
    "E-3": "2027-03-28",
    "E-2": "2027-03-29",
    "E-1": "2027-03-30",
    "E": "2027-03-31",
    "E+1": "2027-04-01",
    "E+4": "2027-04-04",
    "E+5": "2027-04-05",
    "E+6": "2027-04-06",
    "E+15": "2027-04-15",
    "E+16": "2027-04-16",
    "E+31": "2027-05-01",
    "E+61": "2027-05-31",
    "E+71": "2027-06-10",
    "E+72": "2027-06-11",
    "E+84": "2027-06-23",
    "E+91": "2027-06-30",
    "E+95": "2027-07-04",
    "E+102": "2027-07-11",
    "E+103": "2027-07-12",
    "1 year": "2028-03-31",
    "2 years": "2029-03-31",
    "4 years": "2031-03-31",
}

A_LEAP_DAY: Calendar = {
    "E-93": "2027-11-28",
    "E-90": "2027-12-01",
    "E-60": "2027-12-31",
    "E-37": "2028-01-23",
    "E-30": "2028-01-30",
    "E-15": "2028-02-14",
    "E-7": "2028-02-22",
    "E-6": "2028-02-23",
    "E-5": "2028-02-24",
    "E-4": "2028-02-25",
    "E-3": "2028-02-26",
    "E-2": "2028-02-27",
    "E-1": "2028-02-28",
    "E": "2028-02-29",
    "E+1": "2028-03-01",
    "E+4": "2028-03-04",
    "E+5": "2028-03-05",
    "E+6": "2028-03-06",
    "E+15": "2028-03-15",
    "E+16": "2028-03-16",
    "E+31": "2028-03-31",
    "E+61": "2028-04-30",
    "E+71": "2028-05-10",
    "E+72": "2028-05-11",
    "E+84": "2028-05-23",
    "E+91": "2028-05-30",
    "E+95": "2028-06-03",
    "E+102": "2028-06-10",
    "E+103": "2028-06-11",
    "1 year": "2029-02-28",
    "2 years": "2030-02-28",
    "4 years": "2032-02-29",
}

EVERY_ALERT = """
    {E-90} box.expiry_alert 90
    {E-60} box.expiry_alert 60
    {E-30} box.expiry_alert 30
    {E-15} box.expiry_alert 15
    {E-7} box.expiry_alert 7
    {E-1} box.expiry_alert 1
"""
BOTH_NOTICES = """
    {E-90} box.renewal_notice 90
    {E-37} box.renewal_notice 37
"""
WARNED_AND_DELETED = """
    {E+31} box.deletion_warning 60 before {E+91}
    {E+61} box.deletion_warning 30 before {E+91}
    {E+84} box.deletion_warning 7 before {E+91}
    {E+91} box.deleted
"""
SUSPENDED_AND_DELETED = (
    """
    {E+1} box.suspended unpaid
"""
    + WARNED_AND_DELETED
)
PAID_AT_ONCE = "{E-7} renewal 9.90 + 2.18 = 12.08 paid {E-7}"
NEVER_PAID = "{E-7} renewal 9.90 + 2.18 = 12.08 cancelled"
DECLINED_IN_EVERY_SLOT = """
    {{E-7}} charge.declined {code} in slot 7, next {{E-5}}
    {{E-5}} charge.declined {code} in slot 5, next {{E-3}}
    {{E-3}} charge.declined {code} in slot 3, next {{E-1}}
    {{E-1}} charge.declined {code} in slot 1, next {{E}}
    {{E}} charge.declined {code} in slot 0, final
"""
FIVE_DECLINED_CHARGES = """
    slot 7 #1 declined {code} 12.08
    slot 5 #1 declined {code} 12.08
    slot 3 #1 declined {code} 12.08
    slot 1 #1 declined {code} 12.08
    slot 0 #1 declined {code} 12.08
"""
A_CHARGE_EVERY_DAY = """
    slot 7 #1 not_attempted 12.08
    slot 7 #2 not_attempted 12.08
    slot 5 #1 not_attempted 12.08
    slot 5 #2 not_attempted 12.08
    slot 3 #1 not_attempted 12.08
    slot 3 #2 not_attempted 12.08
    slot 1 #1 not_attempted 12.08
    slot 0 #1 not_attempted 12.08
    slot 0 #2 not_attempted 12.08
    slot 0 #3 not_attempted 12.08
    slot 0 #4 not_attempted 12.08
"""


@dataclass(frozen=True)
class Story:
    """A box and all that becomes of it: `life` is every event, `orders`, `charges` and `ledger` every row."""

    name: str
    life: str
    token: str | None = None
    kind: str | None = None
    credit: str = "0.00"
    columns: Row = field(default_factory=dict)
    addons: Mapping[str, Row] = field(default_factory=dict)
    charges: str = ""
    orders: str = ""
    ledger: str = ""
    ends: str = "deleted"
    until: str = "{E}"
    addons_end: Mapping[str, str] = field(default_factory=dict)


STORIES = (
    Story("unpaid", EVERY_ALERT + SUSPENDED_AND_DELETED),
    Story("without-method", EVERY_ALERT + SUSPENDED_AND_DELETED, columns={"auto_renew": "true"}),
    Story(
        "paid",
        BOTH_NOTICES + "{E-7} box.renewed until {1 year}, 12.08 by card",
        token="pm_card_visa",
        charges="slot 7 #1 succeeded 12.08",
        orders=PAID_AT_ONCE,
        ends="active",
        until="{1 year}",
    ),
    Story(
        "paid-late",
        BOTH_NOTICES
        + """
        {E-7} charge.declined insufficient_funds in slot 7, next {E-5}
        {E-5} charge.declined insufficient_funds in slot 5, next {E-3}
        {E-3} charge.declined insufficient_funds in slot 3, next {E-1}
        {E-1} box.renewed until {1 year}, 12.08 by card
        """,
        token="sandbox_paid_from:{E-1}",
        charges="""
        slot 7 #1 declined insufficient_funds 12.08
        slot 5 #1 declined insufficient_funds 12.08
        slot 3 #1 declined insufficient_funds 12.08
        slot 1 #1 succeeded 12.08
        """,
        orders="{E-7} renewal 9.90 + 2.18 = 12.08 paid {E-1}",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "soft-declines",
        BOTH_NOTICES + DECLINED_IN_EVERY_SLOT.format(code="generic_decline") + SUSPENDED_AND_DELETED,
        token="pm_card_visa_chargeDeclined",
        charges=FIVE_DECLINED_CHARGES.format(code="generic_decline"),
        orders=NEVER_PAID,
    ),
    Story(
        "hard-decline",
        BOTH_NOTICES
        + """
        {E-7} charge.declined expired_card in slot 7, final
        {E-1} box.expiry_alert 1
        """
        + SUSPENDED_AND_DELETED,
        token="pm_card_chargeDeclinedExpiredCard",
        charges="slot 7 #1 declined expired_card 12.08",
        orders=NEVER_PAID,
    ),
    Story(
        "lost-answer-paid",
        BOTH_NOTICES + "{E-6} box.renewed until {1 year}, 12.08 by card",
        token="sandbox_lost_answer_paid",
        charges="slot 7 #1 succeeded 12.08",
        orders="{E-7} renewal 9.90 + 2.18 = 12.08 paid {E-6}",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "lost-answer-never-seen",
        BOTH_NOTICES + "{E+4} box.suspended unpaid" + WARNED_AND_DELETED,
        token="sandbox_lost_answer_never_seen",
        charges=A_CHARGE_EVERY_DAY,
        orders=NEVER_PAID,
    ),
    Story(
        "gateway-down",
        BOTH_NOTICES
        + """
        {E-7} box.expiry_alert 7
        {E-1} box.expiry_alert 1
        {E+4} box.suspended unpaid
        """
        + WARNED_AND_DELETED,
        token="sandbox_unavailable",
        charges=A_CHARGE_EVERY_DAY,
        orders=NEVER_PAID,
    ),
    Story("cancelled", SUSPENDED_AND_DELETED, token="pm_card_visa", columns={"cancelled_on": "2026-11-02"}),
    Story(
        "held-for-good",
        EVERY_ALERT,
        token="pm_card_visa",
        columns={"hold_reason": "court order"},
        ends="active",
    ),
    Story(
        "held-until-before-expiry",
        """
        {E-90} box.expiry_alert 90
        {E-60} box.expiry_alert 60
        {E-30} box.expiry_alert 30
        {E-15} box.expiry_alert 15
        {E-7} box.expiry_alert 7
        {E-4} box.renewed until {1 year}, 12.08 by card
        """,
        token="pm_card_visa",
        columns={"hold_until": "{E-5}", "hold_reason": "dispute"},
        charges="slot 5 #1 succeeded 12.08",
        orders="{E-4} renewal 9.90 + 2.18 = 12.08 paid {E-4}",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "held-until-charges-are-late",
        EVERY_ALERT + "{E+6} box.renewed until {1 year}, 12.08 by card",
        token="pm_card_visa",
        columns={"hold_until": "{E+5}"},
        charges="slot 0 #1 succeeded 12.08",
        orders="{E+6} renewal 9.90 + 2.18 = 12.08 paid {E+6}",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "held-until-no-charge-is-made",
        EVERY_ALERT + "{E+16} box.suspended unpaid" + WARNED_AND_DELETED,
        token="pm_card_visa",
        columns={"hold_until": "{E+15}"},
    ),
    Story(
        "held-until-deletion-moves",
        EVERY_ALERT
        + """
        {E+72} box.suspended unpaid
        {E+95} box.deletion_warning 7 before {E+102}
        {E+102} box.deleted
        """,
        columns={"hold_until": "{E+71}"},
    ),
    Story(
        "suspended-by-hand",
        "",
        token="pm_card_visa",
        columns={"status": "suspended", "suspended_on": "2026-11-16", "suspended_reason": "abuse"},
        ends="suspended",
    ),
    Story(
        "credit-enough",
        BOTH_NOTICES + "{E-7} box.renewed until {1 year}, 12.08 by credit",
        kind="credit",
        credit="20.00",
        charges="slot 7 #1 succeeded 12.08",
        orders=PAID_AT_ONCE,
        ledger="{E-7} renewal -12.08, 7.92 left",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "credit-exactly-enough",
        BOTH_NOTICES + "{E-7} box.renewed until {1 year}, 12.08 by credit",
        kind="credit",
        credit="12.08",
        charges="slot 7 #1 succeeded 12.08",
        orders=PAID_AT_ONCE,
        ledger="{E-7} renewal -12.08, 0.00 left",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "credit-one-cent-short",
        BOTH_NOTICES + DECLINED_IN_EVERY_SLOT.format(code="insufficient_credit") + SUSPENDED_AND_DELETED,
        kind="credit",
        credit="12.07",
        charges=FIVE_DECLINED_CHARGES.format(code="insufficient_credit"),
        orders=NEVER_PAID,
    ),
    Story(
        "credit-for-one-of-two-addons",
        BOTH_NOTICES
        + """
        {E-7} box.renewed until {1 year}, 30.50 by card
        {E-7} addon.renewed one until {1 year}, 3.05, 1.95 left
        {E-7} addon.credit_short two 1.10 short
        {E+1} addon.disabled two credit_short, 1.10 short
        """,
        token="pm_card_visa",
        credit="5.00",
        columns={"plan": "pro"},
        addons={"one": {}, "two": {"kind": "extra_archive"}},
        charges="slot 7 #1 succeeded 30.50",
        orders="""
        {E-7} renewal 25.00 + 5.50 = 30.50 paid {E-7}
        {E-7} addon 2.50 + 0.55 = 3.05 paid {E-7}
        """,
        ledger="{E-7} addon -3.05, 1.95 left",
        ends="active",
        until="{1 year}",
        addons_end={"one": "active {1 year}", "two": "disabled {E}"},
    ),
    Story(
        "credit-for-the-cheaper-addon",
        BOTH_NOTICES
        + """
        {E-7} box.renewed until {1 year}, 30.50 by card
        {E-7} addon.renewed small until {1 year}, 3.05, 1.95 left
        {E-7} addon.credit_short big 4.15 short
        {E+1} addon.disabled big credit_short, 7.20 short
        """,
        token="pm_card_visa",
        credit="5.00",
        columns={"plan": "pro"},
        addons={"big": {"quantity": "3"}, "small": {"kind": "extra_archive"}},
        charges="slot 7 #1 succeeded 30.50",
        orders="""
        {E-7} renewal 25.00 + 5.50 = 30.50 paid {E-7}
        {E-7} addon 2.50 + 0.55 = 3.05 paid {E-7}
        """,
        ledger="{E-7} addon -3.05, 1.95 left",
        ends="active",
        until="{1 year}",
        addons_end={"big": "disabled {E}", "small": "active {1 year}"},
    ),
    Story(
        "unpaid-with-addons-that-wait",
        EVERY_ALERT + SUSPENDED_AND_DELETED,
        credit="4.00",
        columns={"plan": "pro"},
        addons={"waiting": {}, "waiting-too": {"kind": "extra_archive"}},
        addons_end={"waiting": "terminated {E}", "waiting-too": "terminated {E}"},
    ),
    Story(
        "unpaid-with-an-addon-beyond-credit",
        EVERY_ALERT + "{E+1} addon.disabled dear credit_short, 0.01 short" + SUSPENDED_AND_DELETED,
        credit="3.04",
        addons={"dear": {}},
        addons_end={"dear": "disabled {E}"},
    ),
    Story(
        "unpaid-with-an-addon-of-the-renewal",
        EVERY_ALERT + SUSPENDED_AND_DELETED,
        addons={"unpaid-space": {"paid_from": "renewal"}},
        addons_end={"unpaid-space": "terminated {E}"},
    ),
    Story(
        "two-years-with-an-addon",
        BOTH_NOTICES + "{E-7} box.renewed until {2 years}, 30.26 by card",
        token="pm_card_visa",
        columns={"renewal_years": "2"},
        addons={"space": {"paid_from": "renewal"}},
        charges="slot 7 #1 succeeded 30.26",
        orders="{E-7} renewal 24.80 + 5.46 = 30.26 paid {E-7}",
        ends="active",
        until="{2 years}",
        addons_end={"space": "active {2 years}"},
    ),
    Story(
        "agreement",
        BOTH_NOTICES + "{E-7} box.renewed until {4 years}, 48.31 by agreement",
        kind="agreement",
        columns={"renewal_years": "4"},
        orders="{E-7} renewal 39.60 + 8.71 = 48.31 on_account",
        ends="active",
        until="{4 years}",
    ),
    Story(
        "convention",
        BOTH_NOTICES + "{E-7} box.renewed until {1 year}, 6.10 by card",
        token="pm_card_visa",
        columns={"annual_price": "5.00"},
        charges="slot 7 #1 succeeded 6.10",
        orders="{E-7} renewal 5.00 + 1.10 = 6.10 paid {E-7}",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "free-of-charge",
        BOTH_NOTICES + "{E-7} box.renewed until {1 year}, 0.00 by card",
        token="pm_card_chargeDeclinedExpiredCard",
        columns={"annual_price": "0.00"},
        orders="{E-7} renewal 0.00 + 0.00 = 0.00 paid {E-7}",
        ends="active",
        until="{1 year}",
    ),
    Story(
        "on-a-domain",
        EVERY_ALERT + SUSPENDED_AND_DELETED,
        token="pm_card_visa",
        columns={"plan": "domain", "domain": "pec.example.it"},
    ),
    Story(
        "paypal",
        BOTH_NOTICES + "{E-7} box.renewed until {1 year}, 12.08 by paypal",
        token="pm_card_visa",
        kind="paypal",
        charges="slot 7 #1 succeeded 12.08",
        orders=PAID_AT_ONCE,
        ends="active",
        until="{1 year}",
    ),
)


def test_each_box_lives_the_life_that_the_rules_give_it(embedded: Provider) -> None:
    _live(embedded, A_PLAIN_YEAR, _without_quiet_dates(A_PLAIN_YEAR))


@pytest.mark.soak
def test_with_every_single_date_the_lives_are_the_same(embedded: Provider) -> None:
    _live(embedded, A_PLAIN_YEAR, days(A_PLAIN_YEAR["E-93"], A_PLAIN_YEAR["E+103"]))


def test_a_term_that_ends_on_29_february_is_counted_by_the_same_days(embedded: Provider) -> None:
    _live(embedded, A_LEAP_DAY, _without_quiet_dates(A_LEAP_DAY))


def test_on_postgresql_the_lives_are_the_same(served: Provider) -> None:
    _live(served, A_PLAIN_YEAR, _without_quiet_dates(A_PLAIN_YEAR))


def _live(provider: Provider, calendar: Calendar, dates: Sequence[str]) -> None:
    provider.at(f"{calendar['E-93']}T04:00:00Z")
    for story in STORIES:
        _write_down(provider, story, calendar)
    assert provider.bring_in().code == 0

    provider.run_on(*dates)

    books = provider.books()
    for what, shown in (
        ("life", {story.name: books.life(story.name) for story in STORIES}),
        ("charges", {story.name: books.charges(story.name) for story in STORIES}),
        ("orders", {story.name: books.orders(story.name) for story in STORIES}),
        ("ledger", {story.name: books.ledger(story.name) for story in STORIES}),
    ):
        expected = {story.name: _lines(getattr(story, what), calendar) for story in STORIES}
        assert shown == expected, what
    for story in STORIES:
        _ends_as_told(books, story, calendar)
        _was_written_to(books, story, calendar)
    _each_message_is_a_file(provider, books)
    _money_adds_up(provider, books)


def _without_quiet_dates(calendar: Calendar) -> Sequence[str]:
    """Each date on which something happens with the one before, every date around E, and no gap that is asked about."""
    eventful = set(calendar.values()) | set(days(calendar["E-7"], calendar["E+6"]))
    dates = days(calendar["E-93"], calendar["E+103"])
    return [
        on
        for number, (on, following) in enumerate(zip(dates, [*dates[1:], ""], strict=True))
        if on in eventful or following in eventful or number % 9 == 0
    ]


def _write_down(provider: Provider, story: Story, calendar: Calendar) -> None:
    provider.box(
        story.name,
        calendar["E"],
        token=None if story.token is None else _dated(story.token, calendar),
        kind=story.kind,
        credit=story.credit,
        **{column: _dated(value, calendar) for column, value in story.columns.items()},
    )
    for addon_id, columns in story.addons.items():
        provider.addon(addon_id, story.name, calendar["E"], **columns)


def _ends_as_told(books: Books, story: Story, calendar: Calendar) -> None:
    box = books.box(story.name)
    deleted_on = "" if story.ends != "deleted" else _lines(story.life, calendar)[-1].split()[0]
    assert (box["status"], box["deleted_on"]) == (story.ends, deleted_on), story.name
    assert box["expires_on"] == _dated(story.until, calendar), story.name
    assert {event["term_expires_on"] for event in books.events(story.name)} <= {calendar["E"]}, story.name
    for addon_id in story.addons:
        addon = books.addon(addon_id)
        assert f"{addon['status']} {addon['expires_on']}" == _dated(story.addons_end[addon_id], calendar), addon_id
    entries = _lines(story.ledger, calendar)
    left = entries[-1].split()[-2] if entries else story.credit
    assert books.credit(story.name) == left, story.name


def _was_written_to(books: Books, story: Story, calendar: Calendar) -> None:
    """One message for each date and kind of event, and none besides."""
    told = dict.fromkeys(" ".join(line.split()[:2]) + " sent" for line in _lines(story.life, calendar))
    assert sorted(books.messages(story.name)) == sorted(told), story.name


def _each_message_is_a_file(provider: Provider, books: Books) -> None:
    files = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in provider.mail.rglob("*.eml")]
    assert sorted(file["Message-ID"] for file in files) == sorted(
        message["message_id"] for message in books.files["messages.csv"]
    )


def _money_adds_up(provider: Provider, books: Books) -> None:
    """Each balance is the sum of its ledger, and the bank booked what the charges say, once."""
    for customer in books.files["customers.csv"]:
        entries = [row for row in books.files["credit_entries.csv"] if row["customer_id"] == customer["customer_id"]]
        assert sum(Decimal(row["amount"]) for row in entries) == Decimal(customer["credit"])
    collected = {
        row["idempotency_key"]: row["gateway_reference"]
        for row in books.files["charges.csv"]
        if row["status"] == "succeeded" and not row["gateway_reference"].startswith("R-")
    }
    assert {line.key: line.reference for line in bookings(provider.journal)} == collected
    assert len(bookings(provider.journal)) == len(collected)


def _lines(text: str, calendar: Calendar) -> list[str]:
    lines = [line.strip() for line in _dated(text, calendar).splitlines()]
    return [line for line in lines if line]


def _dated(text: str, calendar: Calendar) -> str:
    return text.format_map(calendar)
