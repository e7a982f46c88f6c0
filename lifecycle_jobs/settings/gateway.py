"""The section of the configuration that says who collects the money, and how hard they may be worked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from lifecycle_jobs.settings.values import (
    LOCAL_HOSTS,
    Cents,
    Line,
    Positive,
    Section,
    Text,
    WholeNumbers,
    Wrong,
    web_address,
)

GATEWAYS = "lifecycle_jobs.gateways"
"""The group of entry points in which gateways are named."""

_LONGEST_PAUSE = 600
_STATEMENT_DESCRIPTOR = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 .-]{5,22}")
"""What Stripe takes on a bank statement, https://docs.stripe.com/get-started/account/statement-descriptors."""

_KEY_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,40}")


@cache
def installed() -> EntryPoints:
    """The gateways there are, by name. Looked for once: that reads what every installed package says of itself."""
    return entry_points(group=GATEWAYS)


class GatewaySettings(Section):
    """Who collects the money (SPEC §3)."""

    kind: Text
    key_prefix: str
    max_amount: Cents
    concurrency: Annotated[Positive, Field(le=256)]
    requests_per_second: Positive
    back_off: WholeNumbers
    outage_limit: Positive
    trust_not_found_after: Positive
    resend_within: Annotated[Positive, Field(lt=24)]
    report_unresolved_after: Positive
    api_key: SecretStr
    webhook_secret: SecretStr
    api_base: Text
    connect_timeout: Annotated[Positive, Field(le=60)]
    read_timeout: Annotated[Positive, Field(lt=25)]
    statement_descriptor: Line

    def contradictions(self) -> Iterator[Wrong]:
        """A gateway that is not there or lacks what it needs, and what a gateway would not take."""
        known = sorted(installed().names)
        if self.kind not in known:
            yield Wrong(("kind",), f"there is no gateway {self.kind}: {', '.join(known)}")
        if not _KEY_PREFIX.fullmatch(self.key_prefix):
            yield Wrong(("key_prefix",), "must be 1 to 40 letters, digits, dots, dashes or underscores")
        if self.max_amount < 1:
            yield Wrong(("max_amount",), "must be more than zero: nothing could be charged")
        if self.webhook_secret and not self.webhook_secret.get_secret_value().startswith("whsec_"):
            yield Wrong(("webhook_secret",), "must begin with whsec_, as Stripe shows it for the endpoint")
        if any(pause < 1 or pause > _LONGEST_PAUSE for pause in self.back_off):
            yield Wrong(("back_off",), f"every pause must be 1 to {_LONGEST_PAUSE} seconds")
        if self.kind == "stripe":
            yield from self._stripe()

    def _stripe(self) -> Iterator[Wrong]:
        if not self.api_key.get_secret_value():
            yield Wrong(("api_key",), "is missing: kind = stripe needs LIFECYCLE_GATEWAY__API_KEY")
        yield from web_address("api_base", self.api_base)
        parts = urlsplit(self.api_base)
        if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
            yield Wrong(("api_base",), "must begin with https://: the key would travel in the clear")
        if self.statement_descriptor and not _STATEMENT_DESCRIPTOR.fullmatch(self.statement_descriptor):
            yield Wrong(
                ("statement_descriptor",),
                "must be 5 to 22 letters, digits, spaces, dots or dashes, with at least one letter",
            )
