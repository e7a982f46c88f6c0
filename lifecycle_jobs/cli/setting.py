"""What every command needs first: the configuration, the database, and who is acting."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs import clock

if TYPE_CHECKING:
    from lifecycle_jobs.db.session import Store
    from lifecycle_jobs.operators import Operator
    from lifecycle_jobs.settings import Settings
    from lifecycle_jobs.settings.workers import Engine

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file with what differs from the defaults.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine instead of tables.")]
By = Annotated[str | None, typer.Option("--by", help="Who does this (default: the system's user).", show_default=False)]
Why = Annotated[str | None, typer.Option("--why", help="Why; kept in the history.", show_default=False)]

config_before_command: ContextVar[Path | None] = ContextVar("config_before_command", default=None)
"""`--config` where it stands before the command's name."""


@dataclass(frozen=True, slots=True)
class Office:
    """The configuration, the database it names, and today's business date."""

    settings: Settings
    store: Store
    today: date

    def operator(self, by: str | None, why: str | None = None) -> Operator:
        """The person at the keyboard."""
        from lifecycle_jobs.operators import Operator

        return Operator(by or _system_user(), why, self.today)

    def manned(self, *, count: int | None = None, engine: Engine | None = None, scheduler: str | None = None) -> Office:
        """The same with the workers that were asked for, or those of the settings.

        Raises ConfigurationError if they contradict each other, or the database.
        """
        from lifecycle_jobs.settings.workers import asked_for

        known = self.settings
        chosen = asked_for(known.workers, known.database.url, count=count, engine=engine, scheduler=scheduler)
        return replace(self, settings=known.model_copy(update={"workers": chosen}))


@contextmanager
def open_office(config: Path | None, *, ready: bool = True) -> Iterator[Office]:
    """Load the configuration and open the database; with `ready`, insist that its schema is there."""
    from lifecycle_jobs import log
    from lifecycle_jobs.db.schema import require_ready
    from lifecycle_jobs.db.session import open_store

    settings = read_settings(config)
    log.configure(settings.log.level, settings.log.format)
    store = open_store(settings.database.url)
    try:
        if ready:
            require_ready(store)
        yield Office(settings, store, clock.business_date(settings.zone))
    finally:
        store.engine.dispose()


def read_settings(config: Path | None) -> Settings:
    """The configuration that `--config` names, after the command or before it, or that the environment names."""
    from lifecycle_jobs.settings import load_settings

    return load_settings(config or config_before_command.get())


def parse_date(text: str) -> date:
    """A date as typed: YYYY-MM-DD."""
    try:
        return clock.read_date(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
