"""Which gateway collects the money: the one that the settings name, among those that are installed."""

from __future__ import annotations

from lifecycle_jobs.payments.gateway import Gateway
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.settings.gateway import installed


def open_gateway(settings: Settings) -> Gateway:
    """The gateway of `gateway.kind`, which the settings have made sure of."""
    gateway: Gateway = installed()[settings.gateway.kind].load()(settings)
    return gateway
