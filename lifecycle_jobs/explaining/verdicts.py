"""What each job does about one box on a date, or why it does nothing.

The jobs are asked in their order, on the data as it is: each says by its own conditions whether the box is due and what
speaks against it, and then acts, so that the next one finds what it would find; at the end all is taken back. The
reasons are the very names under which a run counts what it leaves alone.

All boxes of the customer go through the day, and no others: they share a credit, and an add-on that comes earlier may
use it up. What concerns everybody at once is not known by looking at one: a gateway that fails for twenty in a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, select

from lifecycle_jobs import lease, runs
from lifecycle_jobs.day import JOBS, Wish, work_of
from lifecycle_jobs.db.conditions import Refusals, first_reason, unresolved_charge
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, parked_rows
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.explaining.left_alone import left_alone
from lifecycle_jobs.explaining.not_due import not_due
from lifecycle_jobs.jobs import auto_renew, delete, reconcile_charges, renew_addons, send_alerts, suspend
from lifecycle_jobs.jobs.actions import Action, actions, charges_before
from lifecycle_jobs.jobs.approvals import TO_BE_APPROVED
from lifecycle_jobs.jobs.eligibility import charging_window
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.languages import Speech
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.reasons import because
from lifecycle_jobs.runs import JobReport, Run
from lifecycle_jobs.settings import Settings

NOT_DUE = "not_due"
_PASS = 1_000_000_000
"""The number of a pass that no run will ever have."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a job says of a box. `reason` is what it does, or the name under which it counts what it leaves alone.

    About add-ons a job has a verdict for each, with its id in `addon_id`.
    """

    job: str
    acts: bool
    reason: str
    told: str
    addon_id: str | None = None


def verdicts_on(store: Store, settings: Settings, box_id: int, on: date, speech: Speech) -> list[Verdict]:
    """What each job would do about a box in a run of this date, as things stand now, told in a language.

    Raises LeaseHeld while a run is under way: what it has not reached yet cannot be told.
    """
    with store.read() as connection:
        if lease.holder(connection, "run") is not None:
            raise LeaseHeld(
                speech("A run is under way: what it is going to do to the box cannot be told before its end.")
            )
        run = Run(on, _PASS, "everything", runs.window_start(connection, on))
        customer_id: str = connection.execute(select(boxes.c.customer_id).where(boxes.c.id == box_id)).scalar_one()
    asked: list[_Asked] = []
    with store.rehearse() as rehearsal:
        work = work_of(settings, open_gateway(settings).rehearse(), Wish())
        with rehearsal.read() as connection:
            before = charges_before(connection, on)
        for job, _ in JOBS:
            task = Task(
                job,
                rehearsal,
                run,
                settings.catalog(),
                settings.database.chunk_size,
                lambda _job, _rows: None,
                of_customer=customer_id,
            )
            with rehearsal.read() as connection:
                box = connection.execute(select(boxes).where(boxes.c.id == box_id)).one()
                refused = list(_refusals(speech, connection, task, settings, box))
            asked.append(_Asked(job, refused, work[job](task)))
        with rehearsal.read() as connection:
            done = [each for each in actions(connection, on, _PASS, before) if each.box_id == box_id]
            failed = connection.execute(
                select(parked_rows.c.job, parked_rows.c.error).where(
                    parked_rows.c.box_id == box_id, parked_rows.c.last_run_on == on
                )
            )
            errors = {row.job: row.error for row in failed}
    return [verdict for each in asked for verdict in _verdicts_of(speech, each, done, errors.get(each.job))]


class _Asked(NamedTuple):
    """What a job said of the box before it acted, and its report."""

    job: str
    refused: Sequence[Verdict]
    report: JobReport


def _verdicts_of(speech: Speech, asked: _Asked, done: Sequence[Action], error: str | None) -> Sequence[Verdict]:
    job, refused, report = asked
    if acted := [action for action in done if action.job == job]:
        touched = {action.addon_id for action in acted}
        return [
            *(_acted(speech, action) for action in acted),
            *(each for each in refused if each.addon_id is not None and each.addon_id not in touched),
        ]
    if error is not None:
        told = speech("it would fail, and be set aside: {error}", error=error)
        return [Verdict(job, False, "parked", told)]
    if refused:
        return refused
    if report.refused is not None:
        reason = next(each for each in TO_BE_APPROVED if each in report.skipped)
        return [Verdict(job, False, reason, _to_be_approved(speech, job, report.skipped[reason]))]
    return [Verdict(job, False, NOT_DUE, speech("nothing came of it"))]


def _to_be_approved(speech: Speech, job: str, number: int) -> str:
    if job == delete.NAME:
        return speech(
            "{number} boxes are due for deletion, more than a run deletes unasked: none is deleted until a person has "
            "looked at them",
            number=speech.number(number),
        )
    return speech(
        "{number} boxes are due for suspension, far more than is usual on such a day: none is suspended until a person "
        "has looked at them",
        number=speech.number(number),
    )


def _acted(speech: Speech, action: Action) -> Verdict:
    told = because(speech, action.what, action.term_expires_on, action.detail)
    return Verdict(action.job, True, action.what, told, action.addon_id)


def _refusals(
    speech: Speech, connection: Connection, task: Task, settings: Settings, box: Row[Any]
) -> Iterator[Verdict]:
    """Why the job leaves the box alone; nothing if it does not."""
    if task.job == renew_addons.NAME:
        yield from _of_addons(speech, connection, task, box)
        return
    due, refusals = _due(connection, task, settings, box)
    policy = task.catalog.policy_of(box.plan) if box.plan in task.catalog.plans else None
    if policy is None or not due:
        yield Verdict(task.job, False, NOT_DUE, not_due(speech, task.job, box, policy, task.run))
        return
    reason = connection.scalar(select(first_reason(refusals)).select_from(boxes).where(boxes.c.id == box.id))
    if reason is not None:
        yield Verdict(task.job, False, reason, left_alone(speech, connection, reason, box, task.catalog, task.on))


def _due(connection: Connection, task: Task, settings: Settings, box: Row[Any]) -> tuple[bool, Refusals]:
    """Whether the box is due by date, and what may speak against it."""

    def is_among(candidates: ColumnElement[bool]) -> bool:
        return connection.scalar(select(boxes.c.id).where(boxes.c.id == box.id, candidates)) is not None

    if task.job == reconcile_charges.NAME:
        # Due as long as nobody knows; whether the look-up tells, only doing it will show.
        return is_among(unresolved_charge()), [("unresolved_charge", unresolved_charge())]
    if task.job == auto_renew.NAME:
        return is_among(charging_window(task)), auto_renew.refusals(task)
    if task.job == suspend.NAME:
        return is_among(suspend.candidates(task)), suspend.refusals(task)
    if task.job == delete.NAME:
        return is_among(delete.candidates(task)), delete.refusals(task, settings.deletion)
    warnings = list(send_alerts.due_warnings(task, settings.deletion))
    # In one statement: each of its own would take longer to send and to plan than to answer.
    first = case(*[(warning.candidates, number) for number, warning in enumerate(warnings)], else_=None)
    due = connection.scalar(select(first).select_from(boxes).where(boxes.c.id == box.id))
    return due is not None, () if due is None else warnings[due].refusals


def _of_addons(speech: Speech, connection: Connection, task: Task, box: Row[Any]) -> Iterator[Verdict]:
    rows = connection.execute(
        select(
            addons,
            renew_addons.candidates(task).label("due"),
            first_reason(renew_addons.refusals(task)).label("reason"),
            renew_addons.announced().label("announced"),
        )
        .join(boxes, boxes.c.id == addons.c.box_id)
        .where(addons.c.box_id == box.id, addons.c.status == "active")
        .order_by(addons.c.expires_on, addons.c.addon_id)
    ).all()
    if not rows:
        yield Verdict(task.job, False, NOT_DUE, speech("it has no add-on"))
    for addon in rows:
        if not addon.due:
            yield Verdict(task.job, False, NOT_DUE, _addon_not_due(speech, addon), addon.addon_id)
        elif addon.reason is not None:
            told = left_alone(speech, connection, addon.reason, box, task.catalog, task.on)
            yield Verdict(task.job, False, addon.reason, told, addon.addon_id)
        elif addon.announced:
            told = speech("its holder has been told already that the credit does not cover it")
            yield Verdict(task.job, False, renew_addons.ANNOUNCED, told, addon.addon_id)
        else:
            told = speech("it waits for its box to be renewed; the credit would do")
            yield Verdict(task.job, False, renew_addons.WAITS, told, addon.addon_id)


def _addon_not_due(speech: Speech, addon: Row[Any]) -> str:
    if addon.cancelled_on is not None:
        return speech("given up; it ends after {day}", day=addon.expires_on)
    if addon.paid_from == "renewal":
        return speech("it is paid with its box")
    return speech("it lasts until {day}, as its box does", day=addon.expires_on)
