"""The sections of the configuration. ``config/lifecycle.toml`` explains each key and gives its unit.

Nothing but a plan's own policy has a default here: the shipped file is the one place where defaults stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr

from lifecycle_jobs.policy import MAX_RENEWAL_YEARS, Policy
from lifecycle_jobs.settings.values import (
    LOCAL_HOSTS,
    Cents,
    Count,
    Line,
    Percent,
    Positive,
    Section,
    Text,
    Whole,
    WholeNumbers,
    Wrong,
    e_mail_address,
    none_if_empty,
    number,
    web_address,
)

_LONGEST_PERIOD_DAYS = 3650
"""Longer periods are typing errors, and far longer ones would leave the calendar."""

_LONGEST_LATE_CHARGE_DAYS = 364
"""A box charged later than that would be renewed to a day that is past (SPEC §3, auto_renew)."""

_NOTICE_BEFORE_CHARGE_DAYS = 30
"""Art. 65-bis of the Italian consumer code: written notice at least so long before an automatic renewal."""

_TREACHEROUS_HOUR = 2

_LONGEST_BACK_OFF = 86_400

_WEBHOOK_SECRET = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2,3}={0,2})?")
"""https://www.standardwebhooks.com: 24 to 64 random bytes in base64."""

_LISTEN = re.compile(r"(?:\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")

_HIGHEST_PORT = 65_535

_DATABASES = frozenset({"sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"})


class ProviderSettings(Section):
    """Who writes to the holders; printed in every message."""

    name: Text
    website: Text
    support_email: Text
    support_phone: Line
    bank_account: Line
    legal_line: Text

    def contradictions(self) -> Iterator[Wrong]:
        """Addresses that are none."""
        yield from web_address("website", self.website)
        yield from e_mail_address("support_email", self.support_email)


class BusinessSettings(Section):
    """The calendar and the tax (SPEC §1, §2, §5)."""

    zone: str
    vat_percent: Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=100)]
    extra_gb_price: Cents
    max_catch_up_days: Positive

    def contradictions(self) -> Iterator[Wrong]:
        """A time zone that this machine does not know."""
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            yield Wrong(("zone",), "is not a time zone; write it like Europe/Rome")


class DatabaseSettings(Section):
    """Where the state lives."""

    url: str
    chunk_size: Annotated[Positive, Field(le=1_000_000)]

    def contradictions(self) -> Iterator[Wrong]:
        """A kind of database that the queries were not written for."""
        scheme, separator, _ = self.url.partition("://")
        if not separator or scheme not in _DATABASES:
            yield Wrong(("url",), "must begin with sqlite:// or postgresql+psycopg://")


class PolicySettings(Section):
    """The periods of SPEC §1, in days."""

    alert_milestones: WholeNumbers
    notice_milestones: WholeNumbers
    charge_slots: WholeNumbers
    late_charge_days: Whole
    outage_grace_days: Whole
    suspended_days: Whole
    minimum_suspension_days: Whole
    deletion_milestones: WholeNumbers

    def contradictions(self) -> Iterator[Wrong]:
        """Periods that are missing, out of order, or shorter than the law or the holder's safety demand."""
        yield from policy_contradictions(self.policy())

    def policy(self) -> Policy:
        """The same values as the rules take them."""
        return Policy(**self.model_dump())


class PolicyOverrides(Section):
    """The values of `policy` that differ for one plan, None where they do not; judged with the rest."""

    alert_milestones: WholeNumbers | None = None
    notice_milestones: WholeNumbers | None = None
    charge_slots: WholeNumbers | None = None
    late_charge_days: Whole | None = None
    outage_grace_days: Whole | None = None
    suspended_days: Whole | None = None
    minimum_suspension_days: Whole | None = None
    deletion_milestones: WholeNumbers | None = None

    def over(self, policy: PolicySettings) -> Policy:
        """The policy of the plan."""
        return Policy(**{**policy.model_dump(), **self.model_dump(exclude_none=True)})


def policy_contradictions(policy: Policy) -> Iterator[Wrong]:
    """What would let a rule skip a step, take it too early, or break the law; keys as in `policy`."""
    lists = {
        "alert_milestones": (policy.alert_milestones, 1),
        "notice_milestones": (policy.notice_milestones, 1),
        "charge_slots": (policy.charge_slots, 0),
        "deletion_milestones": (policy.deletion_milestones, 1),
    }
    sound = True
    for key, (days, least) in lists.items():
        problems = list(_milestone_contradictions(key, days, least))
        sound = sound and not problems
        yield from problems
    for key, value, least, most in (
        ("outage_grace_days", policy.outage_grace_days, 0, _LONGEST_PERIOD_DAYS),
        ("late_charge_days", policy.late_charge_days, 0, _LONGEST_LATE_CHARGE_DAYS),
        ("suspended_days", policy.suspended_days, 1, _LONGEST_PERIOD_DAYS),
        ("minimum_suspension_days", policy.minimum_suspension_days, 1, _LONGEST_PERIOD_DAYS),
    ):
        if not least <= value <= most:
            yield Wrong((key,), f"must be {least} to {most} days, not {value}")
    if policy.late_charge_days < policy.outage_grace_days:
        yield Wrong(
            ("late_charge_days",),
            f"{policy.late_charge_days} is less than outage_grace_days = {policy.outage_grace_days}: "
            "a slot that stays free must still be charged",
        )
    if not sound:
        return
    if max(policy.deletion_milestones) > policy.suspended_days:
        yield Wrong(
            ("deletion_milestones",),
            f"{max(policy.deletion_milestones)} lies before the suspension: "
            f"none may be larger than suspended_days = {policy.suspended_days}",
        )
    if min(policy.notice_milestones) < max(policy.charge_slots) + _NOTICE_BEFORE_CHARGE_DAYS:
        yield Wrong(
            ("notice_milestones",),
            f"the last notice, {min(policy.notice_milestones)} days before expiry, lies less than "
            f"{_NOTICE_BEFORE_CHARGE_DAYS} days before the first charge, {max(policy.charge_slots)} days "
            "before expiry (art. 65-bis of the consumer code)",
        )


def _milestone_contradictions(key: str, days: tuple[int, ...], least: int) -> Iterator[Wrong]:
    if not days:
        yield Wrong((key,), "must not be empty")
    elif any(later >= earlier for earlier, later in pairwise(days)):
        yield Wrong((key,), "must be strictly descending, as the days come: the largest first, none twice")
    elif days[-1] < least or days[0] > _LONGEST_PERIOD_DAYS:
        yield Wrong((key,), f"every value must be {least} to {_LONGEST_PERIOD_DAYS} days")


class DeletionSettings(Section):
    """How many boxes one run may delete, and what proof of a warning it wants (SPEC §3, delete)."""

    max_percent: Percent
    always_allowed: Count
    require_delivered_warning: bool
    delivered_warning_days: Positive
    undelete_days: Count


class SandboxSettings(Section):
    """The stand-in for the bank (SPEC §7)."""

    journal: Path

    def contradictions(self) -> Iterator[Wrong]:
        """No file."""
        if self.journal == Path():
            yield Wrong(("journal",), "must name a file")


class ScheduleSettings(Section):
    """When the daemon wakes, and how often it looks (seconds)."""

    hour: Annotated[Count, Field(le=23)]
    check_every: Annotated[Positive, Field(le=3600)]
    deliver_every: Annotated[Positive, Field(le=3600)]
    reconcile_every: Annotated[Positive, Field(le=86400)]

    def contradictions(self) -> Iterator[Wrong]:
        """The hour that daylight saving skips in spring and repeats in autumn."""
        if self.hour == _TREACHEROUS_HOUR:
            yield Wrong(
                ("hour",), "must not be 2: that hour comes twice on one day of the year, and not at all on another"
            )


class WebhooksSettings(Section):
    """Where the mail platform is told what happened. An empty `url`: nowhere. Seconds."""

    url: Line
    secret: SecretStr
    concurrency: Annotated[Positive, Field(le=64)]
    timeout: Annotated[Positive, Field(le=25)]
    back_off: WholeNumbers

    def contradictions(self) -> Iterator[Wrong]:
        """An address that is none, or no secret to sign with."""
        if self.url:
            yield from _far_or_safe("url", self.url)
            if not _WEBHOOK_SECRET.fullmatch(self.secret.get_secret_value()):
                yield Wrong(("secret",), "must be whsec_ and base64: give LIFECYCLE_WEBHOOKS__SECRET")
        if not self.back_off or not all(1 <= pause <= _LONGEST_BACK_OFF for pause in self.back_off):
            yield Wrong(("back_off",), f"must be a list of at least one number, each 1 to {_LONGEST_BACK_OFF} seconds")


class MonitoringSettings(Section):
    """How the daemon is watched. Empty: not at all."""

    listen: Line
    heartbeat_url: Line

    def contradictions(self) -> Iterator[Wrong]:
        """An address that is none."""
        if self.listen and not (
            _LISTEN.fullmatch(self.listen) and 1 <= int(self.listen.rpartition(":")[2]) <= _HIGHEST_PORT
        ):
            yield Wrong(("listen",), "must be HOST:PORT such as 127.0.0.1:9464, or empty")
        if self.heartbeat_url:
            yield from web_address("heartbeat_url", self.heartbeat_url)


class ReportSettings(Section):
    """The daily report to the staff. An empty `to`: none."""

    to: Line
    locale: Literal["it", "en"]

    def contradictions(self) -> Iterator[Wrong]:
        """An address that is none."""
        if self.to:
            yield from e_mail_address("to", self.to)


def _far_or_safe(key: str, value: str) -> Iterator[Wrong]:
    yield from web_address(key, value)
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
        yield Wrong((key,), "must begin with https://: holders' addresses would travel in the clear")


class LinksSettings(Section):
    """Where messages send the reader. `{address}` stands for the mailbox address."""

    account: Text
    renew: Text
    credit: Text
    payment_method: Text

    def contradictions(self) -> Iterator[Wrong]:
        """Links that lead nowhere, or ask for something the messages do not fill in."""
        for key in type(self).model_fields:
            yield from web_address(key, getattr(self, key), frozenset({"address"}))


class TemplatesSettings(Section):
    """The operator's own texts; None when there are none."""

    directory: Annotated[Path | None, BeforeValidator(none_if_empty)]

    def contradictions(self) -> Iterator[Wrong]:
        """A folder that is not there."""
        if self.directory is not None and not self.directory.is_dir():
            yield Wrong(("directory",), f"there is no folder {self.directory}")


class DayPlansSettings(Section):
    """Where plans of days are kept to be compared with; None for nowhere. Days after the date they are for."""

    directory: Annotated[Path | None, BeforeValidator(none_if_empty)]
    keep_days: Positive


class LeaseSettings(Section):
    """One run at a time (SPEC §5). Seconds."""

    seconds: Annotated[Positive, Field(ge=5, le=86400)]


class LogSettings(Section):
    """What the program says while it works."""

    level: Literal["debug", "info", "warning", "error"]
    format: Literal["auto", "json", "console"]


class PlanSettings(Section):
    """A catalogue entry (SPEC §2): net price of a year in cents, spaces in GB, longest term in years."""

    name: Text
    annual_price: Cents
    inbox_gb: Positive
    archive_gb: Count
    max_extra_inbox_gb: Count
    max_extra_archive_gb: Count
    longest_term_years: Annotated[Positive, Field(le=MAX_RENEWAL_YEARS)]
    auto_renewable: bool
    policy: PolicyOverrides = PolicyOverrides()
