"""The tables, with every constraint that makes "twice" and "never" impossible.

What must never be twice is a unique index here (a milestone, a slot, a renewal order, a message); what must
never be is a CHECK (negative credit, an unknown status). Code may be wrong and still not break them.

Money is whole cents. Days are business dates (SPEC §1); moments (`*_at`) are UTC and rule nothing.
Keys that come from files are text and compare by code point, on PostgreSQL through the collation "C".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.operators import OperatorType

from lifecycle_jobs.db.triggers import put_in_place

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column that is INTEGER to the letter.
Id = BigInteger().with_variant(Integer(), "sqlite")
Key = Text().with_variant(Text(collation="C"), "postgresql")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Any moment read comes with its zone."""
        del dialect
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value


class Word(TypeDecorator[str]):
    """A status: one of a few known words.

    What it is compared with is written into the statement and not sent as a parameter, because a partial index is
    used only where the statement itself says that its condition holds.
    """

    impl = Text()
    cache_ok = True

    class Comparator(TypeDecorator.Comparator[str]):
        """Compares with words that are written out."""

        def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """As any text column, but for the words."""
            return super().operate(op, *[_written_out(value) for value in other], **kwargs)

    comparator_factory = Comparator


def _written_out(value: Any) -> Any:
    if isinstance(value, str):
        if not value.isidentifier():  # a word of ours, never something that came from outside
            message = f"{value!r} is no status"
            raise ValueError(message)
        return literal_column(f"'{value}'", Text())
    return [_written_out(each) for each in value] if isinstance(value, (list, tuple)) else value


def one_of(column: str, *values: str) -> CheckConstraint:
    """A CHECK that a column holds one of the known words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)


customers = Table(
    "customers",
    metadata,
    Column("customer_id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("tax_id", Text),
    Column("einvoice_id", Text),
    Column("gateway_customer_id", Text),
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    one_of("locale", "it", "en"),
    CheckConstraint("credit_cents >= 0", name="credit_never_negative"),
)

payment_methods = Table(
    "payment_methods",
    metadata,
    Column("payment_method_id", Key, primary_key=True),
    Column("customer_id", Key, ForeignKey("customers.customer_id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("token", Text),
    Column("brand", Text),
    Column("last4", Text),
    Column("exp_month", Integer),
    Column("exp_year", Integer),
    one_of("kind", "card", "paypal", "credit", "agreement"),
    CheckConstraint("kind NOT IN ('card', 'paypal') OR token IS NOT NULL", name="token_for_gateway"),
    CheckConstraint("exp_month IS NULL OR exp_month BETWEEN 1 AND 12", name="exp_month"),
)

boxes = Table(
    "boxes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("address", Text, nullable=False),
    Column("address_key", Key, nullable=False, comment="the address in lower case: what it is compared by"),
    Column("customer_id", Key, ForeignKey("customers.customer_id"), nullable=False, index=True),
    Column("plan", Key, nullable=False),
    Column("status", Word, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("renewal_years", Integer, nullable=False),
    Column("auto_renew", Boolean, nullable=False),
    Column("payment_method_id", Key, ForeignKey("payment_methods.payment_method_id"), index=True),
    Column("annual_price_cents", BigInteger),
    Column("domain", Text),
    Column("cancelled_on", Date),
    Column("hold_until", Date),
    Column("hold_reason", Text),
    Column("suspended_on", Date),
    Column("suspended_reason", Text),
    Column("deleted_on", Date),
    Column("used_inbox_mb", BigInteger),
    Column("used_archive_mb", BigInteger),
    Column("imported_expires_on", Date, comment="the E it came with: what the recorded renewals move on from"),
    Column("imported_after_event", BigInteger, comment="renewals up to this event moved an E that was overwritten"),
    one_of("status", "active", "suspended", "deleted"),
    CheckConstraint("renewal_years BETWEEN 1 AND 5", name="renewal_years"),
    CheckConstraint("annual_price_cents IS NULL OR annual_price_cents >= 0", name="annual_price_cents"),
    CheckConstraint(
        "status <> 'suspended' OR (suspended_on IS NOT NULL AND suspended_reason IS NOT NULL)",
        name="suspended_has_day_and_reason",
    ),
    CheckConstraint("status <> 'active' OR suspended_on IS NULL", name="active_is_not_suspended"),
    CheckConstraint("(status = 'deleted') = (deleted_on IS NOT NULL)", name="deleted_has_day"),
)
Index(
    "uq_boxes_live_address",
    boxes.c.address_key,
    unique=True,
    sqlite_where=text("status <> 'deleted'"),
    postgresql_where=text("status <> 'deleted'"),
)
Index(
    "uq_boxes_tombstone",
    boxes.c.address_key,
    boxes.c.deleted_on,
    unique=True,
    sqlite_where=text("status = 'deleted'"),
    postgresql_where=text("status = 'deleted'"),
)
Index(
    "ix_boxes_active_by_expiry",
    boxes.c.expires_on,
    boxes.c.address_key,
    sqlite_where=text("status = 'active'"),
    postgresql_where=text("status = 'active'"),
)
Index(
    "ix_boxes_suspended_by_expiry",
    boxes.c.expires_on,
    boxes.c.address_key,
    sqlite_where=text("status = 'suspended'"),
    postgresql_where=text("status = 'suspended'"),
)
Index(
    "ix_boxes_plan",
    boxes.c.plan,
    sqlite_where=text("status <> 'deleted'"),
    postgresql_where=text("status <> 'deleted'"),
)

Index(
    "ix_boxes_domain",
    boxes.c.domain,
    sqlite_where=text("domain IS NOT NULL"),
    postgresql_where=text("domain IS NOT NULL"),
)

addons = Table(
    "addons",
    metadata,
    Column("addon_id", Key, primary_key=True),
    Column("box_id", Id, ForeignKey("boxes.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_cents", BigInteger, nullable=False),
    Column("paid_from", Text, nullable=False),
    Column("status", Word, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("cancelled_on", Date),
    Column(
        "behind",
        Boolean,
        nullable=False,
        server_default="0",
        comment="its box's E is later than its A; kept so by the database, see triggers.py",
    ),
    one_of("paid_from", "renewal", "credit"),
    one_of("status", "active", "disabled", "terminated"),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("unit_price_cents >= 0", name="unit_price_cents"),
)
Index(
    "ix_addons_active_by_expiry",
    addons.c.expires_on,
    addons.c.addon_id,
    sqlite_where=text("status = 'active'"),
    postgresql_where=text("status = 'active'"),
)
Index(
    "ix_addons_active_behind",
    addons.c.expires_on,
    addons.c.addon_id,
    sqlite_where=text("status = 'active' AND behind = 1"),
    postgresql_where=text("status = 'active' AND behind"),
)
event.listen(addons, "after_create", put_in_place)

orders = Table(
    "orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("order_number", Key, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("customer_id", Key, ForeignKey("customers.customer_id"), nullable=False, index=True),
    Column("box_id", Id, ForeignKey("boxes.id")),
    Column("addon_id", Key, ForeignKey("addons.addon_id")),
    Column("term_expires_on", Date),
    Column("years", Integer),
    Column("placed_on", Date, nullable=False),
    Column("paid_on", Date),
    Column("net_cents", BigInteger, nullable=False),
    Column("vat_cents", BigInteger, nullable=False),
    Column("gross_cents", BigInteger, nullable=False),
    Column("status", Word, nullable=False),
    one_of("kind", "renewal", "addon", "topup"),
    one_of("status", "awaiting_payment", "paid", "on_account", "cancelled"),
    CheckConstraint("net_cents >= 0 AND vat_cents >= 0", name="amounts"),
    CheckConstraint("gross_cents = net_cents + vat_cents", name="gross_is_net_plus_vat"),
    CheckConstraint("(status = 'paid') = (paid_on IS NOT NULL)", name="paid_has_day"),
    CheckConstraint("kind <> 'renewal' OR (box_id IS NOT NULL AND term_expires_on IS NOT NULL)", name="renewal"),
)
Index(
    "uq_orders_renewal_of_term",
    orders.c.box_id,
    orders.c.term_expires_on,
    unique=True,
    sqlite_where=text("kind = 'renewal' AND status <> 'cancelled'"),
    postgresql_where=text("kind = 'renewal' AND status <> 'cancelled'"),
)
Index("ix_orders_box_term", orders.c.box_id, orders.c.term_expires_on)
Index(
    "uq_orders_addon_term",
    orders.c.addon_id,
    orders.c.term_expires_on,
    unique=True,
    sqlite_where=text("kind = 'addon' AND status <> 'cancelled'"),
    postgresql_where=text("kind = 'addon' AND status <> 'cancelled'"),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Id, ForeignKey("orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("item", Text, nullable=False, comment="a plan's code or an add-on's kind"),
    Column("addon_id", Key, ForeignKey("addons.addon_id")),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_cents", BigInteger, nullable=False),
    Column("years", Integer, nullable=False),
    Column("net_cents", BigInteger, nullable=False),
    CheckConstraint("net_cents = quantity * unit_price_cents * years", name="net"),
)

charges = Table(
    "charges",
    metadata,
    Column("id", Id, primary_key=True),
    Column("idempotency_key", Key, nullable=False, unique=True),
    Column("order_id", Id, ForeignKey("orders.id"), nullable=False, index=True),
    Column("box_id", Id, ForeignKey("boxes.id"), nullable=False),
    Column("term_expires_on", Date, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("payment_method_id", Key, nullable=False),
    Column("method_kind", Text, nullable=False),
    Column("token", Text),
    Column("amount_cents", BigInteger, nullable=False),
    Column("status", Word, nullable=False),
    Column("attempted_on", Date, nullable=False),
    Column("attempted_at", Moment, nullable=False),
    Column("called", Boolean, nullable=False, server_default="1", comment="false: held back by the outage limit"),
    Column("settled_on", Date),
    Column("settled_at", Moment, comment="gives the order of completion, for the outage limit"),
    Column("decline_code", Text),
    Column("hard", Boolean),
    Column("gateway_reference", Text),
    Column("unapplied", Boolean, nullable=False, server_default="0", comment="paid, but the box could not take it"),
    Column("without_notice", Boolean, nullable=False, server_default="0"),
    Column("gateway_customer_id", Text, comment="the customer's at the gateway when it was written down"),
    Column("why", Text, comment="what the gateway, the network or a person said about an outcome without an answer"),
    Column("refunded_on", Date),
    Column("refund_reference", Text),
    Column("unknown_since", Date, comment="W, where days lie between it and the attempt: charges may be forgotten"),
    one_of("status", "pending", "succeeded", "declined", "unknown", "not_attempted"),
    one_of("method_kind", "card", "paypal", "credit"),
    CheckConstraint("amount_cents > 0", name="amount_cents"),
    CheckConstraint("status <> 'declined' OR (decline_code IS NOT NULL AND hard IS NOT NULL)", name="decline"),
    UniqueConstraint("box_id", "term_expires_on", "slot", "attempt"),
)
Index(
    "uq_charges_unresolved_of_box",
    charges.c.box_id,
    unique=True,
    sqlite_where=text("status IN ('pending', 'unknown')"),
    postgresql_where=text("status IN ('pending', 'unknown')"),
)
Index(
    "uq_charges_succeeded_of_order",
    charges.c.order_id,
    unique=True,
    sqlite_where=text("status = 'succeeded'"),
    postgresql_where=text("status = 'succeeded'"),
)
Index(
    "ix_charges_unapplied",
    charges.c.box_id,
    sqlite_where=text("unapplied = 1"),
    postgresql_where=text("unapplied"),
)
Index(
    "ix_charges_gone_wrong",
    charges.c.term_expires_on,
    charges.c.box_id,
    sqlite_where=text("status IN ('declined', 'not_attempted')"),
    postgresql_where=text("status IN ('declined', 'not_attempted')"),
)
Index("ix_charges_attempted_on", charges.c.attempted_on)
Index(
    "ix_charges_not_attempted",
    charges.c.attempted_on,
    sqlite_where=text("status = 'not_attempted'"),
    postgresql_where=text("status = 'not_attempted'"),
)
Index(
    "ix_charges_gateway_reference",
    charges.c.gateway_reference,
    sqlite_where=text("gateway_reference IS NOT NULL"),
    postgresql_where=text("gateway_reference IS NOT NULL"),
)

registered_payments = Table(
    "registered_payments",
    metadata,
    Column("id", Id, primary_key=True),
    Column("order_id", Id, ForeignKey("orders.id"), index=True, comment="none: there is no order of its number"),
    Column("order_number", Key, comment="the order that it was said to be for"),
    Column("reference", Key, nullable=False, unique=True, comment="what the bank calls it; registered once"),
    Column("paid_by", Text),
    Column("paid_on", Date, comment="as the bank says"),
    Column("unapplied_because", Text),
    Column(
        "auto_renew", Boolean, nullable=False, server_default="1", comment="false: it is not to switch auto-renew on"
    ),
    Column("amount_cents", BigInteger, nullable=False),
    Column("registered_on", Date, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("effective", Boolean, nullable=False, comment="false: no order took it: apply or refund it"),
    Column("refunded_on", Date),
    Column("refund_reference", Text),
    CheckConstraint("amount_cents > 0", name="amount_cents"),
    CheckConstraint("NOT (effective AND refunded_on IS NOT NULL)", name="effective_is_not_refunded"),
    CheckConstraint("NOT effective OR order_id IS NOT NULL", name="effective_has_order"),
    one_of("paid_by", "bank_transfer", "card", "paypal"),
)
Index(
    "uq_registered_payments_effective_of_order",
    registered_payments.c.order_id,
    unique=True,
    sqlite_where=text("effective = 1"),
    postgresql_where=text("effective"),
)
Index(
    "ix_registered_payments_due",
    registered_payments.c.order_id,
    sqlite_where=text("effective = 0 AND refunded_on IS NULL"),
    postgresql_where=text("NOT effective AND refunded_on IS NULL"),
)

credit_entries = Table(
    "credit_entries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("customer_id", Key, ForeignKey("customers.customer_id"), nullable=False, index=True),
    Column("occurred_on", Date, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("balance_after_cents", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, comment="opening, correction, renewal, addon, topup"),
    Column("reference", Text, comment="an order number, where there is one"),
    CheckConstraint("balance_after_cents >= 0", name="balance_never_negative"),
    CheckConstraint("amount_cents <> 0", name="amount_cents"),
)
Index(
    "uq_credit_entries_debit_of_order",
    credit_entries.c.reference,
    unique=True,
    sqlite_where=text("reason IN ('renewal', 'addon')"),
    postgresql_where=text("reason IN ('renewal', 'addon')"),
)

Index(
    "uq_credit_entries_topup_of_order",
    credit_entries.c.reference,
    unique=True,
    sqlite_where=text("reason = 'topup'"),
    postgresql_where=text("reason = 'topup'"),
)
Index(
    "uq_credit_entries_refund_of_order",
    credit_entries.c.reference,
    unique=True,
    sqlite_where=text("reason = 'refund'"),
    postgresql_where=text("reason = 'refund'"),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("occurred_on", Date, nullable=False),
    Column("kind", Text, nullable=False),
    Column("box_id", Id, ForeignKey("boxes.id")),
    Column("addon_id", Key, ForeignKey("addons.addon_id")),
    Column("customer_id", Key, ForeignKey("customers.customer_id")),
    Column("term_expires_on", Date, comment="E of the box's term, or A of the add-on's"),
    Column("milestone", Integer),
    Column("detail", Json, nullable=False),
    Column("run_on", Date, comment="the run that wrote it; empty outside a run"),
    Column("run_pass", Integer),
    Column("job", Text, comment="the job that wrote it; empty for what a person did"),
    Column("actor", Text, comment="who, where a person did it by command"),
    Column("why", Text),
    Column(
        "operation", Key, comment="what happened outside a run by one command has one; its messages are made from it"
    ),
)
Index(
    "ix_events_operation",
    events.c.occurred_on,
    events.c.operation,
    sqlite_where=text("operation IS NOT NULL"),
    postgresql_where=text("operation IS NOT NULL"),
)
Index(
    "uq_events_milestone",
    events.c.box_id,
    events.c.term_expires_on,
    events.c.kind,
    events.c.milestone,
    unique=True,
    sqlite_where=text("milestone IS NOT NULL"),
    postgresql_where=text("milestone IS NOT NULL"),
)
Index(
    "uq_events_credit_short",
    events.c.addon_id,
    events.c.term_expires_on,
    unique=True,
    sqlite_where=text("kind = 'addon.credit_short'"),
    postgresql_where=text("kind = 'addon.credit_short'"),
)
Index("ix_events_box", events.c.box_id, events.c.term_expires_on)
Index("ix_events_run", events.c.run_on, events.c.run_pass, events.c.kind, events.c.customer_id)

messages = Table(
    "messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("message_key", Key, nullable=False, unique=True),
    Column("customer_id", Key, ForeignKey("customers.customer_id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("created_on", Date, nullable=False),
    Column("status", Word, nullable=False, comment="moot: every line had become pointless, so it was not sent"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Moment),
    Column("accepted_on", Date),
    Column("accepted_at", Moment),
    Column("response", Text, comment="what the mail server said last"),
    Column(
        "recipient_key",
        Key,
        nullable=False,
        server_default="none",
        comment="the recipient in lower case: counted per day",
    ),
    Column("urgency", Integer, nullable=False, server_default="3", comment="0 leaves first"),
    Column("reply_code", Integer, comment="of the acceptance, as the server said it"),
    Column("queue_id", Text, comment="under which the server took it, where its answer names one"),
    Column(
        "redirected",
        Boolean,
        nullable=False,
        server_default="0",
        comment="in a rehearsal it went to somebody else: it proves nothing",
    ),
    one_of("status", "queued", "sent", "moot", "failed", "parked"),
    CheckConstraint("(status = 'sent') = (accepted_on IS NOT NULL)", name="sent_has_day"),
)
Index(
    "ix_messages_queued",
    messages.c.urgency,
    messages.c.id,
    sqlite_where=text("status = 'queued'"),
    postgresql_where=text("status = 'queued'"),
)

Index(
    "ix_messages_accepted",
    messages.c.recipient_key,
    messages.c.accepted_on,
    sqlite_where=text("status = 'sent'"),
    postgresql_where=text("status = 'sent'"),
)
Index(
    "ix_messages_parked",
    messages.c.id,
    sqlite_where=text("status = 'parked'"),
    postgresql_where=text("status = 'parked'"),
)
Index(
    "ix_messages_failed",
    messages.c.created_on,
    sqlite_where=text("status = 'failed'"),
    postgresql_where=text("status = 'failed'"),
)

message_events = Table(
    "message_events",
    metadata,
    Column("event_id", Id, ForeignKey("events.id"), primary_key=True),
    Column("message_id", Id, ForeignKey("messages.id"), nullable=False, index=True),
    Column("moot", Boolean, nullable=False, server_default="0"),
)

account_requests = Table(
    "account_requests",
    metadata,
    Column("request_id", Key, primary_key=True, comment="chosen by whoever asks; done once"),
    Column("operation", Text, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("result", Json, comment="none: the gateway is being called for it"),
    Column("requested_on", Date, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text),
)

manual_orders = Table(
    "manual_orders",
    metadata,
    Column("order_id", Id, ForeignKey("orders.id"), primary_key=True),
    Column("pay_by", Text, nullable=False),
    Column("plan", Key, comment="the box's plan once it is paid; none if it stays"),
    Column("dropped_addons", Json, comment="the add-ons that end once it is paid"),
    Column("cancelled_on", Date, comment="the notice that the holder had given then; the payment voids it"),
    one_of("pay_by", "bank_transfer", "card", "paypal", "credit"),
)

top_up_charges = Table(
    "top_up_charges",
    metadata,
    Column("id", Id, primary_key=True),
    Column("idempotency_key", Key, nullable=False, unique=True),
    Column("request_id", Key, ForeignKey("account_requests.request_id"), nullable=False, unique=True),
    Column("order_id", Id, ForeignKey("orders.id"), nullable=False, unique=True),
    Column("payment_method_id", Key, nullable=False),
    Column("method_kind", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("gateway_customer_id", Text),
    Column("amount_cents", BigInteger, nullable=False),
    Column("status", Word, nullable=False),
    Column("attempted_on", Date, nullable=False),
    Column("attempted_at", Moment, nullable=False),
    Column("settled_on", Date),
    Column("settled_at", Moment, comment="when the call ended"),
    Column("decline_code", Text),
    Column("hard", Boolean),
    Column("gateway_reference", Text),
    Column("why", Text, comment="what the gateway, the network or a person said about an outcome without an answer"),
    one_of("status", "pending", "succeeded", "declined", "unknown", "not_attempted"),
    one_of("method_kind", "card", "paypal"),
    CheckConstraint("amount_cents > 0", name="amount_cents"),
    CheckConstraint("status <> 'declined' OR (decline_code IS NOT NULL AND hard IS NOT NULL)", name="decline"),
)
Index(
    "ix_top_up_charges_unresolved",
    top_up_charges.c.id,
    sqlite_where=text("status IN ('pending', 'unknown')"),
    postgresql_where=text("status IN ('pending', 'unknown')"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_on", Date, primary_key=True),
    Column("run_pass", Integer, nullable=False, comment="1, and one more for each --again or take-up of parked rows"),
    Column("scope", Text, nullable=False, comment="what this pass looks for"),
    Column("state", Word, nullable=False),
    Column("since", Date, nullable=False, comment="W"),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("failures", Integer, nullable=False, server_default="0"),
    one_of("state", "running", "completed", "superseded"),
    one_of("scope", "everything", "left_over"),
)

run_jobs = Table(
    "run_jobs",
    metadata,
    Column("run_on", Date, ForeignKey("runs.run_on"), primary_key=True),
    Column("run_pass", Integer, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("state", Word, nullable=False),
    Column("parked", BigInteger, nullable=False, server_default="0"),
    Column("counts", Json, nullable=False, comment="what was done, by kind"),
    Column("skipped", Json, nullable=False, comment="what was not done, by reason"),
    Column("refused", Text, comment="why the job did nothing at all, where it refused"),
    Column("failures", Json, nullable=False, comment="what a person must look at, in sentences"),
    Column("seconds", Float, nullable=False, server_default="0"),
    one_of("state", "running", "finished"),
)

parked_rows = Table(
    "parked_rows",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_on", Date, nullable=False, comment="the run in which it failed first"),
    Column("last_run_on", Date, nullable=False, comment="the run in which it failed last"),
    Column("taken_up_on", Date, comment="the run that repeats it, while it is retrying"),
    Column("job", Text, nullable=False),
    Column("subject", Key, nullable=False, comment="kind and id of what failed, e.g. box:17"),
    Column("box_id", Id, ForeignKey("boxes.id"), index=True),
    Column("error", Text, nullable=False),
    Column("state", Word, nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("parked_at", Moment, nullable=False),
    one_of("state", "open", "retrying", "resolved"),
)
Index(
    "uq_parked_rows_open",
    parked_rows.c.job,
    parked_rows.c.subject,
    unique=True,
    sqlite_where=text("state <> 'resolved'"),
    postgresql_where=text("state <> 'resolved'"),
)

deletion_approvals = Table(
    "deletion_approvals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_on", Date, comment="approves a number of deletions in this run"),
    Column("number", BigInteger),
    Column("box_id", Id, ForeignKey("boxes.id"), comment="approves one box without a delivered warning"),
    Column("term_expires_on", Date),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("approved_at", Moment, nullable=False),
    Column("used", Boolean, nullable=False, server_default="0"),
    Column("boxes", Text, comment="the mark of the boxes; none: any so many"),
    CheckConstraint("(run_on IS NULL) <> (box_id IS NULL)", name="run_or_box"),
)

suspension_approvals = Table(
    "suspension_approvals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_on", Date, nullable=False, comment="approves a number of suspensions in this run"),
    Column("number", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("approved_at", Moment, nullable=False),
    Column("used", Boolean, nullable=False, server_default="0"),
    Column("boxes", Text, comment="the mark of the boxes; none: any so many"),
)

unusual_figures = Table(
    "unusual_figures",
    metadata,
    Column("id", Id, primary_key=True),
    Column("noticed_on", Date, nullable=False, comment="the business date that it is about"),
    Column("run_on", Date, ForeignKey("runs.run_on"), comment="the run that tells of it; none yet: the next one"),
    Column("job", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("out_of", BigInteger, comment="of how many, where it is a part of something"),
    Column("usual", Float, comment="what it was compared with; none where a fixed share is the limit"),
    Column("stopped", Boolean, nullable=False, server_default="0", comment="so many were due, and none was done"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Key, primary_key=True),
    Column("token", BigInteger, nullable=False, comment="grows with each holder: the fence"),
    Column("holder", Text, comment="empty: free"),
    Column("expires_at", Moment, nullable=False),
)

emergency_stops = Table(
    "emergency_stops",
    metadata,
    Column("id", Id, primary_key=True),
    Column("in_force", Boolean, nullable=False),
    Column("stopped_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("resumed_at", Moment),
    Column("resumed_by", Text),
    CheckConstraint("in_force = (resumed_at IS NULL)", name="resumed"),
)
Index(
    "uq_emergency_stops_in_force",
    emergency_stops.c.in_force,
    unique=True,
    sqlite_where=text("in_force = 1"),
    postgresql_where=text("in_force"),
)

gap_confirmations = Table(
    "gap_confirmations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("latest_completed", Date, nullable=False, comment="the run after which the gap lies"),
    Column("confirmed_on", Date, nullable=False, comment="the business date on which a person looked"),
    Column("confirmed_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("event_id", Id, ForeignKey("events.id"), primary_key=True),
    Column("box_id", Id, ForeignKey("boxes.id"), comment="what the order is kept by"),
    Column("status", Word, nullable=False),
    Column("queued_at", Moment, nullable=False, comment="when it was first taken up; told to the receiver"),
    Column("replayed_at", Moment, comment="when it was last queued again by hand"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Moment),
    Column("delivered_at", Moment),
    Column("response", Text, comment="what the receiver, or the network, said last"),
    one_of("status", "pending", "delivered"),
    CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="delivered_has_moment"),
)
Index(
    "ix_webhook_deliveries_pending",
    webhook_deliveries.c.event_id,
    sqlite_where=text("status = 'pending'"),
    postgresql_where=text("status = 'pending'"),
)
Index(
    "ix_webhook_deliveries_pending_of_box",
    webhook_deliveries.c.box_id,
    webhook_deliveries.c.event_id,
    sqlite_where=text("status = 'pending'"),
    postgresql_where=text("status = 'pending'"),
)

webhook_marks = Table(
    "webhook_marks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, nullable=False, comment="the highest number of an event that was there at that moment"),
    Column("seen_at", Moment, nullable=False),
)

gateway_notices = Table(
    "gateway_notices",
    metadata,
    Column("notice_id", Key, primary_key=True, comment="the gateway's own: told twice, it is recorded once"),
    Column("kind", Text, nullable=False, comment="as the gateway calls it"),
    Column("concerns", Word, nullable=False),
    Column("idempotency_key", Key, comment="of the charge it is about, where it says so"),
    Column("gateway_reference", Text),
    Column("amount_cents", BigInteger),
    Column("reason", Text),
    Column("received_at", Moment, nullable=False),
    Column("state", Word, nullable=False),
    Column("handled_at", Moment),
    Column("for_staff", Boolean, nullable=False, server_default="0", comment="a person has to know of it"),
    one_of("concerns", "outcome", "dispute", "refund"),
    one_of("state", "waiting", "handled"),
)
Index(
    "ix_gateway_notices_waiting",
    gateway_notices.c.received_at,
    sqlite_where=text("state = 'waiting'"),
    postgresql_where=text("state = 'waiting'"),
)
Index(
    "ix_gateway_notices_for_staff",
    gateway_notices.c.received_at,
    sqlite_where=text("for_staff = 1"),
    postgresql_where=text("for_staff"),
)
Index(
    "ix_gateway_notices_done_with",
    gateway_notices.c.handled_at,
    sqlite_where=text("state = 'handled' AND for_staff = 0"),
    postgresql_where=text("state = 'handled' AND NOT for_staff"),
)

staff_reports = Table(
    "staff_reports",
    metadata,
    Column("run_on", Date, ForeignKey("runs.run_on"), primary_key=True),
    Column("status", Word, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Moment),
    Column("accepted_at", Moment),
    Column("response", Text, comment="what the mail server said last"),
    one_of("status", "queued", "sent", "failed"),
)
