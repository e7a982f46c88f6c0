"""What must be true before a day begins; otherwise nothing is done."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import func, select

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import ConfigurationError, GapSuspected, Refused
from lifecycle_jobs.operators import Operator, accept_gap
from lifecycle_jobs.settings import Settings


def check_date(settings: Settings, on: date, today: date, *, allow_future: bool) -> None:
    """Refuse a date in the future, unless nothing can leave the machine (SPEC §5). Raises Refused."""
    harmless = settings.gateway.kind == "sandbox" and settings.mail.transport == "files"
    if on > today and not (harmless or allow_future):
        message = (
            f"{on} is in the future (today is {today}): holders would be charged and written to before their time. "
            "If you mean it, add --allow-future; to only look, --dry-run."
        )
        raise Refused(message)


def check_gap(store: Store, settings: Settings, operator: Operator, *, accepted: bool) -> None:
    """Raise GapSuspected unless today follows on the last completed run, or a person has accepted the gap."""
    with store.read() as connection:
        latest = runs.latest_completed(connection)
    if latest is None or timedelta(0) <= operator.on - latest <= timedelta(days=settings.business.max_catch_up_days):
        return
    if accepted:
        accept_gap(store, operator, latest)
        return
    where = "in the future" if latest > operator.on else f"{(operator.on - latest).days} days back"
    message = (
        f"Nothing was done: the last completed run is that of {latest}, {where}. Was a backup restored, or is the "
        "clock wrong? Holders may have paid or been charged meanwhile. If all is right, add --accept-gap."
    )
    raise GapSuspected(message)


def check_plans(store: Store, settings: Settings) -> None:
    """Every plan in use must be in the catalogue: without one, a box has no price and no grace period."""
    last = ""
    with store.read() as connection:
        # From one plan to the next by the index: listing distinct plans would read every box.
        while plan := connection.scalar(
            select(func.min(boxes.c.plan)).where(boxes.c.status != "deleted", boxes.c.plan > last)
        ):
            if plan not in settings.plans:
                message = f"plans.{plan}: there are boxes of this plan, but it is not in the configuration"
                raise ConfigurationError(message)
            last = plan
