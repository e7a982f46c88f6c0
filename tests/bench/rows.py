"""The tables as the generator fills them: rows with numbers and references, collected in batches.

Dates and moments are ISO text and booleans 0 or 1, which SQLite's driver and PostgreSQL's COPY read alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

Row = tuple[object, ...]
Batch = dict[str, list[Row]]
"""Rows by table, the tables in an order in which every reference points backwards."""

COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(columns.split())
    for table, columns in {
        "customers": "customer_id name email locale tax_id credit_cents",
        "payment_methods": "payment_method_id customer_id kind token brand last4",
        "boxes": "id address address_key customer_id plan status expires_on renewal_years auto_renew"
        " payment_method_id annual_price_cents domain cancelled_on hold_until hold_reason suspended_on"
        " suspended_reason deleted_on",
        "addons": "addon_id box_id kind quantity unit_price_cents paid_from status expires_on",
        "orders": "id order_number kind customer_id box_id term_expires_on years placed_on paid_on net_cents"
        " vat_cents gross_cents status",
        "order_lines": "order_id position item addon_id quantity unit_price_cents years net_cents",
        "charges": "id idempotency_key order_id box_id term_expires_on slot attempt payment_method_id"
        " method_kind token amount_cents status attempted_on attempted_at settled_on settled_at decline_code"
        " hard",
        "credit_entries": "customer_id occurred_on amount_cents balance_after_cents reason",
        "events": "id occurred_on kind box_id addon_id customer_id term_expires_on milestone detail run_on"
        " run_pass job",
        "messages": "id message_key customer_id kind locale recipient created_on status attempts accepted_on"
        " accepted_at",
        "message_events": "event_id message_id",
    }.items()
}
"""What is filled in; every other column keeps its default."""

NUMBERED = ("boxes", "orders", "charges", "events", "messages")
"""Tables whose `id` is given here, so that the database must be told where to go on."""


class Days:
    """Dates around the business day as text; making the same few hundred texts a million times takes longest."""

    def __init__(self, on: date) -> None:
        self._on = on
        self._texts: dict[int, str] = {}
        self._moments: dict[int, str] = {}

    def text(self, days: int) -> str:
        """The date so many days after the business date."""
        if days not in self._texts:
            self._texts[days] = (self._on + timedelta(days)).isoformat()
        return self._texts[days]

    def moment(self, days: int) -> str:
        """A moment in the night of that day, UTC."""
        return f"{self.text(days)} 03:00:00.000000"


class Rows:
    """Collects rows, and numbers those that need it."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self._last = dict.fromkeys(NUMBERED, 0)
        self._batch: Batch = {table: [] for table in COLUMNS}

    def taken(self) -> Batch:
        """What was collected since the last time."""
        batch, self._batch = self._batch, {table: [] for table in COLUMNS}
        return batch

    def add(self, table: str, *values: object) -> None:
        """A row of a table without a number of its own."""
        self._batch[table].append(values)

    def add_numbered(self, table: str, *values: object) -> int:
        """A row of a table with a number; returns it."""
        number = self._last[table] + 1
        self._last[table] = number
        self._batch[table].append((number, *values))
        return number

    def add_order(
        self,
        customer_id: str,
        box_id: int,
        term: int,
        years: int,
        *,
        placed: int,
        status: str,
        vat_and_gross: tuple[int, int],
        lines: Sequence[tuple[str, str | None, int]],
    ) -> int:
        """A renewal order; `lines` are item, add-on and price of a year. Days are counted from the business date."""
        vat, gross = vat_and_gross
        text = self._days.text
        paid_on = text(placed) if status == "paid" else None
        number = self.add_numbered(
            "orders",
            f"BENCH-{self._last['orders'] + 1}",
            "renewal",
            customer_id,
            box_id,
            text(term),
            years,
            text(placed),
            paid_on,
            gross - vat,
            vat,
            gross,
            status,
        )
        for position, (item, addon_id, price) in enumerate(lines, 1):
            self.add("order_lines", number, position, item, addon_id, 1, price, years, price * years)
        return number

    def add_charge(
        self,
        order_id: int,
        box_id: int,
        term: int,
        slot: int,
        *,
        method: tuple[str, str, str | None],
        cents: int,
        status: str,
        decline: tuple[str, bool] | None = None,
    ) -> str:
        """The attempt of a slot; `method` is id, kind and token. Returns the idempotency key."""
        key = f"bench-{box_id}-{term}-{slot}"
        text, attempted = self._days.text, term - slot
        settled = status != "unknown"
        code, hard = decline or (None, None)
        self.add_numbered(
            "charges",
            key,
            order_id,
            box_id,
            text(term),
            slot,
            1,
            *method,
            cents,
            status,
            text(attempted),
            self._days.moment(attempted),
            text(attempted) if settled else None,
            self._days.moment(attempted) if settled else None,
            code,
            None if hard is None else int(hard),
        )
        return key

    def add_told(
        self,
        kind: str,
        customer: tuple[str, str, str],
        box_id: int,
        term: int,
        on: int,
        *,
        job: str,
        milestone: int | None = None,
        addon_id: str | None = None,
    ) -> None:
        """An event and the e-mail that told the customer (id, address, locale) of it."""
        customer_id, email, locale = customer
        day = self._days.text(on)
        event_id = self.add_numbered(
            "events", day, kind, box_id, addon_id, customer_id, self._days.text(term), milestone, "{}", day, 1, job
        )
        message_id = self.add_numbered(
            "messages",
            f"bench-{event_id}",
            customer_id,
            kind,
            locale,
            email,
            day,
            "sent",
            1,
            day,
            self._days.moment(on),
        )
        self.add("message_events", event_id, message_id)
