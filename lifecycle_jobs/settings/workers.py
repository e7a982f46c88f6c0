"""Who helps with the set-based jobs of a day, and with its e-mails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.settings.values import Line, Positive, Section, Wrong

Engine = Literal["local", "dask"]


class WorkersSettings(Section):
    """How many processes share a job or a delivery, and who starts them. Seconds. Only `local` ones deliver."""

    engine: Engine
    count: Annotated[Positive, Field(le=256)]
    scheduler: Line
    time_out: Annotated[Positive, Field(le=86400)]

    @property
    def wanted(self) -> bool:
        """Whether anybody is to help."""
        return self.engine != "local" or self.count > 1

    def contradictions(self) -> Iterator[Wrong]:
        """An engine without the settings it needs, or with those of the other one."""
        if self.engine == "dask" and not _is_address(self.scheduler):
            yield Wrong(("scheduler",), "must be the address of the Dask scheduler, like tcp://host:8786 or tls://…")
        if self.engine == "dask" and self.count > 1:
            yield Wrong(("count",), "is for processes of this machine: with Dask the cluster says how many there are")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"tcp", "tls"} and bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False


def workers_contradictions(workers: WorkersSettings, database_url: str) -> Iterator[Wrong]:
    """Helpers that the database would make wait for each other."""
    if workers.wanted and database_url.startswith("sqlite"):
        key = "count" if workers.engine == "local" else "engine"
        yield Wrong(
            (key,),
            "SQLite lets one process write at a time, so nobody can help it: use one worker without an engine, "
            "or PostgreSQL (lifecycle-jobs db copy moves a database there)",
        )


def asked_for(
    workers: WorkersSettings,
    database_url: str,
    *,
    count: int | None = None,
    engine: Engine | None = None,
    scheduler: str | None = None,
) -> WorkersSettings:
    """The settings with what a command line asks for instead.

    Raises ConfigurationError if they contradict each other, or the database.
    """
    asked = {"count": count, "engine": engine, "scheduler": scheduler}
    changed = workers.model_copy(update={key: value for key, value in asked.items() if value is not None})
    wrong = [*changed.contradictions(), *workers_contradictions(changed, database_url)]
    if scheduler is not None and changed.engine != "dask":
        wrong.append(Wrong(("scheduler",), "is for Dask: add --engine dask"))
    if wrong:
        raise ConfigurationError("\n".join(f"workers.{'.'.join(each.at)}: {each.what}" for each in wrong))
    return changed
