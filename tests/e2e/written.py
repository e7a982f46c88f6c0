"""Every sample of every message in both languages, and the staff's reports, as they go over the wire."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from typing import cast

from lifecycle_jobs import clock
from lifecycle_jobs.mail.addresses import wire_address
from lifecycle_jobs.mail.contents import LOCALES, Locale, MessageKind
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.render import Rendered, Renderer
from lifecycle_jobs.mail.samples import SAMPLES
from lifecycle_jobs.report.pages import ReportPages
from lifecycle_jobs.report.samples import BUSY, MISSING, QUIET
from lifecycle_jobs.settings import Settings
from tests.bench.catalog import shipped_settings

REPORT = "staff.daily_report"


@dataclass(frozen=True, slots=True)
class Written:
    """A message and the name under which it is looked at: kind, language, number of the sample."""

    name: str
    kind: str
    locale: Locale
    content: bytes

    @property
    def html(self) -> str:
        """The HTML part, as a mail program would take it out of the message."""
        part = message_from_bytes(self.content, policy=email.policy.default).get_body(("html",))
        assert part is not None
        html = part.get_content()
        assert isinstance(html, str)
        return html


def everything() -> list[Written]:
    """All of them."""
    settings = shipped_settings()
    return [*_messages(settings), *_reports(settings)]


def _messages(settings: Settings) -> Iterator[Written]:
    renderer = Renderer()
    for kind, samples in SAMPLES.items():
        for locale in LOCALES:
            for number, sample in enumerate(samples):
                rendered = renderer.render(sample, locale)
                yield _written(settings, rendered, kind, locale, number, sample.holder.name, sample.holder.email)


def _reports(settings: Settings) -> Iterator[Written]:
    pages = ReportPages(settings)
    for locale in LOCALES:
        for number, sample in enumerate((QUIET, BUSY, MISSING)):
            yield _written(settings, pages.render(sample, locale), REPORT, locale, number, "", "turni@example.it")


def _written(
    settings: Settings, rendered: Rendered, kind: str, locale: Locale, number: int, name: str, address: str
) -> Written:
    called = f"{kind}-{locale}-{number}"
    content = Stationery(settings).write(
        rendered,
        kind=cast("MessageKind", kind),
        locale=locale,
        message_id=message_id(called, settings.mail.message_id_domain),
        name=name,
        recipient=wire_address(address),
        moment=clock.now(),
    )
    return Written(called, kind, locale, content)
