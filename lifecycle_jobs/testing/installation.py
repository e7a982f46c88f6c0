"""An installation for one test: a database, settings, and a clock that stands still. Nothing leaves the machine."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import freezegun
import structlog
from freezegun.api import FrozenDateTimeFactory

import lifecycle_jobs
from lifecycle_jobs import log
from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.settings import Settings, load_settings
from lifecycle_jobs.settings.model import DELIMITER, PREFIX
from lifecycle_jobs.testing.provider import Provider

if TYPE_CHECKING:
    import pytest

FIRST_DAY = date(2027, 1, 1)
"""The business date on which a provider begins if the test does not say otherwise: the same one whenever it runs."""

_OURS: Mapping[str, str] = {
    "gateway.kind": "sandbox",
    "mail.transport": "files",
    "mail.username": "",
    "mail.redirect_to": "",
    "mail.dkim_domain": "",
    "mail.dkim_selector": "",
    "webhooks.url": "",
    "monitoring.listen": "",
    "monitoring.heartbeat_url": "",
    "workers.engine": "local",
    "workers.count": "1",
    "workers.scheduler": "",
}
"""What a configuration that is tried out here must not bring with it: it would charge, write to or call somebody."""

# Where time stands still, what waits for a time-out would wait for ever, and pytest could not time its tests.
_GOES_ON = [
    "sqlalchemy.pool",
    "sqlalchemy.util.queue",
    "_pytest.timing",
    "lifecycle_jobs.pace",
    "lifecycle_jobs.mail.senders",
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test asks for: the first day, a configuration file, and settings by section that are laid over it."""

    today: date | str | None = None
    config: Path | None = None
    sections: Mapping[str, Any] = field(default_factory=dict)


class Database:
    """An SQLite database for one test after the other, each of which finds its tables empty.

    It is always the same file, so that what a statement is in SQL is found out once for all tests: that takes longer
    than most of them.
    """

    def __init__(self, folder: Path) -> None:
        self._empty = folder / "empty.db"
        self._file = folder / "lifecycle.db"
        empty = open_store(f"sqlite:///{self._empty}")
        upgrade(empty)
        empty.engine.dispose()
        self.url = f"sqlite:///{self._file}"
        self._store = open_store(self.url)

    @contextmanager
    def emptied(self, afterwards: Path) -> Iterator[Store]:
        """The database, without any rows; what is in it in the end is kept in the file `afterwards`."""
        shutil.copyfile(self._empty, self._file)
        try:
            yield self._store
        finally:
            # The last connection to be closed writes the whole of it into its one file.
            self._store.engine.dispose()
            shutil.move(self._file, afterwards)


@contextmanager
def installed(folder: Path, database: Database, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider with a folder of its own, for as long as the block lasts.

    The environment says the same as its settings, so that a command typed in the block works on this provider.
    Raises ConfigurationError for settings that the program would not start with.
    """
    _import_everything()
    folder.mkdir()
    _set_environment(_environment(folder, database, wanted), monkeypatch)
    settings = load_settings()
    first_day = _first_day(wanted)
    with (
        _logging(settings),
        database.emptied(afterwards=folder / "lifecycle.db") as store,
        freezegun.freeze_time(_morning(first_day, settings), ignore=_GOES_ON) as clock,
    ):
        assert isinstance(clock, FrozenDateTimeFactory)  # noqa: S101 -- for the type checker: we ask for no other kind
        yield Provider(store, settings, folder, set_date=lambda on: clock.move_to(_morning(on, settings)))


@cache
def _import_everything() -> None:
    """A module that is first imported while time stands still would keep the false clock for good."""
    for module in pkgutil.walk_packages(lifecycle_jobs.__path__, "lifecycle_jobs."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _first_day(wanted: Wanted) -> date:
    if not isinstance(wanted.today, str):
        return wanted.today or FIRST_DAY
    try:
        return date.fromisoformat(wanted.today)
    except ValueError as error:
        raise ConfigurationError(f"today: {wanted.today!r} is not a date; write it as 2027-03-31") from error


def _morning(on: date, settings: Settings) -> datetime:
    """The moment of a date at which the daemon does it, in UTC and without a zone, as the frozen clock takes it."""
    return datetime.combine(on, time(settings.schedule.hour), settings.zone).astimezone(UTC).replace(tzinfo=None)


def _environment(folder: Path, database: Database, wanted: Wanted) -> dict[str, str]:
    """Every setting that is given, as a variable; what is ours comes last."""
    ours = dict(_OURS) | {
        "database.url": database.url,
        "mail.directory": str(folder / "mail"),
        "sandbox.journal": str(folder / "sandbox-journal.jsonl"),
        "day_plans.directory": str(folder / "day-plans"),
    }
    given = {"log.level": "warning"} | dict(_written(wanted.sections))
    if refused := sorted(given.keys() & ours.keys()):
        raise ConfigurationError(f"The fixture `lifecycle` sets these itself; leave them out: {', '.join(refused)}")
    variables = {PREFIX + key.upper().replace(".", DELIMITER): value for key, value in (given | ours).items()}
    if wanted.config is not None:
        variables[f"{PREFIX}CONFIG"] = str(wanted.config)
    return variables


def _written(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each value by its dotted key, written as a variable of the environment holds it."""
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _written(value, f"{key}.")
        elif "." not in key:
            raise ConfigurationError(f"{key}: is a section; write {key}={{...}} with its keys")
        else:
            yield key, value if isinstance(value, str) else json.dumps(value, default=str)


def _set_environment(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    # What the environment says of a real installation, its database and its secrets, has no business in a test.
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """The program's own logging, and afterwards whatever the tests had."""
    before = structlog.get_config() if structlog.is_configured() else None
    log.configure(settings.log.level, settings.log.format)
    try:
        yield
    finally:
        structlog.reset_defaults()
        if before is not None:
            structlog.configure(**before)
