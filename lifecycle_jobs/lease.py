"""One run at a time per database: a lease in the database, with a fencing token (SPEC §5).

Whoever takes the lease gets a higher token; every write of a run first checks that its token is still the highest.
On PostgreSQL the check locks the lease's row for the length of the transaction, so a take-over is refused
during a write and a write after a take-over fails: there is no moment in between. It takes the weakest lock there is
(FOR KEY SHARE): a take-over (FOR UPDATE) cannot pass it, the heartbeat, which changes no key, can. With a stronger one
several workers, whose writes overlap, would keep the heartbeat waiting until the lease had ended.

On SQLite, which has one writer at a time and gives nobody a turn, the heartbeat may wait beside the run's own writes
until the lease has ended. So there each write renews it as well, when a third of it is over.

A lease ends by itself after `lease.seconds` without renewal. A holder that died on this machine is recognised at
once by its process, so that a run that was killed can be continued without waiting.

Why not an advisory lock of PostgreSQL: it ends with the connection and not with the process, gives no token to
fence with, does not pass through poolers, and SQLite has none.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import leases
from lifecycle_jobs.errors import LeaseHeld, LeaseLost

log = structlog.get_logger()

# Every write asks for it, so it is put together once.
_TOKEN = (
    select(leases.c.token, leases.c.expires_at)
    .where(leases.c.name == bindparam("lease"))
    .with_for_update(read=True, key_share=True)
)


@dataclass(frozen=True, slots=True)
class Process:
    """A process of some machine, well enough named to tell whether it still lives."""

    host: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> Process:
        """The process that asks."""
        return cls(_host(), os.getpid(), _started(os.getpid()))

    @classmethod
    def read(cls, text: str) -> Process:
        """The inverse of `str`."""
        host, pid, started = text.rsplit(" ", 2)
        return cls(host, int(pid), started)

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    @property
    def known_dead(self) -> bool:
        """True only if the process ran on this machine and is gone (or its number went to another)."""
        return self.host == _host() and _started(self.pid) != self.started


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write, as far as the database still agrees. It ends after `seconds` without renewal."""

    name: str
    token: int
    seconds: int

    def check(self, connection: Connection) -> None:
        """Raise LeaseLost unless this is still the highest token; holds it so until the transaction ends.

        On SQLite that transaction has the only write lock already, and renews the lease when it is time.
        """
        found = connection.execute(_TOKEN, {"lease": self.name}).one_or_none()
        if found is None or found.token != self.token:
            message = (
                f"Another process has taken over the {self.name} lease; this one stopped before writing more. "
                "What it had committed stays done."
            )
            raise LeaseLost(message)
        if connection.dialect.name == "sqlite":
            over = clock.now() + timedelta(seconds=self.seconds) - found.expires_at
            if over > timedelta(seconds=self.seconds / 3):
                self.renew(connection)

    def renew(self, connection: Connection) -> bool:
        """Have it end later, as it were taken now; whether it still could be."""
        renewed = connection.execute(
            update(leases)
            .where(leases.c.name == self.name, leases.c.token == self.token)
            .values(expires_at=clock.now() + timedelta(seconds=self.seconds))
        )
        return renewed.rowcount == 1

    def holds(self) -> ColumnElement[bool]:
        """Whether this is still the highest token, as a condition; it holds so until the statement is committed."""
        mine = select(leases.c.token).where(leases.c.name == self.name, leases.c.token == self.token)
        return mine.with_for_update(read=True, key_share=True).exists()


@contextmanager
def hold(store: Store, name: str, seconds: int) -> Iterator[Lease]:
    """Hold a lease for the length of the block, renewing it in the background.

    Raises LeaseHeld if a living process has it.
    """
    lease = _take(store, name, seconds)
    try:
        with _Heartbeat(store, lease):
            yield lease
    finally:
        _release(store, lease)


def holder(connection: Connection, name: str) -> Process | None:
    """Who holds a lease now; None if nobody does."""
    row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    return Process.read(row.holder) if row is not None and _alive(row) else None


def _take(store: Store, name: str, seconds: int) -> Lease:
    # Looked at first without a lock: whoever holds it may be in a transaction that lasts.
    with store.read() as connection:
        row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    if row is not None and _alive(row):
        raise _held(row)
    try:
        with store.write(durable=False) as connection:
            return _take_free(connection, name, seconds)
    except IntegrityError as error:
        raise LeaseHeld(f"Another {name} began at the same moment. Nothing was done here.") from error
    except OperationalError as error:
        if store.dialect == "sqlite" and "locked" in str(error.orig):
            raise LeaseHeld(f"Another process is writing to the database, so no {name} can begin now.") from error
        raise


def _take_free(connection: Connection, name: str, seconds: int) -> Lease:
    mine = {"holder": str(Process.this()), "expires_at": clock.now() + timedelta(seconds=seconds)}
    known = connection.scalar(select(leases.c.token).where(leases.c.name == name))
    if known is None:
        connection.execute(insert(leases).values(name=name, token=1, **mine))
        return Lease(name, 1, seconds)
    row = connection.execute(
        select(leases).where(leases.c.name == name).with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        message = f"The last holder of the {name} lease is in the middle of a write. Nothing was done here; try again."
        raise LeaseHeld(message)
    if _alive(row):
        raise _held(row)
    connection.execute(
        update(leases).where(leases.c.name == name, leases.c.token == row.token).values(token=row.token + 1, **mine)
    )
    return Lease(name, row.token + 1, seconds)


def _alive(row: Row[Any]) -> bool:
    return row.holder is not None and row.expires_at > clock.now() and not Process.read(row.holder).known_dead


def _held(row: Row[Any]) -> LeaseHeld:
    process = Process.read(row.holder)
    return LeaseHeld(
        f"Another {row.name} is under way (process {process.pid} on {process.host.split('/')[0]}). "
        f"Nothing was done here. If that machine died, the lease frees itself at {row.expires_at:%H:%M:%S} UTC."
    )


def _release(store: Store, lease: Lease) -> None:
    """Give it back. If that cannot be written, it frees itself: what the block came to is what is to be told."""
    # With a token of its own: a worker that was given up, and wakes after the run, must not find its own still valid.
    freed = {"holder": None, "token": lease.token + 1}
    try:
        with store.write(durable=False) as connection:
            connection.execute(
                update(leases).where(leases.c.name == lease.name, leases.c.token == lease.token).values(**freed)
            )
    except SQLAlchemyError as error:
        log.warning("lease_not_given_back", lease=lease.name, error=type(error).__name__)


class _Heartbeat:
    """Renews a lease three times in its length, in a thread, for as long as the block lasts."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{lease.name}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._lease.seconds / 3):
            try:
                with self._store.write(durable=False) as connection:
                    renewed = self._lease.renew(connection)
                if not renewed:
                    log.warning("lease_lost", lease=self._lease.name)
                    return
            except Exception as error:  # noqa: BLE001 -- a thread that died of one missed beat would lose a lease that the next keeps
                log.warning("lease_not_renewed", lease=self._lease.name, error=type(error).__name__)


def _host() -> str:
    """This machine since it was started, and the process namespace: two containers may share the rest."""
    boot = _first_line("/proc/sys/kernel/random/boot_id")
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = "-"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _started(pid: int) -> str:
    """When a process was started, in the kernel's own count; `gone` if none of that number is left to write."""
    line = _first_line(f"/proc/{pid}/stat")
    if line != "-":
        state, *others = line.rsplit(")", 1)[1].split()  # the name before it may hold spaces and brackets
        return "gone" if state in {"Z", "X"} else others[18]  # in a container the dead may never be taken away
    try:
        os.kill(pid, 0)
    except OSError:
        return "gone"
    return "alive"


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return "-"
