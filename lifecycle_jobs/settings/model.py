"""The whole of the settings, and the catalogue made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lifecycle_jobs.policy import Catalog, Plan
from lifecycle_jobs.settings.console import ConsoleSettings
from lifecycle_jobs.settings.gateway import GatewaySettings
from lifecycle_jobs.settings.mail import MailSettings
from lifecycle_jobs.settings.retention import RetentionSettings, retention_contradictions
from lifecycle_jobs.settings.sections import (
    BusinessSettings,
    DatabaseSettings,
    DayPlansSettings,
    DeletionSettings,
    LeaseSettings,
    LinksSettings,
    LogSettings,
    MonitoringSettings,
    PlanSettings,
    PolicySettings,
    ProviderSettings,
    ReportSettings,
    SandboxSettings,
    ScheduleSettings,
    TemplatesSettings,
    WebhooksSettings,
    policy_contradictions,
)
from lifecycle_jobs.settings.values import Wrong, refuse
from lifecycle_jobs.settings.watching import WatchingSettings
from lifecycle_jobs.settings.workers import WorkersSettings, workers_contradictions

PREFIX = "LIFECYCLE_"
"""Begins the name of every environment variable that is ours; an unknown name that begins so is refused."""

DELIMITER = "__"
"""Stands between section and key in the name of a variable."""

_PLAN_CODE = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


class Settings(BaseSettings):
    """Everything an operator can set. Made by `load_settings`, never changed afterwards."""

    # Undecoded, values from the environment reach our own types as written, which name the key if they fail.
    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        enable_decoding=False,
    )

    provider: ProviderSettings
    business: BusinessSettings
    schedule: ScheduleSettings
    database: DatabaseSettings
    workers: WorkersSettings
    policy: PolicySettings
    deletion: DeletionSettings
    watching: WatchingSettings
    gateway: GatewaySettings
    sandbox: SandboxSettings
    mail: MailSettings
    webhooks: WebhooksSettings
    monitoring: MonitoringSettings
    console: ConsoleSettings
    report: ReportSettings
    retention: RetentionSettings
    links: LinksSettings
    templates: TemplatesSettings
    day_plans: DayPlansSettings
    lease: LeaseSettings
    log: LogSettings
    plans: dict[str, PlanSettings]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers, highest first. The merged files come in as arguments; a .env file is not read."""
        del settings_cls, dotenv_settings
        return env_settings, NestedSecretsSettingsSource(file_secret_settings), init_settings

    @model_validator(mode="after")
    def _plans_are_sound(self) -> Self:
        refuse("plans", list(self._plan_contradictions()))
        return self

    @model_validator(mode="after")
    def _nothing_goes_too_soon(self) -> Self:
        policies = [plan.policy.over(self.policy) for plan in self.plans.values()]
        too_soon = retention_contradictions(self.retention, policies, self.business.max_catch_up_days)
        refuse("retention", [Wrong(("retention", *wrong.at), wrong.what) for wrong in too_soon])
        return self

    @model_validator(mode="after")
    def _workers_can_help(self) -> Self:
        hindered = workers_contradictions(self.workers, self.database.url)
        refuse("workers", [Wrong(("workers", *wrong.at), wrong.what) for wrong in hindered])
        return self

    def _plan_contradictions(self) -> Iterator[Wrong]:
        if not self.plans:
            yield Wrong(("plans",), "there must be at least one plan")
        for code, plan in self.plans.items():
            if not _PLAN_CODE.fullmatch(code):
                yield Wrong(("plans", code), "a code is small letters and digits, with single - or _ between")
            if plan.policy.model_dump(exclude_none=True):
                for wrong in policy_contradictions(plan.policy.over(self.policy)):
                    yield Wrong(("plans", code, "policy", *wrong.at), wrong.what)

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose calendar gives the business date."""
        return ZoneInfo(self.business.zone)

    def catalog(self) -> Catalog:
        """What is sold, as the rules take it."""
        return self._catalog

    @cached_property
    def _catalog(self) -> Catalog:
        plans = {
            code: Plan(
                code=code,
                name=plan.name,
                annual_price_cents=plan.annual_price,
                inbox_gb=plan.inbox_gb,
                archive_gb=plan.archive_gb,
                max_extra_inbox_gb=plan.max_extra_inbox_gb,
                max_extra_archive_gb=plan.max_extra_archive_gb,
                longest_term_years=plan.longest_term_years,
                auto_renewable=plan.auto_renewable,
                policy=plan.policy.over(self.policy),
            )
            for code, plan in self.plans.items()
        }
        return Catalog(plans, self.business.vat_percent, self.business.extra_gb_price)
