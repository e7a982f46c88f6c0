"""The daily report in words, from ``templates/_staff/daily_report``; an operator may replace any of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lifecycle_jobs.mail.contents import LOCALES, Locale, Sender
from lifecycle_jobs.mail.render import Problem, Rendered, Renderer
from lifecycle_jobs.mail.sample_letters import SENDER
from lifecycle_jobs.mail.template_files import template_files
from lifecycle_jobs.report.contents import DailyReport
from lifecycle_jobs.report.samples import SAMPLES
from lifecycle_jobs.settings import Settings

FOLDER: Final = "_staff/daily_report"

CONTEXT: Final = frozenset({"report", "sender"})
"""What its templates may use."""


class ReportPages:
    """Puts reports into words."""

    def __init__(self, settings: Settings) -> None:
        provider = settings.provider
        self._files = template_files(settings.templates.directory)
        self._sender = Sender(
            name=provider.name,
            website=provider.website,
            support_email=provider.support_email,
            support_phone=provider.support_phone,
            legal_line=provider.legal_line,
            bank_account=provider.bank_account,
        )

    def render(self, report: DailyReport, locale: Locale) -> Rendered:
        """The report as subject, text and HTML. Raises RenderError."""
        context = {"report": report, "sender": self._sender}
        return Rendered(
            self._files.fill_in(FOLDER, locale, "subject", context),
            self._files.fill_in(FOLDER, locale, "text", context),
            self._files.fill_in(FOLDER, locale, "html", context),
        )


def check_templates(overrides: Path | None) -> list[Problem]:
    """Everything wrong with any template, the staff's and the holders'; empty is good."""
    renderer = Renderer(overrides)
    samples = [{"report": sample, "sender": SENDER} for sample in SAMPLES]
    found = [problem for locale in LOCALES for problem in renderer.files.problems(FOLDER, locale, CONTEXT, samples)]
    # The holders' come last: only then is it known which of the operator's files nothing uses.
    return list(dict.fromkeys([*found, *renderer.check()]))
