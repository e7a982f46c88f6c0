"""What a plan has approved is known by its boxes, and not by their number alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column to both tables."""
    for table in ("deletion_approvals", "suspension_approvals"):
        op.add_column(
            table, sa.Column("boxes", sa.Text(), nullable=True, comment="the mark of the boxes; none: any so many")
        )
