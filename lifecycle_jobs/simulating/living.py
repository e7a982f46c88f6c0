"""Living through the days: each is run by the code of every day, its mail goes nowhere, and then holders pay.

The clock stands at the hour of each business date, for this work alone, so that what is dated by moments (a lost answer
that is believed on a later day, a mail that was accepted a week ago) is as old as it would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy.exc import OperationalError

from lifecycle_jobs import clock, runs
from lifecycle_jobs.day import Wish, go_through
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.forecast import foretell
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.span import Span
from lifecycle_jobs.jobs import delete, suspend
from lifecycle_jobs.jobs.approvals import TO_BE_APPROVED
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.transports import Nowhere
from lifecycle_jobs.operators import Operator, approve_numbers, resume
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.simulating.bank import Bank, Trouble, left_open
from lifecycle_jobs.simulating.chance import Chance
from lifecycle_jobs.simulating.contents import History, SimulatedDay, Troubles
from lifecycle_jobs.simulating.happened import what_happened
from lifecycle_jobs.simulating.payers import Payers
from lifecycle_jobs.stops import Stop

CLERK: Final = "simulation"

_KEYS: Final = "simulated"
"""Begins every idempotency key: the same under every configuration, and none that the real gateway has seen."""

_LATER: Final = timedelta(minutes=20)


class Living:
    """One configuration's days in one copy. `trouble` is what the forecast leaves out."""

    def __init__(
        self,
        copy: Store,
        settings: Settings,
        span: Span,
        assumptions: Assumptions,
        *,
        seed: int = 1,
        trouble: Trouble | None = None,
        approve_deletions: bool = False,
    ) -> None:
        # While a stop is on nothing would happen at all.
        stop = resume(copy, Operator(CLERK, None, span.first))
        self._told = (*map(str, assumptions.told), *_beginning(span, stop))
        self._copy = copy
        self._settings = _harmless(settings, copy)
        self._approve_deletions = approve_deletions
        chance = Chance(seed)
        with copy.read() as connection:
            self._foretold = foretell(connection, settings, span, assumptions)
            self._bank = Bank(chance, assumptions, trouble or Trouble(), left_open(connection))
        self._troubles = Troubles(self._bank.met)
        self._payers = Payers(copy, span.catalog, chance, assumptions.by_hand, self._troubles.turned)

    def live(self, label: str, progress: Progress) -> History:
        """All of the days; `progress` is told of each, and may raise RunStopped between any two steps of one."""
        refused = {}
        for day in self._foretold.days:
            try:
                refused[day.on] = self._day(day.on, lambda _job, _rows: progress(label, 0))
            except OperationalError as error:
                raise RunStopped(
                    f"The simulation broke off on {day.on}: its copy does not work any more ({runs.describe(error)}). "
                    "Is there room where it lies? TMPDIR says where that is. Nothing else was touched."
                ) from error
            progress(label, 1)
        with self._copy.read() as connection:
            happened = what_happened(connection, [day.on for day in self._foretold.days])
        days = [SimulatedDay(day.on, happened[day.on], day.figures, refused[day.on]) for day in self._foretold.days]
        return History(label, days, self._told, self._troubles)

    def _day(self, on: date, progress: Progress) -> int:
        """One business date; how many deletions were refused on it."""
        moment = datetime.combine(on, time(self._settings.schedule.hour), self._settings.zone).astimezone(UTC)
        self._bank.begin(on)
        with clock.standing_at(moment):
            refused = self._run(on, progress)
            self._deliver(on, progress)
        if refused and self._approve_deletions:
            with clock.standing_at(moment + _LATER):
                approve_numbers(
                    self._copy,
                    Operator(CLERK, None, on),
                    on,
                    suspensions=refused.get(suspend.NAME),
                    deletions=refused.get(delete.NAME),
                )
                self._troubles.approved.append(on)
                refused = self._run(on, progress)
                self._deliver(on, progress)
        with clock.standing_at(moment + 2 * _LATER):
            if self._payers.pay(on):
                self._deliver(on, progress)
        return refused.get(delete.NAME, 0)

    def _run(self, on: date, progress: Progress) -> Mapping[str, int]:
        """One pass; of each job that refused its work, how many boxes wait to be approved."""
        report = go_through(self._copy, self._settings, self._bank, on, Wish(deliver=False), progress)
        refusals = [job.refused for job in report.jobs if job.refused is not None]  # told by their numbers
        self._troubles.failures += [(on, failure) for failure in report.failures if failure not in refusals]
        waiting = {job.job: sum(job.skipped.get(reason, 0) for reason in TO_BE_APPROVED) for job in report.jobs}
        return {job: number for job, number in waiting.items() if number}

    def _deliver(self, on: date, progress: Progress) -> None:
        deliver(
            self._copy, self._settings, on=on, progress=lambda _handled: progress("deliver", 0), transport=Nowhere()
        )


def _beginning(span: Span, stop: Stop | None) -> Iterator[str]:
    """What a person should know about how it begins, beyond that it begins with things as they are."""
    if span.since < span.first - timedelta(days=1):
        yield (
            f"No day between {span.since} and {span.first} is run: the first one catches up with what they left, as "
            "after downtime."
        )
    if stop is not None:
        yield f"The emergency stop, {stop}, is taken back in the copy."


def _harmless(settings: Settings, copy: Store) -> Settings:
    """The configuration for the copy, and for mail that counts as taken by its own recipient."""
    changed: dict[str, dict[str, Any]] = {
        "database": {"url": copy.engine.url.render_as_string()},
        "gateway": {"key_prefix": _KEYS},
        # Mail that is redirected proves no warning; a signature would cost much and be seen by nobody.
        "mail": {"redirect_to": "", "dkim_domain": "", "dkim_selector": ""},
    }
    return settings.model_copy(
        update={name: getattr(settings, name).model_copy(update=values) for name, values in changed.items()}
    )
