"""What was unusual about a run, approvals of suspensions that are unusually many, and renewals not tried by date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables and the index."""
    op.create_table(
        "suspension_approvals",
        sa.Column("id", Id, nullable=False),
        sa.Column("run_on", sa.Date(), nullable=False, comment="approves a number of suspensions in this run"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.Boolean(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspension_approvals")),
    )
    op.create_table(
        "unusual_figures",
        sa.Column("id", Id, nullable=False),
        sa.Column("noticed_on", sa.Date(), nullable=False, comment="the business date that it is about"),
        sa.Column("run_on", sa.Date(), nullable=True, comment="the run that tells of it; none yet: the next one"),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("out_of", sa.BigInteger(), nullable=True, comment="of how many, where it is a part of something"),
        sa.Column(
            "usual",
            sa.Float(),
            nullable=True,
            comment="what it was compared with; none where a fixed share is the limit",
        ),
        sa.Column(
            "stopped",
            sa.Boolean(),
            server_default="0",
            nullable=False,
            comment="so many were due, and none was done",
        ),
        sa.ForeignKeyConstraint(["run_on"], ["runs.run_on"], name=op.f("fk_unusual_figures_run_on_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unusual_figures")),
    )
    op.create_index(
        op.f("ix_charges_not_attempted"),
        "charges",
        ["attempted_on"],
        sqlite_where=sa.text("status = 'not_attempted'"),
        postgresql_where=sa.text("status = 'not_attempted'"),
    )
