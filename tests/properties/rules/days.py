"""Time, and the jobs."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests import daily
from tests.properties.sides import Sides, some
from tests.properties.spec import day


class Days(Sides):
    """A life in which days pass."""

    @rule(data=some, ahead=st.sampled_from([1, 1, 2, 8, 30]), runs=st.sampled_from([True, True, True, False]))
    def days_pass(self, data: st.DataObject, ahead: int, *, runs: bool) -> None:
        """To a day that matters to some box, or some days ahead; usually the day is run at once."""
        day_of_a_box = [
            box.expires_on + timedelta(days=offset)
            for box in self.books.boxes
            if box.status != "deleted"
            for offset in (-7, -5, -3, -1, 0, 1, 3, 4, 11, 91)
        ]
        matters = sorted({on for on in day_of_a_box if self.on < on < self.on + timedelta(days=800)})[:8]
        self.on = data.draw(st.sampled_from([self.on + timedelta(days=ahead), *matters]), "day")
        if runs:
            self.run()

    @precondition(lambda self: any(box.unpaid for box in self.books.boxes))
    @rule()
    def until_a_box_is_deleted(self) -> None:
        """Few lives would come so far otherwise."""
        days = [day.deletion_day(box) for box in self.books.boxes if box.unpaid and not box.on_hold(self.on)]
        self.on = max(self.on, min(days, default=self.on))
        self.run()

    @rule()
    def run(self) -> None:
        """The day is run: if it was before, everything is looked for once more."""
        again = self.last_run == self.on
        report = daily.run(self.store, self.registry.settings, self.on, again=again)
        assert report.run_pass is not None
        self.last_run = self.on
        day.live(self.books, self.on)
        self.counts["a day"] += 1
