"""The E that each box came with, so that every E can be accounted for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; for boxes that are there already it is the E of today, because what happened before was not noted."""
    op.add_column(
        "boxes",
        sa.Column(
            "imported_expires_on",
            sa.Date(),
            nullable=True,
            comment="the E it came with: what the recorded renewals move on from",
        ),
    )
    op.add_column(
        "boxes",
        sa.Column(
            "imported_after_event",
            sa.BigInteger(),
            nullable=True,
            comment="renewals up to this event moved an E that was overwritten",
        ),
    )
    op.execute(
        "UPDATE boxes SET imported_expires_on = expires_on, imported_after_event = "
        "(SELECT max(events.id) FROM events WHERE events.box_id = boxes.id AND events.kind = 'box.renewed')"
    )
