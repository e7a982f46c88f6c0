"""Whether the program could work with its configuration: everything it needs is tried, and nothing is changed.

No message, charge or webhook is sent, no file and no row stays behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lifecycle_jobs import clock
from lifecycle_jobs.checking.check import Check, Verdict, ok, warning, wrong
from lifecycle_jobs.checking.database import check_database
from lifecycle_jobs.checking.mail import check_dkim, check_mail
from lifecycle_jobs.checking.services import (
    check_gateway,
    check_heartbeat,
    check_monitoring,
    check_webhooks,
    check_workers,
)
from lifecycle_jobs.mail.addresses import NotAnAddress, wire_address
from lifecycle_jobs.report.pages import check_templates
from lifecycle_jobs.settings import Loaded, Settings

__all__ = ["Check", "Verdict", "check_everything"]


def check_everything(loaded: Loaded) -> Iterator[Check]:
    """Every check, one after the other, as it is made."""
    settings = loaded.settings
    yield _settings(loaded)
    yield from _templates(settings.templates.directory)
    yield _clock(settings)
    yield from check_database(settings)
    yield from check_workers(settings.workers)
    yield from check_mail(settings)
    yield from check_dkim(settings.mail)
    yield from check_gateway(settings)
    yield from check_webhooks(settings.webhooks)
    yield from check_monitoring(settings.monitoring)
    yield from check_heartbeat(settings.monitoring)
    yield _report(settings)


def _settings(loaded: Loaded) -> Check:
    files = [str(place) for place in (loaded.chosen_file, loaded.secrets_folder) if place is not None]
    return ok("settings", f"sound; the defaults, then {', '.join([*files, 'the environment'])}")


def _templates(directory: Path | None) -> Iterator[Check]:
    problems = check_templates(directory)
    for problem in problems:
        yield wrong("templates", str(problem), "Mend the file; see: lifecycle-jobs templates check")
    if not problems:
        yield ok("templates", "all in order" if directory is None else f"all in order, with those in {directory}")


def _clock(settings: Settings) -> Check:
    today = clock.business_date(settings.zone)
    there = clock.now().astimezone(settings.zone)
    return ok("clock", f"business date {today}, {there:%H:%M} in {settings.business.zone}")


def _report(settings: Settings) -> Check:
    if not settings.report.to:
        return warning("report", "nobody gets the daily report", "Set report.to to the staff's address.")
    try:
        wire_address(settings.report.to)
    except NotAnAddress as error:
        return wrong("report", f"report.to: {error}", "Set report.to to an address that can be written to.")
    return ok("report", f"goes to report.to, in {settings.report.locale}")
