"""What a run notices when its jobs are done, kept so that everybody tells the same of it.

Compared with what is usual are: what each job did, by kind; charges that were declined, against those that were
answered; e-mails that could not be delivered, against what there was to tell. What an import has noticed since the run
before is told with it.

Declined charges are judged as a share and not by number too: where twice as many boxes are charged, twice as many are
declined, and that is told of the renewals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, messages, run_jobs, runs, unusual_figures
from lifecycle_jobs.settings import WatchingSettings
from lifecycle_jobs.watching.judging import Bounds, usual_number, usual_share
from lifecycle_jobs.watching.reading import UNUSUALLY_MANY, Done, JobOfPass, Past, PastRun, done_in_all, read_past

DECLINED: Final = "declined_charges"
UNDELIVERED: Final = "undelivered_messages"
MOVED: Final = "moved_expiries"

IMPORT: Final = "import"
MAIL: Final = "messages"
CHARGING: Final = "auto_renew"
"""Under whose name in the closing table these are told."""

STOPPABLE: Final = {"suspend": "box.suspended", "delete": "box.deleted"}
"""The jobs that can be stopped by an unusual number, and what they do."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """A number that is far from what is usual: of `what` a job did, or met, on a business date.

    `out_of`: of how many charges they were declined, of how many boxes the expiry was moved. `usual` is none where a
    fixed share is the limit. `stopped`: so many were due, and none of it was done.
    """

    on: date
    job: str
    what: str
    number: int
    out_of: int | None = None
    usual: float | None = None
    stopped: bool = False

    @property
    def about(self) -> int:
        """What is usual, as a round number."""
        return round(self.usual or 0)


def notice(store: Store, settings: WatchingSettings, on: date, *, mail_of: date | None) -> Sequence[Unusual]:
    """What is unusual about the run of a date, which is not completed yet; recorded, in place of what was before.

    `mail_of`: the date whose e-mails have been handed over; by default, that of the run before.
    """
    with store.read() as connection:
        found = _found(connection, settings, on, mail_of)
        before = connection.scalar(select(unusual_figures.c.id).where(_of_run(on)).limit(1))
    if found or before is not None:
        with store.write() as connection:
            own = and_(unusual_figures.c.run_on == on, unusual_figures.c.job != IMPORT)
            connection.execute(delete(unusual_figures).where(own))
            connection.execute(update(unusual_figures).where(_untold(on)).values(run_on=on))
            for each in found:
                record(connection, each, run_on=on)
    with store.read() as connection:
        return noticed(connection, on)


def record(connection: Connection, unusual: Unusual, *, run_on: date | None) -> None:
    """Keep what was noticed; without a run the next one tells of it."""
    connection.execute(
        insert(unusual_figures).values(
            noticed_on=unusual.on,
            run_on=run_on,
            job=unusual.job,
            what=unusual.what,
            number=unusual.number,
            out_of=unusual.out_of,
            usual=unusual.usual,
            stopped=unusual.stopped,
        )
    )


def noticed(connection: Connection, run_on: date | None, *, untold: bool = False) -> Sequence[Unusual]:
    """What the run of a date has noticed; with `untold`, also what no run has told of yet."""
    chosen = unusual_figures.c.run_on == run_on
    if untold:
        chosen = or_(chosen, unusual_figures.c.run_on.is_(None))
    rows = connection.execute(select(unusual_figures).where(chosen).order_by(unusual_figures.c.id))
    return [Unusual(row.noticed_on, row.job, row.what, row.number, row.out_of, row.usual, row.stopped) for row in rows]


def _of_run(on: date) -> ColumnElement[bool]:
    return or_(unusual_figures.c.run_on == on, _untold(on))


def _untold(on: date) -> ColumnElement[bool]:
    return and_(unusual_figures.c.run_on.is_(None), unusual_figures.c.noticed_on <= on)


def _found(connection: Connection, settings: WatchingSettings, on: date, mail_of: date | None) -> Sequence[Unusual]:
    past = read_past(connection, on)
    if past is None:
        return ()
    bounds = Bounds(settings.factor, settings.least)
    passes = connection.execute(
        select(run_jobs)
        .where(run_jobs.c.run_on == on, run_jobs.c.state == "finished")
        .order_by(run_jobs.c.run_pass, run_jobs.c.job)
    ).all()
    stopped = {row.job: row.skipped[UNUSUALLY_MANY] for row in passes if UNUSUALLY_MANY in row.skipped}
    done = done_in_all([JobOfPass(row.job, row.counts, row.refused is not None) for row in passes])
    return [
        *_stopped(past, {job: number for job, number in stopped.items() if job not in done}),
        *_counted(connection, past, done, bounds),
        *_declined(connection, past, bounds),
        *_undelivered(connection, past, mail_of or past.since, PastRun(on, past.since, done), bounds),
    ]


def _stopped(past: Past, numbers: Mapping[str, int]) -> Iterator[Unusual]:
    for job, number in sorted(numbers.items()):
        what = STOPPABLE[job]
        usual = usual_number(past.samples(job, what), past.covered)
        yield Unusual(past.on, job, what, number, usual=None if usual is None else usual.number, stopped=True)


def _counted(connection: Connection, past: Past, done: Done, bounds: Bounds) -> Iterator[Unusual]:
    # What a date that is made up for finds done already is no sign of anything.
    later = connection.scalar(
        select(runs.c.run_on).where(runs.c.state == "completed", runs.c.run_on > past.on).limit(1)
    )
    kinds = {(job, what) for job, counts in done.items() for what in counts} | past.kinds()
    for job, what in sorted(kinds - {(job, "charge.declined") for job in done}):
        if job not in done:
            continue
        number, samples = done[job].get(what, 0), past.samples(job, what)
        usual = usual_number(samples, past.covered)
        if usual is None:
            continue
        if bounds.too_many(number, usual.number):
            yield Unusual(past.on, job, what, number, usual=usual.number)
        # After downtime there is more to do; there is never less to do than on the day itself.
        of_day = usual_number(samples, [past.on])
        if later is None and of_day is not None and of_day.settled and bounds.too_few(number, of_day.number):
            yield Unusual(past.on, job, what, number, usual=of_day.number)


def _declined(connection: Connection, past: Past, bounds: Bounds) -> Iterator[Unusual]:
    """Of what the bank has answered; credit is not the bank's."""
    today = _charges_of(connection, [past.on])[past.on]
    if today.total() < bounds.least:
        return
    before = _charges_of(connection, [run.on for run in past.same_weekdays(past.on)])
    share = usual_share([answers["declined"] / answers.total() for answers in before.values()])
    if share is None:
        return
    number, usual = today["declined"], share * today.total()
    if bounds.too_many(number, usual) or bounds.too_few(number, usual):
        yield Unusual(past.on, CHARGING, DECLINED, number, today.total(), usual)


def _charges_of(connection: Connection, dates: Sequence[date]) -> defaultdict[date, Counter[str]]:
    """How many charges of each date succeeded and were declined."""
    found: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for row in connection.execute(
        select(charges.c.attempted_on, charges.c.status, func.count().label("number"))
        .where(
            charges.c.attempted_on.in_(dates),
            charges.c.status.in_(("succeeded", "declined")),
            charges.c.method_kind != "credit",
        )
        .group_by(charges.c.attempted_on, charges.c.status)
    ):
        found[row.attempted_on][row.status] = row.number
    return found


def _undelivered(connection: Connection, past: Past, day: date, of_today: PastRun, bounds: Bounds) -> Iterator[Unusual]:
    """E-mails that were refused for good, or given up, of those that were made on a day."""
    number = _failed_of(connection, [day])[day]
    run = of_today if day == past.on else past.run_of(day)
    if number < bounds.least or run is None:
        return
    before = [each for each in past.same_weekdays(day) if each.told]
    failed = _failed_of(connection, [each.on for each in before])
    share = usual_share([failed[each.on] / each.told for each in before])
    if share is not None and bounds.too_many(number, share * run.told):
        yield Unusual(day, MAIL, UNDELIVERED, number, usual=share * run.told)


def _failed_of(connection: Connection, dates: Sequence[date]) -> Counter[date]:
    rows = connection.execute(
        select(messages.c.created_on, func.count())
        .where(messages.c.status == "failed", messages.c.created_on.in_(dates))
        .group_by(messages.c.created_on)
    )
    return Counter({row[0]: row[1] for row in rows})
