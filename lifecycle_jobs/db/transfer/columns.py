"""The files of SPEC §6, as data: what they are called, which columns they have, and what each column holds."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle_jobs.db.transfer import cells
from lifecycle_jobs.db.transfer.cells import Read


@dataclass(frozen=True, slots=True)
class Field:
    """A column of an input file: its heading, the column of the table that it fills, and how a cell is read."""

    name: str
    read: Read
    column: str
    required: bool


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that `export` writes and `import` reads; what it describes goes into the table `table`."""

    name: str
    table: str
    fields: tuple[Field, ...]

    @property
    def header(self) -> tuple[str, ...]:
        """The header row, in the order in which `export` writes it."""
        return tuple(field.name for field in self.fields)


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that only `export` writes."""

    name: str
    header: tuple[str, ...]


def _needed(name: str, read: Read, column: str = "") -> Field:
    return Field(name, read, column or name, required=True)


def _optional(name: str, read: Read, column: str = "") -> Field:
    return Field(name, read, column or name, required=False)


CUSTOMERS = InputFile(
    "customers.csv",
    "customers",
    (
        _needed("customer_id", cells.identifier),
        _needed("name", cells.free_text),
        _needed("email", cells.mail_address),
        _needed("locale", cells.one_of("it", "en")),
        _optional("tax_id", cells.identifier),
        _optional("einvoice_id", cells.free_text),
        _optional("gateway_customer_id", cells.identifier),
        _optional("credit", cells.euros, "credit_cents"),
    ),
)

PAYMENT_METHODS = InputFile(
    "payment_methods.csv",
    "payment_methods",
    (
        _needed("payment_method_id", cells.identifier),
        _needed("customer_id", cells.identifier),
        _needed("kind", cells.one_of("card", "paypal", "credit", "agreement")),
        _optional("token", cells.identifier),
        _optional("brand", cells.free_text),
        _optional("last4", cells.last4),
        _optional("exp_month", cells.month),
        _optional("exp_year", cells.year),
    ),
)

BOXES = InputFile(
    "boxes.csv",
    "boxes",
    (
        _needed("address", cells.mail_address),
        _needed("customer_id", cells.identifier),
        _needed("plan", cells.identifier),
        _needed("status", cells.one_of("active", "suspended", "deleted")),
        _needed("expires_on", cells.iso_date),
        _needed("renewal_years", cells.count_from_one),
        _needed("auto_renew", cells.boolean),
        _optional("payment_method_id", cells.identifier),
        _optional("annual_price", cells.euros, "annual_price_cents"),
        _optional("domain", cells.domain_name),
        _optional("cancelled_on", cells.iso_date),
        _optional("hold_until", cells.iso_date),
        _optional("hold_reason", cells.free_text),
        _optional("suspended_on", cells.iso_date),
        _optional("suspended_reason", cells.free_text),
        _optional("deleted_on", cells.iso_date),
        _optional("used_inbox_mb", cells.count),
        _optional("used_archive_mb", cells.count),
    ),
)

ADDONS = InputFile(
    "addons.csv",
    "addons",
    (
        _needed("addon_id", cells.identifier),
        _needed("address", cells.mail_address),
        _needed("kind", cells.identifier),
        _needed("quantity", cells.count_from_one),
        _needed("unit_price", cells.euros, "unit_price_cents"),
        _needed("paid_from", cells.one_of("renewal", "credit")),
        _needed("status", cells.one_of("active", "disabled", "terminated")),
        _needed("expires_on", cells.iso_date),
        _optional("cancelled_on", cells.iso_date),
    ),
)

INPUT_FILES = (CUSTOMERS, PAYMENT_METHODS, BOXES, ADDONS)
"""In the order in which they refer to each other, which is also the order in which problems are told."""

ORDERS = OutputFile(
    "orders.csv",
    (
        "order_number",
        "kind",
        "placed_on",
        "paid_on",
        "address",
        "customer_id",
        "term_expires_on",
        "years",
        "net",
        "vat",
        "gross",
        "status",
    ),
)

CHARGES = OutputFile(
    "charges.csv",
    (
        "idempotency_key",
        "order_number",
        "address",
        "slot",
        "status",
        "amount",
        "decline_code",
        "gateway_reference",
    ),
)

CREDIT_ENTRIES = OutputFile(
    "credit_entries.csv",
    ("customer_id", "occurred_on", "amount", "balance_after", "reason", "reference"),
)

EVENTS = OutputFile(
    "events.csv",
    ("occurred_on", "kind", "address", "addon_id", "customer_id", "term_expires_on", "detail"),
)

MESSAGES = OutputFile(
    "messages.csv",
    ("message_id", "customer_id", "kind", "locale", "recipient", "created_on", "status", "addresses"),
)

OUTPUT_FILES = (ORDERS, CHARGES, CREDIT_ENTRIES, EVENTS, MESSAGES)
