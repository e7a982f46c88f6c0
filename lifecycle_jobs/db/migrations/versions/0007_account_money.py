"""Top-ups of credit: each becomes credit once, and those that are charged through the gateway have their charges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add them."""
    op.create_index(
        op.f("uq_credit_entries_topup_of_order"),
        "credit_entries",
        ["reference"],
        unique=True,
        sqlite_where=sa.text("reason = 'topup'"),
        postgresql_where=sa.text("reason = 'topup'"),
    )
    op.create_table(
        "top_up_charges",
        sa.Column("id", Id, nullable=False),
        sa.Column("idempotency_key", Key, nullable=False),
        sa.Column("request_id", Key, nullable=False),
        sa.Column("order_id", Id, nullable=False),
        sa.Column("payment_method_id", Key, nullable=False),
        sa.Column("method_kind", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("gateway_customer_id", sa.Text(), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempted_on", sa.Date(), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True, comment="when the call ended"),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("hard", sa.Boolean(), nullable=True),
        sa.Column("gateway_reference", sa.Text(), nullable=True),
        sa.Column(
            "why",
            sa.Text(),
            nullable=True,
            comment="what the gateway, the network or a person said about an outcome without an answer",
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'declined', 'unknown', 'not_attempted')",
            name=op.f("ck_top_up_charges_status"),
        ),
        sa.CheckConstraint("method_kind IN ('card', 'paypal')", name=op.f("ck_top_up_charges_method_kind")),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_top_up_charges_amount_cents")),
        sa.CheckConstraint(
            "status <> 'declined' OR (decline_code IS NOT NULL AND hard IS NOT NULL)",
            name=op.f("ck_top_up_charges_decline"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["account_requests.request_id"], name=op.f("fk_top_up_charges_request_id_account_requests")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_top_up_charges_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_top_up_charges")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_top_up_charges_idempotency_key")),
        sa.UniqueConstraint("order_id", name=op.f("uq_top_up_charges_order_id")),
        sa.UniqueConstraint("request_id", name=op.f("uq_top_up_charges_request_id")),
    )
    op.create_index(
        op.f("ix_top_up_charges_unresolved"),
        "top_up_charges",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status IN ('pending', 'unknown')"),
        postgresql_where=sa.text("status IN ('pending', 'unknown')"),
    )
