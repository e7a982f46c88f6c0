"""What holders and clerks do: requests that are done once, and orders placed by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0004"
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
        sa.CheckConstraint(
            "pay_by IN ('bank_transfer', 'card', 'paypal', 'credit')", name=op.f("ck_manual_orders_pay_by")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_manual_orders_order_id_orders")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_manual_orders")),
    )
