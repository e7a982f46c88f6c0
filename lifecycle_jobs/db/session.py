"""Connections and transactions, the same on SQLite and PostgreSQL.

Two kinds of transaction: `read`, and `write`, which takes SQLite's write lock at its start (so that what was read
in it cannot have changed when it writes) and checks the fence. A write is durable unless said otherwise: a charge
that was intended must survive a power cut, or the next run would not know that it has to ask the gateway.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, Select, Update, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from lifecycle_jobs import clock
from lifecycle_jobs.db.repeated import Asked, Repeated
from lifecycle_jobs.errors import ConfigurationError

_SQLITE_BUSY_SECONDS = 60
_SQLITE_CACHE_MIB = 32

_NOTICE_SILENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A database host that vanishes without a word must not hold a duty for the two hours that TCP would wait."""

_NOBODY_SLEEPS = "-c idle_in_transaction_session_timeout=1800000"
"""Milliseconds. A process that is paused in the middle of a write keeps its rows locked, and what it commits when it
is woken is older than what others have written and sent on since: after half an hour PostgreSQL takes it back."""


_BY_INDEX = "-c random_page_cost=1.1"
"""What PostgreSQL advises where pages are in memory or on an SSD. With its default, the price of a page on a spinning
disk, it goes through all events of a morning for each chunk: the larger the day, the slower each of its chunks."""


_LONG = 5.0
"""Seconds after which a write may outlast the lease under which it began."""


class Fence(Protocol):
    """Proof that this process may write."""

    def check(self, connection: Connection) -> None:
        """Raise LeaseLost unless the lease is still ours, and keep it so until the transaction ends."""

    def holds(self) -> ColumnElement[bool]:
        """The same as a condition, for a statement that is a transaction of its own."""


class Store:
    """A database, and the right to write to it."""

    def __init__(self, engine: Engine, *, fence: Fence | None = None, within: Connection | None = None) -> None:
        self.engine = engine
        self._fence = fence
        self._within = within

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def writes_alone(self) -> bool:
        """Whether nobody else can write from the beginning of a transaction that writes until its end."""
        return self.dialect == "sqlite"

    @property
    def rehearsing(self) -> bool:
        """Whether everything written here is going to be rolled back."""
        return self._within is not None

    def fenced(self, fence: Fence) -> Store:
        """The same database, each write of which first checks the fence."""
        return Store(self.engine, fence=fence, within=self._within)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        if self._within is not None:
            yield self._within
            return
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or rolled back by an exception.

        `durable=False` is for what may be lost in a power cut (never in a mere crash of the process) because it
        would only be done again.
        """
        if self._within is not None:
            with self._within.begin_nested():
                yield self._within
            return
        options = {"lifecycle_write": True, "lifecycle_durable": durable}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            began = clock.running()
            if self._fence is not None:
                self._fence.check(connection)
            yield connection
            if self._fence is not None and clock.running() - began > _LONG:
                self._fence.check(connection)  # which renews: whoever has waited for the write lock is next to look

    @contextmanager
    def repeating(self, update: Update) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], int]]:
        """An update to be made again and again with other values, each time at once; it says how many rows changed.

        The fence is a condition of the update, so nothing changes once the lease is lost. Not durable.
        """
        if self._within is not None:
            within = self._within
            yield lambda rows: within.execute(update, rows).rowcount
            return
        if self._fence is not None:
            update = update.where(self._fence.holds())
        with self.engine.connect() as connection:
            yield Repeated(_each_statement_alone(connection), update)

    @contextmanager
    def asking(self, question: Select[Any]) -> Iterator[Callable[[], bool]]:
        """Whether a query finds any row, to be asked again and again, by one thread at a time."""
        if self._within is not None:
            within = self._within
            yield lambda: within.execute(question).first() is not None
            return
        with self.engine.connect() as connection:
            yield Asked(_each_statement_alone(connection), question)

    def let_go(self) -> None:
        """Give back the memory that earlier work took and that later work does not need.

        SQLite keeps some of its file in it, in pieces that lie between others: they go back only when that is asked
        for, which the C library of Linux distributions understands and others do without.
        """
        if self._within is not None:
            return
        if self.dialect == "sqlite":
            with self.read() as connection:
                connection.exec_driver_sql("PRAGMA shrink_memory")
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

    @contextmanager
    def rehearse(self) -> Iterator[Store]:
        """A store on which everything works and nothing lasts: one transaction, rolled back at the end."""
        with self.engine.connect().execution_options(lifecycle_write=True) as connection:
            transaction = connection.begin()
            try:
                yield Store(self.engine, within=connection)
            finally:
                transaction.rollback()


def database_url(url: str) -> URL:
    """The URL with the driver this program uses; raises ConfigurationError for a database it does not know."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    # An error of SQLAlchemy's would quote the URL, and with an @ of its own a password reaches into the host.
    if parsed is None or "@" in (parsed.host or ""):
        message = (
            "database.url: not a database URL (sqlite:///FILE or postgresql://HOST/NAME; in a password, @ is written "
            "%40, and : is written %3A)"
        )
        raise ConfigurationError(message)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    message = f"database.url: {backend} is not supported; use sqlite:///FILE or postgresql://HOST/NAME"
    raise ConfigurationError(message)


def open_store(
    url: str, *, time_out: int | None = None, name: str = "lifecycle-jobs", cache_mib: int = _SQLITE_CACHE_MIB
) -> Store:
    """The store behind a URL. Nothing is connected yet.

    `cache_mib` is how much of an SQLite file each connection keeps in memory; who only looks up needs little.

    `name` is what PostgreSQL shows for its connections. With `time_out` (seconds) it ends a statement that takes longer
    and a transaction in which nothing happens for longer, and it notices within a second when we are gone, in the
    middle of a statement too (from PostgreSQL 14 on; an older one refuses such a connection).
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": _SQLITE_BUSY_SECONDS}, hide_parameters=True)
        event.listen(engine, "connect", partial(_prepare_sqlite, cache_mib=cache_mib))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        # Intents must survive a power cut even where the server was tuned to forget them.
        limits = _NOBODY_SLEEPS if time_out is None else _nobody_dawdles(time_out)
        options = f"-c synchronous_commit=on -c timezone=UTC {_BY_INDEX} {limits}"
        arguments = {"options": options, "application_name": name, **_NOTICE_SILENCE}
        engine = create_engine(parsed, connect_args=arguments, hide_parameters=True)
        event.listen(engine, "begin", _begin_postgresql)
    return Store(engine)


def open_to_read(url: str) -> Store:
    """The same, for whoever must never change anything: the database itself refuses every write.

    An SQLite file is opened as one that cannot be written to, and is not made if it is not there; the two files that
    SQLite keeps beside it for whoever else writes may stay. On PostgreSQL every transaction is one that only reads.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        # Absolute, and quoted as such a URL asks for: a name may hold a question mark.
        file = f"{Path(parsed.database or '').absolute().as_uri()}?mode=ro"
        engine = create_engine(
            parsed,
            creator=partial(sqlite3.connect, file, uri=True, timeout=_SQLITE_BUSY_SECONDS, check_same_thread=False),
            poolclass=NullPool,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare_to_read)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        options = f"-c default_transaction_read_only=on -c timezone=UTC {_BY_INDEX} {_NOBODY_SLEEPS}"
        engine = create_engine(
            parsed, connect_args={"options": options, **_NOTICE_SILENCE}, poolclass=NullPool, hide_parameters=True
        )
    return Store(engine)


def open_throwaway(file: Path) -> Store:
    """An SQLite file that nobody will miss: nothing waits for the disk, and a power cut may spoil all of it."""
    engine = create_engine(
        URL.create("sqlite", database=str(file)), connect_args={"timeout": _SQLITE_BUSY_SECONDS}, hide_parameters=True
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "connect", _prepare_throwaway)
    event.listen(engine, "begin", _begin_throwaway)
    return Store(engine)


def _nobody_dawdles(seconds: int) -> str:
    limits = f"-c statement_timeout={seconds}s -c idle_in_transaction_session_timeout={seconds}s"
    return f"{limits} -c client_connection_check_interval=1s"


def open_beside(store: Store, *, patience: int) -> Store:
    """The same database over connections of their own, for whoever must neither wait behind the work nor delay it.

    Each is opened for one transaction and closed after it, so none is ever stale. Connecting, a statement and a wait
    for a lock each fail after `patience` seconds, as does a network that went silent.
    """
    url = store.engine.url
    if store.dialect == "sqlite":
        engine = create_engine(url, connect_args={"timeout": patience}, poolclass=NullPool, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        milliseconds = patience * 1000
        arguments = {
            "connect_timeout": patience,
            "options": f"-c synchronous_commit=on -c timezone=UTC {_BY_INDEX} -c statement_timeout={milliseconds}",
            "keepalives_idle": patience,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "tcp_user_timeout": milliseconds,
        }
        engine = create_engine(url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
        event.listen(engine, "begin", _begin_postgresql)
    return Store(engine)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object, *, cache_mib: int = _SQLITE_CACHE_MIB) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own: we choose the kind
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "wal_autocheckpoint = 65536"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"PRAGMA cache_size = -{cache_mib * 1024}")


def _prepare_to_read(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON")


def _prepare_throwaway(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "synchronous = OFF",
        "wal_autocheckpoint = 4096",
    ):  # without the disk to wait for, often costs little
        connection.execute(f"PRAGMA {pragma}")


def _begin_throwaway(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("lifecycle_alone"):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("lifecycle_write") else "BEGIN")


def _each_statement_alone(connection: Connection) -> Connection:
    if connection.dialect.name == "sqlite":
        alone = connection.execution_options(lifecycle_alone=True)
        alone.exec_driver_sql("PRAGMA synchronous = NORMAL")
        alone.exec_driver_sql("PRAGMA cache_size = -4096")  # one row at a time: there is little to remember
    else:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.exec_driver_sql("SET synchronous_commit = off")
    alone.commit()
    alone.detach()  # how it is set must not be how the next one finds it
    return alone


def _begin_sqlite(connection: Connection) -> None:
    options: dict[str, Any] = dict(connection.get_execution_options())
    if options.get("lifecycle_alone"):
        return
    if not options.get("lifecycle_write"):
        connection.exec_driver_sql("BEGIN")
        return
    level = "FULL" if options.get("lifecycle_durable", True) else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if not connection.get_execution_options().get("lifecycle_durable", True):
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
