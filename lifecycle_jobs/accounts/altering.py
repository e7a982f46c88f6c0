"""Changing a box that is locked, and the reason that is kept with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, update

from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import LifecycleError, Refused

_LONGEST_REASON = 500


def alter(connection: Connection, box: Row[Any], *guards: ColumnElement[bool], **values: Any) -> None:
    """Change a locked box, which must still be as it was decided on; raises LifecycleError if it is not."""
    unchanged = (boxes.c.id == box.id, boxes.c.status == box.status, boxes.c.expires_on == box.expires_on, *guards)
    if connection.execute(update(boxes).where(*unchanged).values(**values)).rowcount != 1:
        raise LifecycleError(f"{box.address} was overtaken by another change; nothing was changed here.")


def reason_of(written: str) -> str:
    """A reason that says something; raises Refused for one that does not."""
    reason = written.strip()
    if not reason or len(reason) > _LONGEST_REASON:
        raise Refused(f"Say why, in 1 to {_LONGEST_REASON} characters: the reason is kept with the box.")
    return reason
