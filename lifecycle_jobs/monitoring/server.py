"""The monitoring's own server, with connections of its own to the database."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import structlog

from lifecycle_jobs.db.session import Store, open_beside
from lifecycle_jobs.monitoring.app import PATIENCE, make_app
from lifecycle_jobs.monitoring.vitals import Vitals
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.web_server import WebServer

log = structlog.get_logger()


class Monitoring:
    """Serves `monitoring.listen`, which must not be empty, between `start` and `stop`, or in a `with` block.

    It has connections of its own to the database, so that it neither waits behind the work nor holds it up.
    """

    def __init__(self, store: Store, settings: Settings, vitals: Vitals) -> None:
        self._listen = settings.monitoring.listen
        self._store = open_beside(store, patience=PATIENCE)
        self._server = WebServer(make_app(self._store, settings, vitals), self._listen, setting="monitoring.listen")

    @property
    def port(self) -> int:
        """The one that is listened on, once it is."""
        return self._server.port

    def start(self) -> Self:
        """Listen. Raises ConfigurationError if the address is not to be had."""
        self._server.start()
        log.info("monitoring_started", address=self._listen, port=self.port)
        return self

    def stop(self) -> None:
        """Answer what is being answered, for a second at most, and be gone."""
        self._server.stop()
        self._store.engine.dispose()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
