"""Boxes on a domain, which are renewed and let go together; credit that is given back once for an order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.create_index(
        op.f("ix_boxes_domain"),
        "boxes",
        ["domain"],
        sqlite_where=sa.text("domain IS NOT NULL"),
        postgresql_where=sa.text("domain IS NOT NULL"),
    )
    op.create_index(
        op.f("uq_credit_entries_refund_of_order"),
        "credit_entries",
        ["reference"],
        unique=True,
        sqlite_where=sa.text("reason = 'refund'"),
        postgresql_where=sa.text("reason = 'refund'"),
    )
