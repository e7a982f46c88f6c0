"""A day's plan: every action it would take, and the run that takes just these.

A plan is made by rehearsing the day. One that would delete or suspend more boxes than it may unasked is planned with
all of them: a plan shows all that is due, and says what of it a run does only by this plan.

A run by a plan takes the lease, rehearses again, and begins only if the hash is still the same; then the plan stands
for the approval of its deletions (SPEC §3, delete) and suspensions. Between the rehearsal and the run holders and
clerks go on: whoever pays in these seconds is not charged or suspended, as in any run. Deletions, and suspensions that
need the approval, are looked at once more, box by box, and if one is due that the plan does not name, none is made.

A run that was interrupted is continued by the same plan: its actions are those of the whole pass, what is done already
among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import select

from lifecycle_jobs.day import JOBS, DayReport, Wish, run_day
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import run_jobs, runs
from lifecycle_jobs.errors import PlanChanged
from lifecycle_jobs.jobs import delete, suspend
from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.jobs.approvals import TO_BE_APPROVED
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.planning import plan_file
from lifecycle_jobs.planning.digest import Digest, mark
from lifecycle_jobs.planning.rehearsal import Witness, rehearse_day, rehearse_in_run
from lifecycle_jobs.reasons import amount_cents
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.watching.noticing import STOPPABLE

log = structlog.get_logger()

_SHOWN = 50


@dataclass(slots=True)
class Total:
    """How often a job does a thing, and what it asks for in all, in cents."""

    number: int = 0
    cents: int | None = None

    def add(self, action: Action) -> None:
        """Count one more."""
        self.number += 1
        cents = amount_cents(action.detail)
        if cents is not None:
            self.cents = (self.cents or 0) + cents


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a day would do. The actions lie in a file, and can be read as long as it is there.

    `approve_suspensions`, `approve_deletions`: how many of them a run makes only by this plan, as they are too many to
    be made unasked.
    """

    on: date
    digest: str
    totals: dict[tuple[str, str], Total]
    report: DayReport
    approve_suspensions: int | None
    approve_deletions: int | None
    _file: Path
    _blocks: Sequence[plan_file.Block]

    def actions(self) -> Iterator[Action]:
        """Every action, job by job."""
        return plan_file.read_actions(self._file)

    def of_box(self, address: str) -> Iterator[Action]:
        """Every action on one box."""
        return plan_file.read_of_box(self._file, self._blocks, address)

    def remove(self) -> None:
        """Remove the file: the actions cannot be read any more."""
        self._file.unlink(missing_ok=True)

    def some(self, place: int, number: int, what: str | None = None) -> tuple[list[Action], int | None]:
        """So many actions from a place on (0: the first), of one kind if `what` says which; and where the next begin.

        A page of a million costs no more than any other.
        """
        found = list(islice(plan_file.read_from(self._file, self._blocks, place, what), number + 1))
        further = found[number][0] if len(found) > number else None
        return [action for _, action in found[:number]], further


@dataclass(frozen=True, slots=True)
class Difference:
    """What stands in one plan and not in the other, each with the first actions of all."""

    gone: list[Action] = field(default_factory=list)
    come: list[Action] = field(default_factory=list)
    number_gone: int = 0
    number_come: int = 0


class AnotherPlan(PlanChanged):
    """`found` is what the hash would have to be. `difference` is none if the plan that was named is not kept here."""

    def __init__(self, message: str, found: str, difference: Difference | None) -> None:
        super().__init__(message)
        self.found = found
        self.difference = difference


def plan_day(
    store: Store, settings: Settings, on: date, operator: Operator, wish: Wish, progress: Progress, *, into: Path
) -> DayPlan:
    """The plan of a day, its actions in a file; it is kept to be compared with later.

    Raises LeaseHeld while a run is under way.
    """

    def rehearse(wish: Wish, witness: Witness) -> DayReport:
        return rehearse_day(store, settings, on, operator, wish, progress, witness)

    plan = _plan(store, on, wish, rehearse, into)
    _keep(settings, operator.on, plan, into)
    return plan


def do_day(store: Store, settings: Settings, on: date, operator: Operator, wish: Wish, progress: Progress) -> DayReport:
    """Do the day; with `wish.plan`, only if it still does what the plan of that hash says.

    Raises AnotherPlan if it does not, and what `run_day` raises.
    """

    def as_planned(wish: Wish) -> Wish:
        if wish.plan is None:
            return wish
        with plan_file.scratch_file() as path:
            plan = _plan(store, on, wish, rehearse, path)
            if plan.digest != wish.plan:
                raise _another(settings, plan, wish.plan)
            return replace(
                wish,
                approve_suspensions=plan.approve_suspensions,
                approve_deletions=plan.approve_deletions,
                planned_suspensions=None if plan.approve_suspensions is None else _boxes(plan, suspend.SUSPENDED),
                planned_deletions=_boxes(plan, delete.DELETED),
            )

    def rehearse(wish: Wish, witness: Witness) -> DayReport:
        return rehearse_in_run(store, settings, on, operator, wish, comparing, witness)

    def comparing(_job: str, rows: int) -> None:
        progress("compare with the plan", rows)

    return run_day(store, settings, on, operator, wish, progress, agree=as_planned)


def _plan(store: Store, on: date, wish: Wish, rehearse: Callable[[Wish, Witness], DayReport], path: Path) -> DayPlan:
    seen = _Seen(on, path)
    # Completed, but for what waits to be approved: any number makes a job look how many there are now, whether or not
    # there is something else for another pass to take up.
    waiting = () if wish.again else _refused_before(store, on)
    if waiting:
        wish = _approving(wish, dict.fromkeys(waiting, 0))
    report = rehearse(wish, seen)
    too_many = _too_many(report)
    if too_many:
        report = rehearse(_approving(wish, too_many), seen)
    # What has become few since it was refused needs no number of its own; that of all makes the run look at it again.
    few = {job: seen.number(job) for job in waiting if job not in too_many}
    approved = too_many | {job: number for job, number in few.items() if number}
    return DayPlan(
        on=on,
        digest=str(seen.digest),
        totals=_in_order(seen.totals),
        report=report,
        approve_suspensions=approved.get(suspend.NAME),
        approve_deletions=approved.get(delete.NAME),
        _file=path,
        _blocks=seen.blocks,
    )


def _approving(wish: Wish, numbers: Mapping[str, int]) -> Wish:
    return replace(
        wish,
        approve_suspensions=numbers.get(suspend.NAME, wish.approve_suspensions),
        approve_deletions=numbers.get(delete.NAME, wish.approve_deletions),
    )


def _boxes(plan: DayPlan, what: str) -> frozenset[int]:
    return frozenset(each.box_id for each in plan.actions() if each.what == what and each.box_id is not None)


class _Seen:
    """What a rehearsal did; each one that looks anew forgets the one before."""

    def __init__(self, on: date, path: Path) -> None:
        self._on = on
        self._path = path
        self.digest = Digest(on)
        self.totals: dict[tuple[str, str], Total] = {}
        self.blocks: Sequence[plan_file.Block] = ()

    def __call__(self, actions: Iterable[Action]) -> None:
        self.digest = Digest(self._on)
        self.totals = {}
        self.blocks = plan_file.write_actions(self._path, map(self._note, actions))

    def number(self, job: str) -> int:
        """How many boxes a job that may be refused would take."""
        total = self.totals.get((job, STOPPABLE[job]))
        return 0 if total is None else total.number

    def _note(self, action: Action) -> Action:
        self.digest.add(action)
        self.totals.setdefault((action.job, action.what), Total()).add(action)
        return action


def _in_order(totals: dict[tuple[str, str], Total]) -> dict[tuple[str, str], Total]:
    order = [name for name, _ in JOBS]
    return dict(sorted(totals.items(), key=lambda each: order.index(each[0][0])))


def _refused_before(store: Store, on: date) -> Sequence[str]:
    """Of a date that is completed, the jobs that did nothing because it would have been too much, and not since."""
    refused: dict[str, bool] = {}
    with store.read() as connection:
        for row in connection.execute(
            select(run_jobs)
            .join(runs, runs.c.run_on == run_jobs.c.run_on)
            .where(runs.c.state == "completed", run_jobs.c.run_on == on, run_jobs.c.job.in_(STOPPABLE))
            .order_by(run_jobs.c.run_pass)
        ):
            if row.refused is not None or row.counts:
                refused[row.job] = row.refused is not None
    return [job for job in refused if refused[job]]


def _too_many(report: DayReport) -> dict[str, int]:
    """Of each job that needs it, the number that the pass would need to have approved."""
    return {
        job.job: job.skipped[reason] + job.done.get(STOPPABLE[job.job], 0)
        for job in report.jobs
        for reason in TO_BE_APPROVED
        if reason in job.skipped
    }


def _keep(settings: Settings, today: date, plan: DayPlan, path: Path) -> None:
    chosen = settings.day_plans
    if chosen.directory is None:
        return
    try:
        plan_file.keep(chosen.directory, plan.on, plan.digest, path)
        plan_file.forget(plan_file.no_longer_kept(chosen.directory, today, chosen.keep_days))
    except OSError as error:
        # Seeing the plan matters more than being able to compare it later.
        log.warning("plan_not_kept", directory=str(chosen.directory), error=type(error).__name__)


def _another(settings: Settings, plan: DayPlan, digest: str) -> AnotherPlan:
    folder = settings.day_plans.directory
    named = None if folder is None else plan_file.find(folder, plan.on, digest)
    difference = None if named is None else _difference(named, plan)
    told = (
        f"no plan of {plan.on} with the hash {digest} is kept here, so what has changed cannot be told"
        if difference is None
        else f"{difference.number_gone} of its actions are gone, {difference.number_come} have come"
    )
    message = (
        f"Nothing was done: the plan of {plan.on} is now {plan.digest}, not {digest}; {told}. "
        f"Look at it (lifecycle-jobs plan {plan.on}), and run with its hash."
    )
    return AnotherPlan(message, plan.digest, difference)


def _difference(named: Path, plan: DayPlan) -> Difference:
    then = Counter(map(mark, plan_file.read_actions(named)))
    now = Counter(map(mark, plan.actions()))
    gone, come = then - now, now - then
    return Difference(
        number_gone=gone.total(),
        number_come=come.total(),
        gone=list(_first(gone, plan_file.read_actions(named))),
        come=list(_first(come, plan.actions())),
    )


def _first(marks: Counter[bytes], actions: Iterable[Action]) -> Iterator[Action]:
    left = min(_SHOWN, marks.total())
    for action in actions:
        if left == 0:
            return
        if marks[mark(action)] > 0:
            marks[mark(action)] -= 1
            left -= 1
            yield action
