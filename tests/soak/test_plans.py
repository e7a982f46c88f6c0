"""The cost of a day follows what is due on it: no large table is read whole. Takes minutes: `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

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
