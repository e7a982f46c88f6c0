"""What one would write first: objects loaded, changed and committed one by one through SQLAlchemy's ORM."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, registry

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import addons, boxes, customers, events, message_events, messages
from tests.bench.crowd import Job


class _Object:
    """A row; what it has is said by the table that it is mapped to."""

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


class _Box(_Object): ...


class _Addon(_Object): ...


class _Customer(_Object): ...


class _Event(_Object): ...


class _Message(_Object): ...


class _Link(_Object): ...


_mapped = registry()
for _class, _table in (
    (_Box, boxes),
    (_Addon, addons),
    (_Customer, customers),
    (_Event, events),
    (_Message, messages),
    (_Link, message_events),
):
    _mapped.map_imperatively(_class, _table)

_KINDS: Final[dict[Job, str]] = {
    "suspend": "box.suspended",
    "delete": "box.deleted",
    "send_alerts": "box.expiry_alert",
}


def one_by_one(url: str, job: Job, on: date) -> None:
    """Do the job and write its messages, with a commit for each box."""
    store = open_store(url)
    with Session(store.engine) as session:
        for box in session.scalars(select(_Box).where(_due(job, on)).order_by(boxes.c.expires_on)).all():
            if job == "suspend":
                box.status, box.suspended_on, box.suspended_reason = "suspended", on, "unpaid"
            elif job == "delete":
                box.status, box.deleted_on = "deleted", on
                for addon in session.scalars(select(_Addon).where(addons.c.box_id == box.id)):
                    addon.status = "terminated"
            _tell(session, box, _KINDS[job], on, milestone=30 if job == "send_alerts" else None)
            session.commit()
    store.engine.dispose()


def _due(job: Job, on: date) -> ColumnElement[bool]:
    if job == "suspend":
        return (boxes.c.status == "active") & (boxes.c.expires_on < on)
    if job == "delete":
        return (boxes.c.status == "suspended") & (boxes.c.expires_on <= on - timedelta(91))
    return (boxes.c.status == "active") & (boxes.c.expires_on == on + timedelta(30))


def _tell(session: Session, box: _Box, kind: str, on: date, milestone: int | None) -> None:
    event = _Event(
        occurred_on=on,
        kind=kind,
        box_id=box.id,
        customer_id=box.customer_id,
        term_expires_on=box.expires_on,
        milestone=milestone,
        detail={},
        run_on=on,
        run_pass=1,
    )
    key = f"{on}/1/{box.customer_id}/{kind}"
    message = session.scalars(select(_Message).where(messages.c.message_key == key)).one_or_none()
    if message is None:
        customer = session.get_one(_Customer, box.customer_id)
        message = _Message(
            message_key=key,
            customer_id=box.customer_id,
            kind=kind,
            locale=customer.locale,
            recipient=customer.email,
            created_on=on,
            status="queued",
        )
        session.add(message)
    session.add(event)
    session.flush()
    session.add(_Link(event_id=event.id, message_id=message.id))
