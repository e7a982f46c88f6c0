"""Payments registered by hand, refunds, and what happens outside a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add what charging through a real gateway has to remember."""
    for column in (
        sa.Column(
            "gateway_customer_id",
            sa.Text(),
            nullable=True,
            comment="the customer's at the gateway when it was written down",
        ),
        sa.Column(
            "why",
            sa.Text(),
            nullable=True,
            comment="what the gateway, the network or a person said about an outcome without an answer",
        ),
        sa.Column("refunded_on", sa.Date(), nullable=True),
        sa.Column("refund_reference", sa.Text(), nullable=True),
    ):
        op.add_column("charges", column)
    op.add_column(
        "events",
        sa.Column(
            "operation",
            Key,
            nullable=True,
            comment="what happened outside a run by one command has one; its messages are made from it",
        ),
    )
    op.create_index(
        op.f("ix_events_operation"),
        "events",
        ["occurred_on", "operation"],
        unique=False,
        sqlite_where=sa.text("operation IS NOT NULL"),
        postgresql_where=sa.text("operation IS NOT NULL"),
    )
    op.create_table(
        "registered_payments",
        sa.Column("id", Id, nullable=False),
        sa.Column("order_id", Id, nullable=False),
        sa.Column("reference", Key, nullable=False, comment="what the bank calls it; registered once"),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("registered_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column(
            "effective",
            sa.Boolean(),
            nullable=False,
            comment="false: the order could no longer take it, so refund it",
        ),
        sa.Column("refunded_on", sa.Date(), nullable=True),
        sa.Column("refund_reference", sa.Text(), nullable=True),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_registered_payments_amount_cents")),
        sa.CheckConstraint(
            "NOT (effective AND refunded_on IS NOT NULL)",
            name=op.f("ck_registered_payments_effective_is_not_refunded"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_registered_payments_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_payments")),
        sa.UniqueConstraint("reference", name=op.f("uq_registered_payments_reference")),
    )
    op.create_index(op.f("ix_registered_payments_order_id"), "registered_payments", ["order_id"], unique=False)
    op.create_index(
        op.f("uq_registered_payments_effective_of_order"),
        "registered_payments",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("effective = 1"),
        postgresql_where=sa.text("effective"),
    )
