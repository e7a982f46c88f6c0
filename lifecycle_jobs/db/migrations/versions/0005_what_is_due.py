"""The cost of a day follows what is due: charges that went wrong, and add-ons left behind, are found by an index.

The indexes are built in the one transaction of the upgrade and not CONCURRENTLY: that would need a transaction for
each, and leave an invalid index behind where one breaks off. Nothing writes meanwhile, since every process of the
older program is stopped for an upgrade. What only reads goes on until the mark of the add-ons and the triggers are put
in place: these come last, because from then on until the end readers of their tables have to wait too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_GONE_WRONG = sa.text("status IN ('declined', 'not_attempted')")


def upgrade() -> None:
    """Add the indexes, and mark the add-ons that their box has left behind."""
    op.create_index(
        op.f("ix_charges_gone_wrong"),
        "charges",
        ["term_expires_on", "box_id"],
        unique=False,
        sqlite_where=_GONE_WRONG,
        postgresql_where=_GONE_WRONG,
    )
    _behind()


def _behind() -> None:
    op.add_column(
        "addons",
        sa.Column(
            "behind",
            sa.Boolean(),
            server_default="0",
            nullable=False,
            comment="its box's E is later than its A; kept so by the database, see triggers.py",
        ),
    )
    op.execute(
        "UPDATE addons SET behind = true WHERE expires_on < "
        "(SELECT boxes.expires_on FROM boxes WHERE boxes.id = addons.box_id)"
    )
    op.create_index(
        op.f("ix_addons_active_behind"),
        "addons",
        ["expires_on", "addon_id"],
        unique=False,
        sqlite_where=sa.text("status = 'active' AND behind = 1"),
        postgresql_where=sa.text("status = 'active' AND behind"),
    )
    for statement in _SQLITE if op.get_context().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


_SQLITE = (
    """
    CREATE TRIGGER addons_behind_when_added AFTER INSERT ON addons
    WHEN NEW.behind <> (SELECT boxes.expires_on > NEW.expires_on FROM boxes WHERE boxes.id = NEW.box_id)
    BEGIN UPDATE addons SET behind = NOT NEW.behind WHERE addon_id = NEW.addon_id; END
    """,
    """
    CREATE TRIGGER addons_behind_when_moved AFTER UPDATE OF box_id, expires_on, behind ON addons
    WHEN NEW.behind <> (SELECT boxes.expires_on > NEW.expires_on FROM boxes WHERE boxes.id = NEW.box_id)
    BEGIN UPDATE addons SET behind = NOT NEW.behind WHERE addon_id = NEW.addon_id; END
    """,
    """
    CREATE TRIGGER addons_behind_when_box_moved AFTER UPDATE OF expires_on ON boxes
    WHEN NEW.expires_on <> OLD.expires_on
    BEGIN UPDATE addons SET behind = NEW.expires_on > expires_on WHERE box_id = NEW.id; END
    """,
)

_POSTGRESQL = (
    """
    CREATE FUNCTION addons_behind() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        NEW.behind := coalesce((SELECT expires_on > NEW.expires_on FROM boxes WHERE id = NEW.box_id), false);
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER addons_behind BEFORE INSERT OR UPDATE OF box_id, expires_on, behind ON addons
    FOR EACH ROW EXECUTE FUNCTION addons_behind()
    """,
    """
    CREATE FUNCTION addons_behind_box() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        UPDATE addons SET behind = NEW.expires_on > expires_on WHERE box_id = NEW.id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER addons_behind_when_box_moved AFTER UPDATE OF expires_on ON boxes
    FOR EACH ROW WHEN (NEW.expires_on <> OLD.expires_on) EXECUTE FUNCTION addons_behind_box()
    """,
)
