"""Time, and the jobs."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.properties.sides import Sides, some
from tests.properties.spec import day


class Days(Sides):
    """A life in which days pass."""

    @rule(ahead=st.sampled_from([1, 0, 2, 8, 30]), runs=st.sampled_from([True, True, False]))
    def days_pass(self, ahead: int, *, runs: bool) -> None:
        self.on += timedelta(days=ahead)
        if runs:
            self.run_day()

    @precondition(lambda self: any(box.status != "deleted" for box in self.books.boxes))
    @rule(data=some)
    def until_a_day_that_matters(self, data: st.DataObject) -> None:
        """To some box: soon, and usually the nearest one."""
        days = [
            box.expires_on + timedelta(days=offset)
            for box in self.books.boxes
            if box.status != "deleted"
            for offset in (-7, -5, -3, -1, 0, 1, 3, 4, 11)
        ]
        nearest = sorted({on for on in days if self.on < on < self.on + timedelta(days=800)})[:8]
        self.on = self.one(data, nearest or [self.on + timedelta(days=1)], "day")
        self.run_day()

    @precondition(lambda self: any(box.unpaid and not box.on_hold(self.on) for box in self.books.boxes))
    @rule(later=st.sampled_from([0, 0, 3]))
    def until_a_box_is_deleted(self, later: int) -> None:
        """Few lives would come so far otherwise."""
        unpaid = [box for box in self.books.boxes if box.unpaid and not box.on_hold(self.on)]
        self.on = max(self.on, min(day.deletion_day(box) for box in unpaid)) + timedelta(days=later)
        self.run_day()
