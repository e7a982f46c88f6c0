"""All that can be told of the box of an address: its past, each job's answer on a date, and what lies ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select, union_all

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, customers
from lifecycle_jobs.errors import LeaseHeld, Refused
from lifecycle_jobs.explaining.coming import Coming, coming_of
from lifecycle_jobs.explaining.past import Happening, past_of
from lifecycle_jobs.explaining.verdicts import Verdict, verdicts_on
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.languages import Speech
from lifecycle_jobs.runs import Run
from lifecycle_jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known about a box. `done` is what the run of the date has done already; `verdicts`, what one would do.

    `untold` says why there are no verdicts. `others` are the days on which other boxes of the address were deleted;
    `sold_again`: this one was deleted, and another lives.
    """

    on: date
    box: dict[str, Any]
    past: list[Happening]
    done: list[Happening]
    verdicts: list[Verdict]
    untold: str | None
    coming: list[Coming]
    others: list[date]
    sold_again: bool


def explain(
    store: Store, settings: Settings, address: str, on: date, speech: Speech, *, deleted_on: date | None = None
) -> Explanation:
    """The living box of an address, or the one that was deleted last, told in a language.

    With `deleted_on` the one that was deleted on that day. Raises Refused if there never was one.
    """
    with store.read() as connection:
        box, others = _boxes_of(speech, connection, address, deleted_on)
        past = past_of(speech, connection, box.id)
        latest = runs.latest_completed(connection)
        since = on if latest == on else runs.window_start(connection, on)
        run = Run(on, 0, "everything", since)
        task = Task("explain", store, run, settings.catalog(), 1, lambda _job, _rows: None)
        coming = coming_of(speech, connection, task, box)
        shown = dict(
            connection.execute(
                select(
                    boxes.c.id,
                    boxes.c.address,
                    boxes.c.status,
                    boxes.c.plan,
                    boxes.c.expires_on,
                    boxes.c.renewal_years,
                    boxes.c.auto_renew,
                    boxes.c.payment_method_id,
                    boxes.c.cancelled_on,
                    boxes.c.hold_until,
                    boxes.c.hold_reason,
                    boxes.c.suspended_on,
                    boxes.c.suspended_reason,
                    boxes.c.deleted_on,
                    boxes.c.customer_id,
                    customers.c.name,
                )
                .join(customers, customers.c.customer_id == boxes.c.customer_id)
                .where(boxes.c.id == box.id)
            )
            .mappings()
            .one()
        )
    untold, verdicts = None, []
    if box.status == "deleted":
        untold = speech("It was deleted on {on}: no job has anything to do with it.", on=box.deleted_on)
    else:
        try:
            verdicts = verdicts_on(store, settings, box.id, on, speech)
        except LeaseHeld as held:
            untold = str(held)
    done = [each for each in past if each.run_on == on]
    return Explanation(
        on,
        shown,
        past,
        done,
        verdicts,
        untold,
        coming,
        others=[each.deleted_on for each in others if each.status == "deleted"],
        sold_again=any(each.status != "deleted" for each in others),
    )


def _boxes_of(
    speech: Speech, connection: Connection, address: str, deleted_on: date | None
) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """The one that is meant, and the others."""
    here = select(boxes.c.id).where(boxes.c.address_key == address.strip().lower())
    # Those that live and those that are gone have an index each.
    either = union_all(here.where(boxes.c.status != "deleted"), here.where(boxes.c.status == "deleted"))
    found = connection.execute(
        select(boxes)
        .where(boxes.c.id.in_(either))
        .order_by(boxes.c.status == "deleted", boxes.c.deleted_on.desc(), boxes.c.id.desc())
    ).all()
    if not found:
        raise Refused(speech("There is no box {address}, and there never was one.", address=address))
    meant = next((each for each in found if deleted_on in {None, each.deleted_on}), None)
    if meant is None:
        raise Refused(speech("No box {address} was deleted on {on}.", address=address, on=deleted_on))
    return meant, [each for each in found if each.id != meant.id]
