"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create every table, as `lifecycle_jobs.db.tables` stood at this version."""
    op.create_table(
        "customers",
        sa.Column("customer_id", Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("tax_id", sa.Text(), nullable=True),
        sa.Column("einvoice_id", sa.Text(), nullable=True),
        sa.Column("gateway_customer_id", sa.Text(), nullable=True),
        sa.Column("credit_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("locale IN ('it', 'en')", name=op.f("ck_customers_locale")),
        sa.CheckConstraint("credit_cents >= 0", name=op.f("ck_customers_credit_never_negative")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customers")),
    )
    op.create_table(
        "leases",
        sa.Column("name", Key, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False, comment="grows with each holder: the fence"),
        sa.Column("holder", sa.Text(), nullable=True, comment="empty: free"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "runs",
        sa.Column("run_on", sa.Date(), nullable=False),
        sa.Column(
            "run_pass",
            sa.Integer(),
            nullable=False,
            comment="1, and one more for each --again or take-up of parked rows",
        ),
        sa.Column("scope", sa.Text(), nullable=False, comment="what this pass looks for"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False, comment="W"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("scope IN ('everything', 'left_over')", name=op.f("ck_runs_scope")),
        sa.CheckConstraint("state IN ('running', 'completed', 'superseded')", name=op.f("ck_runs_state")),
        sa.PrimaryKeyConstraint("run_on", name=op.f("pk_runs")),
    )
    op.create_table(
        "credit_entries",
        sa.Column("id", Id, nullable=False),
        sa.Column("customer_id", Key, nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("balance_after_cents", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="opening, correction, renewal, addon, topup"),
        sa.Column("reference", sa.Text(), nullable=True, comment="an order number, where there is one"),
        sa.CheckConstraint("amount_cents <> 0", name=op.f("ck_credit_entries_amount_cents")),
        sa.CheckConstraint("balance_after_cents >= 0", name=op.f("ck_credit_entries_balance_never_negative")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_credit_entries_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_entries")),
    )
    op.create_index(op.f("ix_credit_entries_customer_id"), "credit_entries", ["customer_id"], unique=False)
    op.create_index(
        "uq_credit_entries_debit_of_order",
        "credit_entries",
        ["reference"],
        unique=True,
        sqlite_where=sa.text("reason IN ('renewal', 'addon')"),
        postgresql_where=sa.text("reason IN ('renewal', 'addon')"),
    )
    op.create_table(
        "messages",
        sa.Column("id", Id, nullable=False),
        sa.Column("message_key", Key, nullable=False),
        sa.Column("customer_id", Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("created_on", sa.Date(), nullable=False),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="moot: every line had become pointless, so it was not sent"
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_on", sa.Date(), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response", sa.Text(), nullable=True, comment="what the mail server said last"),
        sa.CheckConstraint("(status = 'sent') = (accepted_on IS NOT NULL)", name=op.f("ck_messages_sent_has_day")),
        sa.CheckConstraint("status IN ('queued', 'sent', 'moot', 'failed', 'parked')", name=op.f("ck_messages_status")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_messages_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("message_key", name=op.f("uq_messages_message_key")),
    )
    op.create_index(op.f("ix_messages_customer_id"), "messages", ["customer_id"], unique=False)
    op.create_index(
        "ix_messages_parked",
        "messages",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status = 'parked'"),
        postgresql_where=sa.text("status = 'parked'"),
    )
    op.create_index(
        "ix_messages_queued",
        "messages",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_table(
        "payment_methods",
        sa.Column("payment_method_id", Key, nullable=False),
        sa.Column("customer_id", Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("last4", sa.Text(), nullable=True),
        sa.Column("exp_month", sa.Integer(), nullable=True),
        sa.Column("exp_year", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('card', 'paypal', 'credit', 'agreement')", name=op.f("ck_payment_methods_kind")),
        sa.CheckConstraint(
            "kind NOT IN ('card', 'paypal') OR token IS NOT NULL", name=op.f("ck_payment_methods_token_for_gateway")
        ),
        sa.CheckConstraint(
            "exp_month IS NULL OR exp_month BETWEEN 1 AND 12", name=op.f("ck_payment_methods_exp_month")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_payment_methods_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("payment_method_id", name=op.f("pk_payment_methods")),
    )
    op.create_index(op.f("ix_payment_methods_customer_id"), "payment_methods", ["customer_id"], unique=False)
    op.create_table(
        "run_jobs",
        sa.Column("run_on", sa.Date(), nullable=False),
        sa.Column("run_pass", sa.Integer(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counts", Json, nullable=False, comment="what was done, by kind"),
        sa.Column("skipped", Json, nullable=False, comment="what was not done, by reason"),
        sa.Column("refused", sa.Text(), nullable=True, comment="why the job did nothing at all, where it refused"),
        sa.Column("failures", Json, nullable=False, comment="what a person must look at, in sentences"),
        sa.Column("seconds", sa.Float(), server_default="0", nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished')", name=op.f("ck_run_jobs_state")),
        sa.ForeignKeyConstraint(["run_on"], ["runs.run_on"], name=op.f("fk_run_jobs_run_on_runs")),
        sa.PrimaryKeyConstraint("run_on", "run_pass", "job", name=op.f("pk_run_jobs")),
    )
    op.create_table(
        "boxes",
        sa.Column("id", Id, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", Key, nullable=False, comment="the address in lower case: what it is compared by"),
        sa.Column("customer_id", Key, nullable=False),
        sa.Column("plan", Key, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("renewal_years", sa.Integer(), nullable=False),
        sa.Column("auto_renew", sa.Boolean(), nullable=False),
        sa.Column("payment_method_id", Key, nullable=True),
        sa.Column("annual_price_cents", sa.BigInteger(), nullable=True),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("cancelled_on", sa.Date(), nullable=True),
        sa.Column("hold_until", sa.Date(), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("suspended_on", sa.Date(), nullable=True),
        sa.Column("suspended_reason", sa.Text(), nullable=True),
        sa.Column("deleted_on", sa.Date(), nullable=True),
        sa.Column("used_inbox_mb", sa.BigInteger(), nullable=True),
        sa.Column("used_archive_mb", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(status = 'deleted') = (deleted_on IS NOT NULL)", name=op.f("ck_boxes_deleted_has_day")),
        sa.CheckConstraint("status <> 'active' OR suspended_on IS NULL", name=op.f("ck_boxes_active_is_not_suspended")),
        sa.CheckConstraint(
            "status <> 'suspended' OR (suspended_on IS NOT NULL AND suspended_reason IS NOT NULL)",
            name=op.f("ck_boxes_suspended_has_day_and_reason"),
        ),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_boxes_status")),
        sa.CheckConstraint(
            "annual_price_cents IS NULL OR annual_price_cents >= 0", name=op.f("ck_boxes_annual_price_cents")
        ),
        sa.CheckConstraint("renewal_years BETWEEN 1 AND 5", name=op.f("ck_boxes_renewal_years")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_boxes_customer_id_customers")
        ),
        sa.ForeignKeyConstraint(
            ["payment_method_id"],
            ["payment_methods.payment_method_id"],
            name=op.f("fk_boxes_payment_method_id_payment_methods"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boxes")),
    )
    op.create_index(
        "ix_boxes_active_by_expiry",
        "boxes",
        ["expires_on", "address_key"],
        unique=False,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(op.f("ix_boxes_customer_id"), "boxes", ["customer_id"], unique=False)
    op.create_index(op.f("ix_boxes_payment_method_id"), "boxes", ["payment_method_id"], unique=False)
    op.create_index(
        "ix_boxes_plan",
        "boxes",
        ["plan"],
        unique=False,
        sqlite_where=sa.text("status <> 'deleted'"),
        postgresql_where=sa.text("status <> 'deleted'"),
    )
    op.create_index(
        "ix_boxes_suspended_by_expiry",
        "boxes",
        ["expires_on", "address_key"],
        unique=False,
        sqlite_where=sa.text("status = 'suspended'"),
        postgresql_where=sa.text("status = 'suspended'"),
    )
    op.create_index(
        "uq_boxes_live_address",
        "boxes",
        ["address_key"],
        unique=True,
        sqlite_where=sa.text("status <> 'deleted'"),
        postgresql_where=sa.text("status <> 'deleted'"),
    )
    op.create_index(
        "uq_boxes_tombstone",
        "boxes",
        ["address_key", "deleted_on"],
        unique=True,
        sqlite_where=sa.text("status = 'deleted'"),
        postgresql_where=sa.text("status = 'deleted'"),
    )
    op.create_table(
        "addons",
        sa.Column("addon_id", Key, nullable=False),
        sa.Column("box_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_cents", sa.BigInteger(), nullable=False),
        sa.Column("paid_from", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("cancelled_on", sa.Date(), nullable=True),
        sa.CheckConstraint("paid_from IN ('renewal', 'credit')", name=op.f("ck_addons_paid_from")),
        sa.CheckConstraint("status IN ('active', 'disabled', 'terminated')", name=op.f("ck_addons_status")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_addons_quantity")),
        sa.CheckConstraint("unit_price_cents >= 0", name=op.f("ck_addons_unit_price_cents")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_addons_box_id_boxes")),
        sa.PrimaryKeyConstraint("addon_id", name=op.f("pk_addons")),
    )
    op.create_index(
        "ix_addons_active_by_expiry",
        "addons",
        ["expires_on", "addon_id"],
        unique=False,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(op.f("ix_addons_box_id"), "addons", ["box_id"], unique=False)
    op.create_table(
        "deletion_approvals",
        sa.Column("id", Id, nullable=False),
        sa.Column("run_on", sa.Date(), nullable=True, comment="approves a number of deletions in this run"),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("box_id", Id, nullable=True, comment="approves one box without a delivered warning"),
        sa.Column("term_expires_on", sa.Date(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.Boolean(), server_default="0", nullable=False),
        sa.CheckConstraint("(run_on IS NULL) <> (box_id IS NULL)", name=op.f("ck_deletion_approvals_run_or_box")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_deletion_approvals_box_id_boxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletion_approvals")),
    )
    op.create_table(
        "parked_rows",
        sa.Column("id", Id, nullable=False),
        sa.Column("run_on", sa.Date(), nullable=False, comment="the run in which it failed first"),
        sa.Column("last_run_on", sa.Date(), nullable=False, comment="the run in which it failed last"),
        sa.Column("taken_up_on", sa.Date(), nullable=True, comment="the run that repeats it, while it is retrying"),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("subject", Key, nullable=False, comment="kind and id of what failed, e.g. box:17"),
        sa.Column("box_id", Id, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('open', 'retrying', 'resolved')", name=op.f("ck_parked_rows_state")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_parked_rows_box_id_boxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_rows")),
    )
    op.create_index(op.f("ix_parked_rows_box_id"), "parked_rows", ["box_id"], unique=False)
    op.create_index(
        "uq_parked_rows_open",
        "parked_rows",
        ["job", "subject"],
        unique=True,
        sqlite_where=sa.text("state <> 'resolved'"),
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_table(
        "events",
        sa.Column("id", Id, nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("box_id", Id, nullable=True),
        sa.Column("addon_id", Key, nullable=True),
        sa.Column("customer_id", Key, nullable=True),
        sa.Column("term_expires_on", sa.Date(), nullable=True, comment="E of the box's term, or A of the add-on's"),
        sa.Column("milestone", sa.Integer(), nullable=True),
        sa.Column("detail", Json, nullable=False),
        sa.Column("run_on", sa.Date(), nullable=True, comment="the run that wrote it; empty outside a run"),
        sa.Column("run_pass", sa.Integer(), nullable=True),
        sa.Column("job", sa.Text(), nullable=True, comment="the job that wrote it; empty for what a person did"),
        sa.Column("actor", sa.Text(), nullable=True, comment="who, where a person did it by command"),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["addon_id"], ["addons.addon_id"], name=op.f("fk_events_addon_id_addons")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_events_box_id_boxes")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_events_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_box", "events", ["box_id", "term_expires_on"], unique=False)
    op.create_index("ix_events_run", "events", ["run_on", "run_pass", "kind", "customer_id"], unique=False)
    op.create_index(
        "uq_events_credit_short",
        "events",
        ["addon_id", "term_expires_on"],
        unique=True,
        sqlite_where=sa.text("kind = 'addon.credit_short'"),
        postgresql_where=sa.text("kind = 'addon.credit_short'"),
    )
    op.create_index(
        "uq_events_milestone",
        "events",
        ["box_id", "term_expires_on", "kind", "milestone"],
        unique=True,
        sqlite_where=sa.text("milestone IS NOT NULL"),
        postgresql_where=sa.text("milestone IS NOT NULL"),
    )
    op.create_table(
        "orders",
        sa.Column("id", Id, nullable=False),
        sa.Column("order_number", Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customer_id", Key, nullable=False),
        sa.Column("box_id", Id, nullable=True),
        sa.Column("addon_id", Key, nullable=True),
        sa.Column("term_expires_on", sa.Date(), nullable=True),
        sa.Column("years", sa.Integer(), nullable=True),
        sa.Column("placed_on", sa.Date(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("net_cents", sa.BigInteger(), nullable=False),
        sa.Column("vat_cents", sa.BigInteger(), nullable=False),
        sa.Column("gross_cents", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint("(status = 'paid') = (paid_on IS NOT NULL)", name=op.f("ck_orders_paid_has_day")),
        sa.CheckConstraint(
            "kind <> 'renewal' OR (box_id IS NOT NULL AND term_expires_on IS NOT NULL)", name=op.f("ck_orders_renewal")
        ),
        sa.CheckConstraint("kind IN ('renewal', 'addon', 'topup')", name=op.f("ck_orders_kind")),
        sa.CheckConstraint(
            "status IN ('awaiting_payment', 'paid', 'on_account', 'cancelled')", name=op.f("ck_orders_status")
        ),
        sa.CheckConstraint("gross_cents = net_cents + vat_cents", name=op.f("ck_orders_gross_is_net_plus_vat")),
        sa.CheckConstraint("net_cents >= 0 AND vat_cents >= 0", name=op.f("ck_orders_amounts")),
        sa.ForeignKeyConstraint(["addon_id"], ["addons.addon_id"], name=op.f("fk_orders_addon_id_addons")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_orders_box_id_boxes")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_orders_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("order_number", name=op.f("uq_orders_order_number")),
    )
    op.create_index("ix_orders_box_term", "orders", ["box_id", "term_expires_on"], unique=False)
    op.create_index(op.f("ix_orders_customer_id"), "orders", ["customer_id"], unique=False)
    op.create_index(
        "uq_orders_addon_term",
        "orders",
        ["addon_id", "term_expires_on"],
        unique=True,
        sqlite_where=sa.text("kind = 'addon' AND status <> 'cancelled'"),
        postgresql_where=sa.text("kind = 'addon' AND status <> 'cancelled'"),
    )
    op.create_index(
        "uq_orders_renewal_of_term",
        "orders",
        ["box_id", "term_expires_on"],
        unique=True,
        sqlite_where=sa.text("kind = 'renewal' AND status <> 'cancelled'"),
        postgresql_where=sa.text("kind = 'renewal' AND status <> 'cancelled'"),
    )
    op.create_table(
        "charges",
        sa.Column("id", Id, nullable=False),
        sa.Column("idempotency_key", Key, nullable=False),
        sa.Column("order_id", Id, nullable=False),
        sa.Column("box_id", Id, nullable=False),
        sa.Column("term_expires_on", sa.Date(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("payment_method_id", Key, nullable=False),
        sa.Column("method_kind", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempted_on", sa.Date(), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "called", sa.Boolean(), server_default="1", nullable=False, comment="false: held back by the outage limit"
        ),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column(
            "settled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="gives the order of completion, for the outage limit",
        ),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("hard", sa.Boolean(), nullable=True),
        sa.Column("gateway_reference", sa.Text(), nullable=True),
        sa.Column(
            "unapplied", sa.Boolean(), server_default="0", nullable=False, comment="paid, but the box could not take it"
        ),
        sa.Column("without_notice", sa.Boolean(), server_default="0", nullable=False),
        sa.CheckConstraint("method_kind IN ('card', 'paypal', 'credit')", name=op.f("ck_charges_method_kind")),
        sa.CheckConstraint(
            "status <> 'declined' OR (decline_code IS NOT NULL AND hard IS NOT NULL)", name=op.f("ck_charges_decline")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'declined', 'unknown', 'not_attempted')", name=op.f("ck_charges_status")
        ),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_charges_amount_cents")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_charges_box_id_boxes")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_charges_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sa.UniqueConstraint(
            "box_id", "term_expires_on", "slot", "attempt", name=op.f("uq_charges_box_id_term_expires_on_slot_attempt")
        ),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_charges_idempotency_key")),
    )
    op.create_index("ix_charges_attempted_on", "charges", ["attempted_on"], unique=False)
    op.create_index(op.f("ix_charges_order_id"), "charges", ["order_id"], unique=False)
    op.create_index(
        "ix_charges_unapplied",
        "charges",
        ["box_id"],
        unique=False,
        sqlite_where=sa.text("unapplied = 1"),
        postgresql_where=sa.text("unapplied"),
    )
    op.create_index(
        "uq_charges_succeeded_of_order",
        "charges",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("status = 'succeeded'"),
        postgresql_where=sa.text("status = 'succeeded'"),
    )
    op.create_index(
        "uq_charges_unresolved_of_box",
        "charges",
        ["box_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('pending', 'unknown')"),
        postgresql_where=sa.text("status IN ('pending', 'unknown')"),
    )
    op.create_table(
        "message_events",
        sa.Column("event_id", Id, nullable=False),
        sa.Column("message_id", Id, nullable=False),
        sa.Column("moot", sa.Boolean(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_message_events_event_id_events")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_message_events_message_id_messages")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_message_events")),
    )
    op.create_index(op.f("ix_message_events_message_id"), "message_events", ["message_id"], unique=False)
    op.create_table(
        "order_lines",
        sa.Column("order_id", Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False, comment="a plan's code or an add-on's kind"),
        sa.Column("addon_id", Key, nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_cents", sa.BigInteger(), nullable=False),
        sa.Column("years", sa.Integer(), nullable=False),
        sa.Column("net_cents", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("net_cents = quantity * unit_price_cents * years", name=op.f("ck_order_lines_net")),
        sa.ForeignKeyConstraint(["addon_id"], ["addons.addon_id"], name=op.f("fk_order_lines_addon_id_addons")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id_orders")),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_order_lines")),
    )
