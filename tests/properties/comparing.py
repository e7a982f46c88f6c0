"""The program's rows and the model's books, each brought to the same picture, so that they can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from tests.properties.spec.things import Books

_HOLDER = "Mario Rossi"
"""The name that every customer is given at the beginning."""

Picture = dict[str, Any]
Rows = Mapping[str, Sequence[Any]]


def seen(rows: Rows) -> Picture:
    """The program's side. A box is known by its place; ids and numbers are the program's own business."""
    place = {row.id: number for number, row in enumerate(rows["boxes"])}
    return {
        "credit": {row.customer_id: row.credit_cents for row in rows["customers"]},
        "holders": {row.customer_id: (row.name, row.tax_id) for row in rows["customers"]},
        "methods": sorted(
            (row.payment_method_id, row.customer_id, row.kind, row.token or "") for row in rows["methods"]
        ),
        "boxes": [
            {
                "address": row.address,
                "customer": row.customer_id,
                "plan": row.plan,
                "expires_on": row.expires_on,
                "status": row.status,
                "years": row.renewal_years,
                "auto_renew": row.auto_renew,
                "method": row.payment_method_id,
                "price": row.annual_price_cents,
                "domain": row.domain,
                "cancelled_on": row.cancelled_on,
                "hold_until": row.hold_until,
                "hold_reason": row.hold_reason,
                "suspended_on": row.suspended_on,
                "suspended_reason": row.suspended_reason,
                "deleted_on": row.deleted_on,
            }
            for row in rows["boxes"]
        ],
        "addons": sorted(
            (
                place[row.box_id],
                row.kind,
                row.paid_from,
                row.expires_on,
                row.status,
                row.quantity,
                row.unit_price_cents,
                row.cancelled_on or date.min,
            )
            for row in rows["addons"]
        ),
        "orders": _grouped(
            (
                (place.get(row.box_id, row.customer_id), row.kind),
                (
                    row.term_expires_on,
                    row.years,
                    row.placed_on,
                    row.paid_on,
                    row.net_cents,
                    row.gross_cents,
                    row.status,
                ),
            )
            for row in rows["orders"]
        ),
        "charges": _grouped(
            (place[row.box_id], (row.term_expires_on, row.slot, row.amount_cents, row.status, row.attempted_on))
            for row in rows["charges"]
        ),
        "top_up_charges": [(row.amount_cents, row.status, row.attempted_on) for row in rows["top_up_charges"]],
        "unapplied": sorted(
            (
                (row.kind, row.key if row.kind == "registered" else row.order_number, row.amount_cents)
                for row in rows["refunds"]
            ),
            key=str,
        ),
    }


def expected(books: Books) -> Picture:
    """The model's side."""
    boxes = [vars(box).copy() for box in books.boxes]
    for box in boxes:
        del box["id"], box["used_inbox_mb"], box["used_archive_mb"], box["let_go"]
    registered = [("registered", each.reference, each.amount) for each in books.payments if each.unapplied]
    charged = [("charge", books.orders[each.order].number, each.amount) for each in books.charges if each.unapplied]
    return {
        "credit": books.credit,
        "holders": {name: (_HOLDER, books.tax_ids[name]) for name in books.credit},  # no operation changes who it is
        "methods": sorted((each.name, each.customer, each.kind, each.token or "") for each in books.methods.values()),
        "boxes": boxes,
        "addons": sorted(
            (
                addon.box,
                addon.kind,
                addon.paid_from,
                addon.expires_on,
                addon.status,
                addon.quantity,
                addon.price,
                addon.cancelled_on or date.min,
            )
            for addon in books.addons
        ),
        "orders": _grouped(
            (
                (order.customer if order.box is None else order.box, order.kind),
                (order.term, order.years, order.placed_on, order.paid_on, order.net, order.gross, order.status),
            )
            for order in books.orders
        ),
        "charges": _grouped(
            (charge.box, (charge.term, charge.slot, charge.amount, charge.status, charge.attempted_on))
            for charge in books.charges
        ),
        "top_up_charges": [
            (books.orders[each.order].gross, each.status, each.attempted_on) for each in books.top_up_charges
        ],
        "unapplied": sorted(registered + charged, key=str),
    }


def learn_names(books: Books, rows: Rows) -> None:
    """Give what is new in the model the numbers and names that the program gave it: orders by box in their order.

    Add-ons that are alike are the same to the model, so it does not matter which gets which name.
    """
    place = {row.id: number for number, row in enumerate(rows["boxes"])}
    numbers = _grouped(((place.get(row.box_id, row.customer_id), row.kind), row.order_number) for row in rows["orders"])
    for order in books.orders:
        number = numbers[order.customer if order.box is None else order.box, order.kind].pop(0)
        assert order.number in {None, number}
        order.number = number
    named = {addon.name for addon in books.addons}
    for row in rows["addons"]:
        if row.addon_id not in named:
            alike = (place[row.box_id], row.kind, row.paid_from, row.expires_on, row.quantity, row.status)
            found = next(
                addon
                for addon in books.addons
                if addon.name == "?"
                and alike == (addon.box, addon.kind, addon.paid_from, addon.expires_on, addon.quantity, addon.status)
            )
            found.name = row.addon_id


def differences(was: Picture, ought: Picture) -> dict[str, Any]:
    """What the program has made and the model has not, and the other way round."""
    return {name: {"program": was[name], "model": ought[name]} for name in ought if was[name] != ought[name]}


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    found = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)
