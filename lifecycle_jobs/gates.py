"""What must be true before a day begins; otherwise nothing is done."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Connection, func, select

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, gap_confirmations
from lifecycle_jobs.errors import ConfigurationError, GapSuspected, Refused
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


def check_gap(store: Store, settings: Settings, on: date) -> None:
    """Raise GapSuspected unless `on` follows on the last completed run, or a person has confirmed the gap (SPEC §5)."""
    with store.read() as connection:
        latest = suspected_gap(connection, settings, on)
    if latest is None:
        return
    where = "in the future" if latest > on else f"{(on - latest).days} days back"
    message = (
        f"Nothing was done: the last completed run is that of {latest}, {where}. Was a backup restored, or is the "
        "clock wrong? Holders may have paid or been charged meanwhile. If all is right: lifecycle-jobs confirm-gap, "
        "or run --accept-gap."
    )
    raise GapSuspected(message)


def suspected_gap(connection: Connection, settings: Settings, on: date) -> date | None:
    """The last completed run, if it lies too far from `on` and nobody has confirmed that all is right.

    A confirmation holds for the gap that the person saw: until a later run is completed, or until the clock has moved
    on by another `max_catch_up_days`.
    """
    most = timedelta(days=settings.business.max_catch_up_days)
    latest = runs.latest_completed(connection)
    if latest is None or timedelta(0) <= on - latest <= most:
        return None
    confirmed = connection.scalar(
        select(gap_confirmations.c.id).where(
            gap_confirmations.c.latest_completed == latest,
            gap_confirmations.c.confirmed_on <= on,
            gap_confirmations.c.confirmed_on >= on - most,
        )
    )
    return latest if confirmed is None else None


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
