"""The console's own server, with connections of its own to the database."""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import Final, Self

import structlog

from lifecycle_jobs.console.app import make_app
from lifecycle_jobs.console.guard import hosts_of
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import Pages
from lifecycle_jobs.console.visitors import Visitors
from lifecycle_jobs.console.work import Work
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.web_server import WebServer

log = structlog.get_logger()

LISTEN: Final = "127.0.0.1:8470"
"""Where it is if the configuration does not say."""


class Console:
    """Serves the console between `start` and `stop`, or in a `with` block.

    Without accounts it is for whoever has the key in `url`, who then acts as `owner`; the settings let it listen on no
    address that others reach. `listen` overrules the settings.
    """

    def __init__(self, settings: Settings, *, owner: str, listen: str | None = None) -> None:
        chosen = settings.console
        self._settings = settings
        self._listen = listen or chosen.listen or LISTEN
        self._key = None if chosen.accounts else secrets.token_urlsafe(24)
        self._store = open_store(settings.database.url, name="lifecycle-jobs console")
        self._work = Work()
        office = Office(
            self._store,
            settings,
            Visitors(chosen, key=self._key, owner=owner),
            Pages(settings.provider.name, settings.zone),
            self._work,
        )
        app = make_app(office, hosts_of(self._listen, chosen.public_url))
        self._server = WebServer(app, self._listen, setting="console.listen")

    @property
    def url(self) -> str:
        """What to open in a browser, once it is started."""
        host = self._listen.rpartition(":")[0]
        there = self._settings.console.public_url.rstrip("/") or f"http://{host}:{self._server.port}"
        return there + ("/" if self._key is None else f"/enter?key={self._key}")

    def start(self) -> Self:
        """Listen. Raises ConfigurationError if the address is not to be had."""
        self._server.start()
        log.info("console_started", address=self._listen, port=self._server.port)
        return self

    def stop(self) -> None:
        """Answer what is being answered, for a second at most, and be gone."""
        self._server.stop()
        self._work.close()
        self._store.engine.dispose()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
