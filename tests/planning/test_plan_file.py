"""Plans in files: read as they were written, for their owner only, and not for ever."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.planning import plan_file

ON = date(2027, 3, 31)
HASH = "0123456789abcdef"
ACTIONS = [
    Action("suspend", "box.suspended", 2, "b@pec.it", "c1", None, ON, {"reason": "unpaid"}),
    Action("reconcile_charges", "credit.topped_up", None, None, "c1", None, None, {"amount": "9.90", "by": "Nicolò"}),
]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    plan_file.write_actions(path, ACTIONS)
    return path


def test_actions_are_read_as_they_were_written(written: Path) -> None:
    assert list(plan_file.read_actions(written)) == ACTIONS


def test_a_plan_is_found_by_its_date_and_hash(written: Path, tmp_path: Path) -> None:
    plan_file.keep(tmp_path / "plans", ON, HASH, written)

    found = plan_file.find(tmp_path / "plans", ON, HASH)
    assert found is not None
    assert list(plan_file.read_actions(found)) == ACTIONS
    assert plan_file.find(tmp_path / "plans", ON + timedelta(days=1), HASH) is None
    assert plan_file.find(tmp_path / "plans", ON, "../../scratch") is None


def test_only_its_owner_may_read_it(written: Path, tmp_path: Path) -> None:
    plan_file.keep(tmp_path / "plans", ON, HASH, written)

    (kept,) = (tmp_path / "plans").iterdir()
    assert kept.stat().st_mode & 0o077 == 0


def test_plans_are_forgotten_after_their_days_and_other_files_are_left_alone(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    for age in (29, 30, 31):
        plan_file.keep(folder, ON - timedelta(days=age), HASH, written)
    (folder / "mine.jsonl.gz").write_text("not a plan")

    plan_file.forget(folder, ON, 30)

    assert sorted(path.name for path in folder.iterdir()) == [
        f"2027-03-01-{HASH}.jsonl.gz",
        f"2027-03-02-{HASH}.jsonl.gz",
        "mine.jsonl.gz",
    ]


def test_a_scratch_file_is_gone_after_its_block() -> None:
    with plan_file.scratch_file() as path:
        assert path.is_file()
    assert not path.exists()
