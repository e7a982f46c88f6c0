"""A monitoring server of the test's own on a free port of loopback, and what is asked of it over real connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.monitoring import Monitoring, Vitals
from lifecycle_jobs.settings import Settings
from tests.jobs.running import settings_for
from tests.payments.stripe_posts import SECRET

TIMEOUT = 30


class Watched:
    """A server that is up."""

    def __init__(self, server: Monitoring, vitals: Vitals) -> None:
        self.server = server
        self.vitals = vitals
        self.url = f"http://127.0.0.1:{server.port}"

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=TIMEOUT)

    def post(self, body: bytes, signature: str | None) -> requests.Response:
        """What Stripe does."""
        headers = {} if signature is None else {"Stripe-Signature": signature}
        return requests.post(self.url + "/webhooks/stripe", body, headers=headers, timeout=TIMEOUT)

    def families(self) -> dict[str, Metric]:
        """What is told at one scrape, by name."""
        return {family.name: family for family in text_string_to_metric_families(self.get("/metrics").text)}

    def figures(self) -> dict[str, Any]:
        """Every sample of one scrape: `name`, or `name{value, value}` for one with labels."""
        found = {}
        for family in self.families().values():
            for sample in family.samples:
                labels = f"{{{', '.join(sample.labels.values())}}}" if sample.labels else ""
                found[sample.name.removeprefix("lifecycle_") + labels] = sample.value
        return found


def watched_settings(folder: Path, **changed: dict[str, Any]) -> Settings:
    """Settings that listen on a port the machine chooses, with Stripe's secret."""
    changed["monitoring"] = {"listen": "127.0.0.1:0"} | changed.get("monitoring", {})
    changed["gateway"] = {"webhook_secret": SecretStr(SECRET)} | changed.get("gateway", {})
    return settings_for(folder, **changed)


@contextmanager
def watched(store: Store, settings: Settings) -> Iterator[Watched]:
    vitals = Vitals()
    with Monitoring(store, settings, vitals) as server:
        yield Watched(server, vitals)


@contextmanager
def silent_database() -> Iterator[Store]:
    """A database server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        store = open_store(f"postgresql://nobody@127.0.0.1:{listening.getsockname()[1]}/nothing")
        yield store
        store.engine.dispose()


@contextmanager
def no_database() -> Iterator[Store]:
    """A database server that was stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    store = open_store(f"postgresql://nobody@127.0.0.1:{port}/nothing")
    yield store
    store.engine.dispose()
