"""An import that moves the expiry of many boxes says so, in a dry run too, and so does the next run."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import unusual_figures
from lifecycle_jobs.db.transfer.load import import_directory
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.watching.importing import ImportWatch
from lifecycle_jobs.watching.noticing import IMPORT, MOVED, Unusual, noticed
from tests import factories
from tests.daily import run, settings_for
from tests.db.folders import box, write

E = factories.EXPIRES_ON
ON = date(2027, 3, 24)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two boxes are few, three are many, and so is more than half of all."""
    return settings_for(tmp_path, watching={"moved_least": 2, "moved_percent": 50})


@pytest.fixture
def _boxes(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection)
        for number in range(5):
            factories.box(connection, f"box{number}@pec.example.it")
        factories.box(connection, "gone@pec.example.it", status="deleted")


def file_of(folder: Path, number: int, expires_on: date) -> Path:
    """Files in which so many of the boxes end on a day, and one more that is new."""
    rows = [box(address=f"box{each}@pec.example.it", expires_on=str(expires_on)) for each in range(number)]
    write(folder / "in", boxes=[*rows, box(address="new@pec.example.it", expires_on="2030-01-01")])
    return folder / "in"


def bring_in(
    store: Store, settings: Settings, folder: Path, *, overwrite: bool = True, dry_run: bool = False
) -> Unusual | None:
    watch = ImportWatch(settings.watching, ON)
    import_directory(store, settings.catalog(), folder, overwrite=overwrite, dry_run=dry_run, today=ON, watch=watch)
    return watch.noticed


@pytest.mark.usefixtures("_boxes")
def test_one_that_moves_many_expiries_is_noticed_and_told_by_the_next_run(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    moved = bring_in(store, settings, file_of(tmp_path, 3, E - timedelta(days=30)))

    assert moved == Unusual(ON, IMPORT, MOVED, 3, out_of=5)
    assert run(store, settings, ON, deliver=False).unusual == [moved]
    assert run(store, settings, ON + timedelta(days=1), deliver=False).unusual == []
    with store.read() as connection:
        assert noticed(connection, ON) == [moved]


@pytest.mark.usefixtures("_boxes")
@pytest.mark.parametrize(
    ("number", "days", "overwrite"),
    [(2, 30, True), (3, 30, False), (3, 0, True)],
    ids=["few", "not overwritten", "not moved"],
)
def test_others_are_not(
    store: Store, settings: Settings, tmp_path: Path, number: int, days: int, *, overwrite: bool
) -> None:
    folder = file_of(tmp_path, number, E - timedelta(days=days))

    assert bring_in(store, settings, folder, overwrite=overwrite) is None
    assert written(store) == 0


@pytest.mark.usefixtures("_boxes")
def test_a_dry_run_notices_it_and_keeps_nothing(store: Store, settings: Settings, tmp_path: Path) -> None:
    folder = file_of(tmp_path, 4, E + timedelta(days=30))

    assert bring_in(store, settings, folder, dry_run=True) == Unusual(ON, IMPORT, MOVED, 4, out_of=5)
    assert written(store) == 0


def written(store: Store) -> int:
    with store.read() as connection:
        return len(connection.scalars(select(unusual_figures.c.id)).all())
