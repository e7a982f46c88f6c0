"""The cost of a day follows what is due on it: no large table is read whole. Takes minutes: `make soak`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle_jobs import day
from lifecycle_jobs.engines import Seat
from lifecycle_jobs.jobs import worker
from lifecycle_jobs.settings import WorkersSettings
from tests.bench.databases import KINDS
from tests.plans import plans_of_a_day, provider, require_none_read_whole

BOXES = 200_000


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_no_statement_of_a_day_reads_a_large_table_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider(kind, BOXES, tmp_path, monkeypatch) as store:
        plans = plans_of_a_day(store)

    require_none_read_whole(plans)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_nor_does_any_statement_of_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def one_thread(_workers: WorkersSettings) -> Iterator[list[Seat]]:
        with ThreadPoolExecutor(1) as pool:
            yield [Seat("a thread", pool, lambda: None)]

    monkeypatch.setenv("LIFECYCLE_DATABASE__CHUNK_SIZE", "50")
    monkeypatch.setattr(day, "take_seats", one_thread)
    with provider("postgresql", BOXES, tmp_path, monkeypatch) as store:
        monkeypatch.setattr(worker, "open_store", lambda _url, **_settings: store)
        plans = plans_of_a_day(store)

    assert len([plan for plan in plans if "SKIP LOCKED" in plan.statement and "boxes" in plan.statement]) >= 3
    require_none_read_whole(plans)
