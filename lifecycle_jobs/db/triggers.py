"""What the database itself keeps in step, whoever changes a row.

`addons.behind` says that the box's E is later than the add-on's A. An index can hold only what one table says, so
without it the add-ons whose box was renewed could be found only by comparing all of them with their boxes, every day.
Both dates change in several places, by import and by hand too, and a place that forgot the mark would leave an add-on
unrenewed: so no code writes it. Whoever adds an add-on, or moves a date, holds the box or the lease of the run, so
that the two are never moved at the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

BEHIND: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (
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
    ),
    "postgresql": (
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
    ),
}
"""The statements that keep `addons.behind`, in their order, by kind of database."""


def put_in_place(_addons: object, connection: Connection, **_: Any) -> None:
    """Called by SQLAlchemy when it has created the table `addons`; a database in use got them by migration."""
    for statement in BEHIND[connection.dialect.name]:
        connection.exec_driver_sql(statement)
