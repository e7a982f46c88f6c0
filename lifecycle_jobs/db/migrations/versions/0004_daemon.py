"""What a daemon has to remember: the emergency stop, gaps that were confirmed, webhooks, notices, reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add it. Messages that wait get the urgency of their kind."""
    _messages()
    _decisions()
    _webhooks()
    _notices_and_reports()
    _indexes()


def _messages() -> None:
    for column in (
        sa.Column(
            "recipient_key",
            Key,
            server_default="none",
            nullable=False,
            comment="the recipient in lower case: counted per day",
        ),
        sa.Column("urgency", sa.Integer(), server_default="3", nullable=False, comment="0 leaves first"),
        sa.Column("reply_code", sa.Integer(), nullable=True, comment="of the acceptance, as the server said it"),
        sa.Column(
            "queue_id",
            sa.Text(),
            nullable=True,
            comment="under which the server took it, where its answer names one",
        ),
        sa.Column(
            "redirected",
            sa.Boolean(),
            server_default="0",
            nullable=False,
            comment="in a rehearsal it went to somebody else: it proves nothing",
        ),
    ):
        op.add_column("messages", column)
    op.execute(
        "UPDATE messages SET recipient_key = lower(recipient), urgency = CASE kind "
        "WHEN 'box.deletion_warning' THEN 0 WHEN 'box.deleted' THEN 0 "
        "WHEN 'box.suspended' THEN 1 WHEN 'charge.declined' THEN 2 "
        "WHEN 'box.renewed' THEN 4 WHEN 'addon.renewed' THEN 4 ELSE 3 END"
    )
    op.drop_index(op.f("ix_messages_queued"), "messages")
    op.create_index(
        op.f("ix_messages_queued"),
        "messages",
        ["urgency", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        op.f("ix_messages_accepted"),
        "messages",
        ["recipient_key", "accepted_on"],
        unique=False,
        sqlite_where=sa.text("status = 'sent'"),
        postgresql_where=sa.text("status = 'sent'"),
    )
    op.create_index(
        op.f("ix_messages_failed"),
        "messages",
        ["created_on"],
        unique=False,
        sqlite_where=sa.text("status = 'failed'"),
        postgresql_where=sa.text("status = 'failed'"),
    )


def _decisions() -> None:
    op.add_column(
        "charges",
        sa.Column(
            "unknown_since",
            sa.Date(),
            nullable=True,
            comment="W, where days lie between it and the attempt: charges may be forgotten",
        ),
    )
    op.create_table(
        "emergency_stops",
        sa.Column("id", Id, nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resumed_by", sa.Text(), nullable=True),
        sa.CheckConstraint("in_force = (resumed_at IS NULL)", name=op.f("ck_emergency_stops_resumed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_stops")),
    )
    op.create_index(
        op.f("uq_emergency_stops_in_force"),
        "emergency_stops",
        ["in_force"],
        unique=True,
        sqlite_where=sa.text("in_force = 1"),
        postgresql_where=sa.text("in_force"),
    )
    op.create_table(
        "gap_confirmations",
        sa.Column("id", Id, nullable=False),
        sa.Column("latest_completed", sa.Date(), nullable=False, comment="the run after which the gap lies"),
        sa.Column("confirmed_on", sa.Date(), nullable=False, comment="the business date on which a person looked"),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gap_confirmations")),
    )


def _webhooks() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("event_id", Id, nullable=False),
        sa.Column("box_id", Id, nullable=True, comment="what the order is kept by"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "queued_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was first taken up; told to the receiver",
        ),
        sa.Column(
            "replayed_at", sa.DateTime(timezone=True), nullable=True, comment="when it was last queued again by hand"
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response", sa.Text(), nullable=True, comment="what the receiver, or the network, said last"),
        sa.CheckConstraint("status IN ('pending', 'delivered')", name=op.f("ck_webhook_deliveries_status")),
        sa.CheckConstraint(
            "(status = 'delivered') = (delivered_at IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_delivered_has_moment"),
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_webhook_deliveries_event_id_events")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_webhook_deliveries_box_id_boxes")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_webhook_deliveries")),
    )
    for name, columns in (
        ("ix_webhook_deliveries_pending", ["event_id"]),
        ("ix_webhook_deliveries_pending_of_box", ["box_id", "event_id"]),
    ):
        op.create_index(
            op.f(name),
            "webhook_deliveries",
            columns,
            unique=False,
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        )
    op.create_table(
        "webhook_marks",
        sa.Column("id", Id, nullable=False),
        sa.Column(
            "event_id", Id, nullable=False, comment="the highest number of an event that was there at that moment"
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_marks")),
    )


def _notices_and_reports() -> None:
    op.create_table(
        "gateway_notices",
        sa.Column("notice_id", Key, nullable=False, comment="the gateway's own: told twice, it is recorded once"),
        sa.Column("kind", sa.Text(), nullable=False, comment="as the gateway calls it"),
        sa.Column("concerns", sa.Text(), nullable=False),
        sa.Column("idempotency_key", Key, nullable=True, comment="of the charge it is about, where it says so"),
        sa.Column("gateway_reference", sa.Text(), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("for_staff", sa.Boolean(), server_default="0", nullable=False, comment="a person has to know of it"),
        sa.CheckConstraint("concerns IN ('outcome', 'dispute', 'refund')", name=op.f("ck_gateway_notices_concerns")),
        sa.CheckConstraint("state IN ('waiting', 'handled')", name=op.f("ck_gateway_notices_state")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_gateway_notices")),
    )
    for name, column, sqlite, postgresql in (
        ("ix_gateway_notices_waiting", "received_at", "state = 'waiting'", "state = 'waiting'"),
        ("ix_gateway_notices_for_staff", "received_at", "for_staff = 1", "for_staff"),
        (
            "ix_gateway_notices_done_with",
            "handled_at",
            "state = 'handled' AND for_staff = 0",
            "state = 'handled' AND NOT for_staff",
        ),
    ):
        op.create_index(
            op.f(name),
            "gateway_notices",
            [column],
            unique=False,
            sqlite_where=sa.text(sqlite),
            postgresql_where=sa.text(postgresql),
        )
    op.create_table(
        "staff_reports",
        sa.Column("run_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response", sa.Text(), nullable=True, comment="what the mail server said last"),
        sa.CheckConstraint("status IN ('queued', 'sent', 'failed')", name=op.f("ck_staff_reports_status")),
        sa.ForeignKeyConstraint(["run_on"], ["runs.run_on"], name=op.f("fk_staff_reports_run_on_runs")),
        sa.PrimaryKeyConstraint("run_on", name=op.f("pk_staff_reports")),
    )


def _indexes() -> None:
    """What monitoring and the gateway's notices ask for by."""
    for name, table, column, sqlite, postgresql in (
        (
            "ix_charges_gateway_reference",
            "charges",
            "gateway_reference",
            "gateway_reference IS NOT NULL",
            "gateway_reference IS NOT NULL",
        ),
        (
            "ix_registered_payments_due",
            "registered_payments",
            "order_id",
            "effective = 0 AND refunded_on IS NULL",
            "NOT effective AND refunded_on IS NULL",
        ),
    ):
        op.create_index(
            op.f(name),
            table,
            [column],
            unique=False,
            sqlite_where=sa.text(sqlite),
            postgresql_where=sa.text(postgresql),
        )
