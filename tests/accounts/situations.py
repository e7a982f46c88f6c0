"""A box on which a job has something to do, for each job: what an operation meets when it comes at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from tests import factories
from tests.jobs.running import Office, renewing_box
from tests.properties.provider import Registry
from tests.properties.spec.things import Books

E = factories.EXPIRES_ON
DAY = timedelta(days=1)
ADDRESS = "a@pec.example.it"
HOLDER = "c-a"


@dataclass(frozen=True, slots=True)
class Situation:
    """A box on which a job has something to do on a date."""

    job: str
    on: date
    auto_renew: bool
    token: str = "pm_card_visa"
    ends_before: int = 0

    def arrange(self, office: Office) -> None:
        """An empty database but for this box, its holder with credit and two cards, and an add-on of each kind."""
        Registry(office.store, office.settings).move_in(Books())
        with office.store.write() as connection:
            box_id = renewing_box(connection, "a", token=self.token, auto_renew=self.auto_renew, credit=20_000)
            factories.method(connection, "pm-b", HOLDER, token="pm_card_mastercard")
            ends = E - self.ends_before * DAY
            factories.addon(connection, "credit", box_id, paid_from="credit", expires_on=ends)
            factories.addon(connection, "renewal", box_id)
        if self.auto_renew:
            office.job("auto_renew", E - 7 * DAY)
        if self.job == "delete":
            office.job("suspend", E + DAY)


SITUATIONS = (
    Situation("reconcile_charges", E - 5 * DAY, auto_renew=True, token="sandbox_lost_answer_paid"),
    Situation("auto_renew", E - 5 * DAY, auto_renew=True, token=f"sandbox_paid_from:{E - 5 * DAY}"),
    Situation("renew_addons", E - 200 * DAY, auto_renew=False, ends_before=200),
    Situation("suspend", E + DAY, auto_renew=False),
    Situation("delete", E + 91 * DAY, auto_renew=False),
    Situation("send_alerts", E - 30 * DAY, auto_renew=False),
)
