"""No statement of a day reads a large table whole, as far as a few boxes can tell.

SQLite chooses by its rules and what it knows of the values, so some thousand boxes show what it does with millions.
PostgreSQL weighs by size: `tests/soak/test_plans.py` asks it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plans import Plan, plans_of_a_day, provider, require_none_read_whole


@pytest.mark.parametrize("analysed", [True, False])
def test_no_statement_of_a_day_reads_a_large_table_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, analysed: bool
) -> None:
    with provider("sqlite", 10_000, tmp_path, monkeypatch, analysed=analysed) as store:
        plans = plans_of_a_day(store)

    require_none_read_whole(plans)


@pytest.mark.parametrize(
    ("dialect", "steps", "read_whole"),
    [
        ("sqlite", "SCAN boxes", ["boxes"]),
        ("sqlite", "SCAN boxes USING COVERING INDEX ix_boxes_plan", ["boxes"]),
        ("sqlite", "SCAN charges USING INDEX ix_charges_unapplied", []),
        ("sqlite", "SEARCH boxes USING INDEX ix_boxes_active_by_expiry (expires_on<?)\nSCAN events", ["events"]),
        ("postgresql", "Hash Join\n  ->  Parallel Seq Scan on boxes  (cost=0.00..6478.15 rows=1)", ["boxes"]),
        ("postgresql", "Hash Join\n  ->  Seq Scan on charges charges_1  (cost=0.00..3175.94)", ["charges"]),
        ("postgresql", "Seq Scan on parked_rows  (cost=0.00..0.00 rows=1 width=0)", []),
        ("postgresql", "Index Scan using pk_boxes on boxes  (cost=0.42..8.44 rows=1)", []),
    ],
)
def test_a_plan_that_reads_a_large_table_whole_is_recognised(dialect: str, steps: str, read_whole: list[str]) -> None:
    assert Plan(dialect, "SELECT …", steps).read_whole == read_whole


def test_a_plan_that_does_fails_with_its_statement() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"(?s)reads all of boxes.*SELECT 1 FROM boxes.*SCAN boxes"):
        require_none_read_whole([Plan("sqlite", "SELECT 1 FROM boxes", "SCAN boxes")])
