"""The copy that a simulation lives in: an SQLite file in a folder of its own, whatever the provider's database is.

Of a provider on PostgreSQL too, and not in a schema of its own beside the real tables: to make one takes rights that a
program in production should not have, it would load the server with days of writes, and only a search path would stand
between a simulated deletion and a real one. A file can be thrown away, and from the provider's database everything is
read by one transaction over connections that the database itself lets write nothing (`session.open_to_read`). The rules
are the same on both, and what happens is: `tests/simulating` compares.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lifecycle_jobs import lease
from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import Store, open_throwaway
from lifecycle_jobs.db.transfer.copy import Progress, copy_database
from lifecycle_jobs.errors import LeaseHeld, Refused
from lifecycle_jobs.operators import Operator, stop_everything
from lifecycle_jobs.whole_files import write_whole

_NAME = "lifecycle-simulation-"


@contextmanager
def copied(source: Store, progress: Progress) -> Iterator[Path]:
    """The provider as it is now, in a file that nobody else may read and that is gone at the end of the block.

    Raises LeaseHeld while a run is under way: half of a day is no state to begin with. TMPDIR says where it lies.
    """
    with source.read() as connection:
        under_way = lease.holder(connection, "run")
    if under_way is not None:
        raise LeaseHeld(f"A run is under way (process {under_way.pid}). Simulate when it is done.")
    with TemporaryDirectory(prefix=_NAME) as folder:
        file = Path(folder) / "provider.db"
        with _opened(file) as target:
            upgrade(target)
            copy_database(source, target, progress=progress)
        yield file


@contextmanager
def to_live_in(original: Path) -> Iterator[Store]:
    """A copy of the copy, for one simulation: the next one finds the original as it was."""
    file = original.with_name("lived-in.db")
    shutil.copyfile(original, file)
    try:
        with _opened(file) as store:
            yield store
    finally:
        for part in original.parent.glob(f"{file.name}*"):
            part.unlink()


def keep(store: Store, file: Path, operator: Operator) -> None:
    """Keep a copy that was lived in, for its owner alone to read, with the emergency stop on.

    It holds the real holders, methods and addresses: a command with the real configuration, typed at it by mistake,
    would write to them and charge them for what never happened. Raises Refused if the file cannot be written.
    """
    stop_everything(store, operator, "a simulated copy: what it says never happened")
    store.engine.dispose()  # the last connection to be closed writes the whole of it into its one file
    try:
        with Path(store.engine.url.database or "").open("rb") as lived_in, write_whole(file, private=True) as kept:
            shutil.copyfileobj(lived_in, kept)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def _opened(file: Path) -> Iterator[Store]:
    store = open_throwaway(file)
    try:
        yield store
    finally:
        store.engine.dispose()
