"""All messages to holders, and the daily report to the staff, each from its sample, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from lifecycle_jobs.console.messages import letter
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.routes import Asked, page
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.languages.codes import code_text
from lifecycle_jobs.mail.contents import LOCALES, MESSAGE_KINDS, Locale, MessageKind
from lifecycle_jobs.mail.render import Rendered, Renderer
from lifecycle_jobs.report.contents import DailyReport
from lifecycle_jobs.report.pages import ReportPages
from lifecycle_jobs.report.samples import BUSY, MISSING, QUIET

_GROUPS: Mapping[str, str] = {
    "box": spoken("About a box"),
    "charge": spoken("About a charge"),
    "addon": spoken("About an add-on"),
    "order": spoken("About an order"),
    "payment": spoken("About a payment"),
    "method": spoken("About a payment method"),
    "autorenew": spoken("About automatic renewal"),
    "credit": spoken("About prepaid credit"),
    "domain": spoken("About a domain"),
    "cancellation": spoken("About a notice that was given"),
    "hold": spoken("About a hold"),
}
"""By the first word of a kind; a kind of a new word stands under that word."""

_REPORTS: Final[Mapping[str, tuple[str, DailyReport]]] = {
    "quiet": (spoken("A quiet day"), QUIET),
    "busy": (spoken("A day on which much went wrong"), BUSY),
    "missing": (spoken("A day that was never run"), MISSING),
}
"""The daily reports that are shown."""


def routes(office: Office) -> list[Route]:
    """The list; a message, and its letter; a report, and its letter."""
    return [
        page(office, "/templates", _list),
        page(office, "/templates/{kind}/{locale}", _message),
        page(office, "/templates/{kind}/{locale}/letter", _letter),
        page(office, "/templates/report/{day}/{locale}", _report),
        page(office, "/templates/report/{day}/{locale}/letter", _report_letter),
    ]


def _list(asked: Asked) -> Response:
    groups: dict[str, list[MessageKind]] = {}
    for kind in MESSAGE_KINDS:
        first = kind.partition(".")[0]
        groups.setdefault(_GROUPS.get(first, first), []).append(kind)
    return asked.show(
        "gallery.html", groups=groups, reports={day: title for day, (title, _) in _REPORTS.items()}, locales=LOCALES
    )


def _message(asked: Asked) -> Response:
    kind, locale = _wanted(asked)
    renderer = Renderer(asked.office.settings.templates.directory)
    return asked.show(
        "template.html",
        title=code_text(asked.speech, "event", kind),
        place=f"/templates/{kind}",
        locale=locale,
        locales=LOCALES,
        subject=renderer.preview(kind, locale, "subject"),
        text=renderer.preview(kind, locale, "text"),
    )


def _letter(asked: Asked) -> Response:
    kind, locale = _wanted(asked)
    return letter(Renderer(asked.office.settings.templates.directory).preview(kind, locale))


def _report(asked: Asked) -> Response:
    title, locale, report = _wanted_report(asked)
    return asked.show(
        "template.html",
        title=asked.speech(title),
        place=f"/templates/report/{asked.parameter('day')}",
        locale=locale,
        locales=LOCALES,
        subject=report.subject,
        text=report.text,
    )


def _report_letter(asked: Asked) -> Response:
    return letter(_wanted_report(asked)[-1].html)


def _wanted_report(asked: Asked) -> tuple[str, Locale, Rendered]:
    day, locale = asked.parameter("day"), asked.parameter("locale")
    if day not in _REPORTS or locale not in LOCALES:
        raise Refused(asked.speech(spoken("There is no such message.")))
    title, report = _REPORTS[day]
    return title, locale, ReportPages(asked.office.settings).render(report, locale)


def _wanted(asked: Asked) -> tuple[MessageKind, Locale]:
    kind, locale = asked.parameter("kind"), asked.parameter("locale")
    if kind not in MESSAGE_KINDS or locale not in LOCALES:
        raise Refused(asked.speech(spoken("There is no such message.")))
    return kind, locale
