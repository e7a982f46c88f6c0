"""What else the program talks to or listens on: gateway, mail platform, workers, and those who watch it."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from lifecycle_jobs.checking.check import Check, ok, reason, warning, wrong
from lifecycle_jobs.engines import take_seats
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.payments.gateway import Checkable
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.settings import MonitoringSettings, Settings, WebhooksSettings, WorkersSettings

_PATIENCE: Final = 10
"""Seconds."""

_ANSWERS_OF_OURS: Final = (200, 503)


def check_gateway(settings: Settings) -> Iterator[Check]:
    """A harmless request with the key; for the sandbox, its journal."""
    kind, mail = settings.gateway.kind, settings.mail
    gateway = open_gateway(settings)
    if not isinstance(gateway, Checkable):
        yield ok("gateway", f"{kind}; it cannot be tried without a charge")
    else:
        trouble = gateway.check()
        if trouble is None:
            yield ok(
                "gateway", f"{kind} answers, and takes the key" if kind != "sandbox" else "sandbox: no money moves"
            )
        else:
            yield wrong("gateway", f"{kind}: {trouble}", "Look at the [gateway] settings, the key and the network.")
    if kind == "sandbox" and mail.transport == "smtp":
        yield warning("gateway", "holders are written to about payments that are played", "Set gateway.kind.")
    if settings.gateway.api_key.get_secret_value().startswith("sk_test_") and mail.transport == "smtp":
        yield warning("gateway", "a test key: no money moves, but holders are written to", "Give the live key.")


def check_webhooks(webhooks: WebhooksSettings) -> Iterator[Check]:
    """The mail platform takes a connection. Nothing is sent."""
    if not webhooks.url:
        yield warning(
            "webhooks", "the mail platform is told of nothing", "Set webhooks.url, or block and delete by hand."
        )
    else:
        yield _reachable("webhooks", webhooks.url)


def check_workers(workers: WorkersSettings) -> Iterator[Check]:
    """A Dask scheduler answers and has workers. Nothing is done there; processes of this machine are not started."""
    if not workers.wanted:
        return
    try:
        with take_seats(workers) as seats:
            who = "processes of this machine" if workers.engine == "local" else f"threads at {workers.scheduler}"
            yield ok("workers", f"{len(seats)} {who}")
    except ConfigurationError as error:
        yield wrong("workers", str(error), "Look at the [workers] settings.")


def check_heartbeat(monitoring: MonitoringSettings) -> Iterator[Check]:
    """The address that is called after a good day takes a connection. Nothing is sent."""
    if monitoring.heartbeat_url:
        yield _reachable("heartbeat", monitoring.heartbeat_url)


def check_monitoring(monitoring: MonitoringSettings) -> Iterator[Check]:
    """The address can be listened on, or the daemon does so already."""
    if not monitoring.listen:
        yield warning("monitoring", "nobody can see how the daemon is", "Set monitoring.listen, e.g. 127.0.0.1:9464.")
        return
    host, _, port = monitoring.listen.rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        with closing(socket.socket(found[0][0], socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except (OSError, ValueError) as error:  # a name with an empty part is a ValueError
        if getattr(error, "errno", None) == errno.EADDRINUSE and _is_ours(host, int(port)):
            yield ok("monitoring", f"{monitoring.listen} is in use, and answers as the daemon does")
        else:
            yield wrong("monitoring", f"{monitoring.listen}: {reason(error)}", "Change monitoring.listen.")
    else:
        yield ok("monitoring", f"{monitoring.listen} is free for the daemon")


def _is_ours(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status in _ANSWERS_OF_OURS
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(name: str, url: str) -> Check:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE):
            return ok(name, f"{host}:{port} takes connections; nothing was sent")
    except (OSError, ValueError) as error:  # a name with an empty part is a ValueError
        return wrong(name, f"{host}:{port}: {reason(error)}", "Look at the address, the name server and the firewall.")
