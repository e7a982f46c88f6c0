"""What every page needs: the database, the configuration, today's date, who may come in, and what goes on behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lifecycle_jobs import clock
from lifecycle_jobs.console.pages import Pages
from lifecycle_jobs.console.visitors import Visitor, Visitors
from lifecycle_jobs.console.work import Work
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class Office:
    """One console. `store` has no time limits: what may take long goes through `work`."""

    store: Store
    settings: Settings
    visitors: Visitors
    pages: Pages
    work: Work

    @property
    def today(self) -> date:
        """The business date."""
        return clock.business_date(self.settings.zone)

    def operator(self, visitor: Visitor, why: str | None = None) -> Operator:
        """A visitor as whoever decides, for the history."""
        return Operator(visitor.name, why or None, self.today)
