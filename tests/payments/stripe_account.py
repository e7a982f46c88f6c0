"""A Stripe gateway as the settings open it, for a server of the tests."""

from __future__ import annotations

from pydantic import SecretStr

from lifecycle_jobs.payments.gateway import Gateway
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.settings import Settings, load_settings
from tests.stripe_servers import API_KEY


def settings_at(url: str, **gateway: object) -> Settings:
    """The shipped settings with a Stripe account at this address; `gateway` changes keys of that section."""
    settings = load_settings()
    changed = {"kind": "stripe", "api_base": url, "api_key": SecretStr(API_KEY), **gateway}
    return settings.model_copy(update={"gateway": settings.gateway.model_copy(update=changed)})


def open_at(url: str, **gateway: object) -> Gateway:
    return open_gateway(settings_at(url, **gateway))
