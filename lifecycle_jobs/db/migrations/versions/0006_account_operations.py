"""What holders and clerks do: requests that are done once, orders placed by hand, payments without an order."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "account_requests",
        sa.Column("request_id", Key, nullable=False, comment="chosen by whoever asks; done once"),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("arguments", Json, nullable=False),
        sa.Column("result", Json, nullable=True, comment="none: the gateway is being called for it"),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_account_requests")),
    )
    op.create_table(
        "manual_orders",
        sa.Column("order_id", Id, nullable=False),
        sa.Column("pay_by", sa.Text(), nullable=False),
        sa.Column("plan", Key, nullable=True, comment="the box's plan once it is paid; none if it stays"),
        sa.Column("dropped_addons", Json, nullable=True, comment="the add-ons that end once it is paid"),
        sa.Column(
            "cancelled_on",
            sa.Date(),
            nullable=True,
            comment="the notice that the holder had given then; the payment voids it",
        ),
        sa.CheckConstraint(
            "pay_by IN ('bank_transfer', 'card', 'paypal', 'credit')", name=op.f("ck_manual_orders_pay_by")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_manual_orders_order_id_orders")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_manual_orders")),
    )
    _registered_payments()


def _registered_payments() -> None:
    """Let a payment be there without an order. SQLite can only make the table anew, so its rows are carried over."""
    sqlite = op.get_context().dialect.name == "sqlite"
    for name in _INDEXES:
        op.drop_index(op.f(name), table_name="registered_payments")
    if sqlite:
        op.rename_table("registered_payments", "registered_payments_before")
        op.create_table("registered_payments", *_columns(), *_constraints())
        op.execute(
            "INSERT INTO registered_payments (id, order_id, order_number, reference, paid_on, amount_cents, "
            "registered_on, actor, why, effective, refunded_on, refund_reference) "
            "SELECT id, order_id, (SELECT order_number FROM orders WHERE orders.id = order_id), reference, "
            "registered_on, amount_cents, registered_on, actor, why, effective, refunded_on, refund_reference "
            "FROM registered_payments_before"
        )
        op.drop_table("registered_payments_before")
    else:
        op.alter_column(
            "registered_payments", "order_id", nullable=True, comment="none: there is no order of its number"
        )
        op.alter_column("registered_payments", "effective", comment=_EFFECTIVE)
        for column in _new_columns():
            op.add_column("registered_payments", column)
        op.execute(
            "UPDATE registered_payments SET paid_on = registered_on, order_number = "
            "(SELECT order_number FROM orders WHERE orders.id = order_id)"
        )
        for name, condition in _NEW_CHECKS:
            op.create_check_constraint(op.f(name), "registered_payments", condition)
    for name, (unique, on_sqlite, on_postgresql) in _INDEXES.items():
        op.create_index(
            op.f(name),
            "registered_payments",
            ["order_id"],
            unique=unique,
            sqlite_where=None if on_sqlite is None else sa.text(on_sqlite),
            postgresql_where=None if on_postgresql is None else sa.text(on_postgresql),
        )


_EFFECTIVE = "false: no order took it: apply or refund it"
_NEW_CHECKS = (
    ("ck_registered_payments_effective_has_order", "NOT effective OR order_id IS NOT NULL"),
    ("ck_registered_payments_paid_by", "paid_by IN ('bank_transfer', 'card', 'paypal')"),
)
_INDEXES: dict[str, tuple[bool, str | None, str | None]] = {
    "ix_registered_payments_order_id": (False, None, None),
    "uq_registered_payments_effective_of_order": (True, "effective = 1", "effective"),
    "ix_registered_payments_due": (
        False,
        "effective = 0 AND refunded_on IS NULL",
        "NOT effective AND refunded_on IS NULL",
    ),
}


def _new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("order_number", Key, nullable=True, comment="the order that it was said to be for"),
        sa.Column("paid_by", sa.Text(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True, comment="as the bank says"),
        sa.Column("unapplied_because", sa.Text(), nullable=True),
        sa.Column(
            "auto_renew",
            sa.Boolean(),
            server_default="1",
            nullable=False,
            comment="false: it is not to switch auto-renew on",
        ),
    ]


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", Id, nullable=False),
        sa.Column("order_id", Id, nullable=True, comment="none: there is no order of its number"),
        sa.Column("reference", Key, nullable=False, comment="what the bank calls it; registered once"),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("registered_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("effective", sa.Boolean(), nullable=False, comment=_EFFECTIVE),
        sa.Column("refunded_on", sa.Date(), nullable=True),
        sa.Column("refund_reference", sa.Text(), nullable=True),
        *_new_columns(),
    ]


def _constraints() -> list[sa.Constraint]:
    return [
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_registered_payments_amount_cents")),
        sa.CheckConstraint(
            "NOT (effective AND refunded_on IS NOT NULL)",
            name=op.f("ck_registered_payments_effective_is_not_refunded"),
        ),
        *[sa.CheckConstraint(condition, name=op.f(name)) for name, condition in _NEW_CHECKS],
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_registered_payments_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_payments")),
        sa.UniqueConstraint("reference", name=op.f("uq_registered_payments_reference")),
    ]
