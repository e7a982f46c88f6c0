"""Random providers for property tests: anything that the rules allow and a file can hold."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import strategies as st

from tests.db.folders import Row, addon, box, customer, method

Provider = dict[str, list[Row]]

# What a name may be made of: all of Unicode that UTF-8 can carry, with what CSV finds difficult drawn often.
_anything = st.characters(exclude_characters="\0", codec="utf-8")
_difficult = st.sampled_from("\",;\n\r\t =+-@'\\ ÀИ株\u2028\U0001f4ee")
_text = st.text(st.one_of(_anything, _difficult), min_size=1, max_size=12)
_maybe_text = st.one_of(st.just(""), _text)
_printable = st.characters(exclude_categories=("C", "Z"))
_identifier = st.text(st.one_of(_printable, st.sampled_from('",=+-@')), min_size=1, max_size=8)
_maybe_identifier = st.one_of(st.just(""), _identifier)
_word = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="@"), min_size=1, max_size=8)
_cents = st.integers(0, 10**9).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
_maybe_cents = st.one_of(st.just(""), _cents)
_count = st.integers(0, 2**31 - 1).map(str)
_maybe_count = st.one_of(st.just(""), _count)
_day = st.dates(date(2000, 1, 1), date(2099, 12, 31))
_maybe_day = st.one_of(st.just(""), _day.map(date.isoformat))
_truth = st.sampled_from(["true", "false"])


@st.composite
def providers(draw: st.DrawFn) -> Provider:
    """Customers with their payment methods, boxes, the deleted boxes before these, and add-ons."""
    customers = [_customer(draw, name) for name in draw(st.lists(_identifier, min_size=1, max_size=4, unique=True))]
    methods = [
        _method(draw, name, draw(st.sampled_from(customers))["customer_id"])
        for name in draw(st.lists(_identifier, max_size=4, unique=True))
    ]
    boxes: list[Row] = []
    addons: list[Row] = []
    addresses = draw(st.lists(st.tuples(_word, _word).map("@".join), max_size=5, unique_by=str.lower))
    addon_ids = iter(draw(st.lists(_identifier, min_size=15, max_size=15, unique=True)))
    for address in addresses:
        holder = draw(st.sampled_from(customers))["customer_id"]
        own = ["", *(row["payment_method_id"] for row in methods if row["customer_id"] == holder)]
        deletions = sorted(draw(st.lists(_day, max_size=2, unique=True)))
        boxes.extend(_deleted(draw, address, holder, own, deleted_on) for deleted_on in deletions)
        if not deletions or draw(st.booleans()):
            boxes.append(_live(draw, address, holder, own, max(deletions, default=date(2000, 1, 1))))
        for addon_id, _ in zip(addon_ids, range(draw(st.integers(0, 3))), strict=False):
            addons.append(_addon(draw, addon_id, boxes[-1]))
    return {"customers": customers, "payment_methods": methods, "boxes": boxes, "addons": addons}


def _customer(draw: st.DrawFn, customer_id: str) -> Row:
    return customer(
        customer_id=customer_id,
        name=draw(_text),
        email="@".join((draw(_word), draw(_word))),
        locale=draw(st.sampled_from(["it", "en"])),
        tax_id=draw(_maybe_identifier),
        einvoice_id=draw(_maybe_text),
        gateway_customer_id=draw(_maybe_identifier),
        credit=draw(_cents),
    )


def _method(draw: st.DrawFn, payment_method_id: str, customer_id: str) -> Row:
    kind = draw(st.sampled_from(["card", "paypal", "credit", "agreement"]))
    return method(
        payment_method_id=payment_method_id,
        customer_id=customer_id,
        kind=kind,
        token=draw(_identifier if kind in {"card", "paypal"} else _maybe_identifier),
        brand=draw(_maybe_text),
        last4=draw(st.sampled_from(["", "0042"])),
        exp_month=draw(st.sampled_from(["", "1", "12"])),
        exp_year=draw(st.sampled_from(["", "2027"])),
    )


def _box(draw: st.DrawFn, address: str, holder: str, methods: list[str], expires_on: date, **cells: str) -> Row:
    return box(
        address="".join(draw(st.sampled_from([letter, _other_case(letter)])) for letter in address),
        customer_id=holder,
        plan=draw(st.sampled_from(["standard", "pro", "premium", "domain"])),
        expires_on=expires_on.isoformat(),
        renewal_years=str(draw(st.integers(1, 5))),
        auto_renew=draw(_truth),
        payment_method_id=draw(st.sampled_from(methods)),
        annual_price=draw(_maybe_cents),
        domain=draw(st.one_of(st.just(""), _word)),
        cancelled_on=draw(_maybe_day),
        hold_until=draw(_maybe_day),
        hold_reason=draw(_maybe_text),
        used_inbox_mb=draw(_maybe_count),
        used_archive_mb=draw(_maybe_count),
        **cells,
    )


def _live(draw: st.DrawFn, address: str, holder: str, methods: list[str], after: date) -> Row:
    expires_on = draw(st.dates(after + timedelta(days=1), date(2100, 12, 31)))
    if draw(st.booleans()):
        return _box(draw, address, holder, methods, expires_on, status="active")
    reason = draw(st.one_of(st.just("unpaid"), _text))
    day = expires_on + timedelta(days=draw(st.integers(1, 99))) if reason == "unpaid" else draw(_day)
    suspended = {"suspended_on": day.isoformat(), "suspended_reason": reason}
    return _box(draw, address, holder, methods, expires_on, status="suspended", **suspended)


def _deleted(draw: st.DrawFn, address: str, holder: str, methods: list[str], deleted_on: date) -> Row:
    return _box(
        draw,
        address,
        holder,
        methods,
        deleted_on - timedelta(days=draw(st.integers(0, 400))),
        status="deleted",
        suspended_on=draw(_maybe_day),
        suspended_reason=draw(_maybe_text),
        deleted_on=deleted_on.isoformat(),
    )


def _addon(draw: st.DrawFn, addon_id: str, its_box: Row) -> Row:
    kinds = ["disabled", "terminated"] if its_box["status"] == "deleted" else ["active", "disabled", "terminated"]
    paid_from = draw(st.sampled_from(["renewal", "credit"]))
    status = draw(st.sampled_from(kinds))
    cancelled_on = draw(_maybe_day)
    bound = status == "active" and paid_from == "renewal" and not cancelled_on
    return addon(
        addon_id=addon_id,
        address=its_box["address"],
        kind=draw(_identifier),
        quantity=str(draw(st.integers(1, 2**31 - 1))),
        unit_price=draw(_cents),
        paid_from=paid_from,
        status=status,
        expires_on=its_box["expires_on"] if bound else draw(_day).isoformat(),
        cancelled_on=cancelled_on,
    )


def _other_case(letter: str) -> str:
    """The letter in capitals, where that is the same letter for the comparison of addresses."""
    return letter.upper() if letter.upper().lower() == letter.lower() else letter
