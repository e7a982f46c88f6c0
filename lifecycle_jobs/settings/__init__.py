"""What an operator can set, and the refusal to start with anything wrong, missing, unknown or contradictory.

Layers, the later winning key by key: the shipped ``config/lifecycle.toml`` (every key), the chosen file (only
what differs), the secrets folder, the environment.
"""

from __future__ import annotations

from lifecycle_jobs.settings.gateway import GatewaySettings
from lifecycle_jobs.settings.layers import Loaded, load_settings, load_with_origins
from lifecycle_jobs.settings.mail import MailSettings
from lifecycle_jobs.settings.model import Settings
from lifecycle_jobs.settings.sections import (
    BusinessSettings,
    DatabaseSettings,
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
)
from lifecycle_jobs.settings.watching import WatchingSettings
from lifecycle_jobs.settings.workers import WorkersSettings

__all__ = [
    "BusinessSettings",
    "DatabaseSettings",
    "DeletionSettings",
    "GatewaySettings",
    "LeaseSettings",
    "LinksSettings",
    "Loaded",
    "LogSettings",
    "MailSettings",
    "MonitoringSettings",
    "PlanSettings",
    "PolicySettings",
    "ProviderSettings",
    "ReportSettings",
    "SandboxSettings",
    "ScheduleSettings",
    "Settings",
    "TemplatesSettings",
    "WatchingSettings",
    "WebhooksSettings",
    "WorkersSettings",
    "load_settings",
    "load_with_origins",
]
