"""Plans in files: read as they were written, for their owner only, and not for ever."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
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
    # Of a process that was killed while it kept a plan.
    unfinished = folder / f".2026-01-01-{HASH}.jsonl.gz.x1y2"
    unfinished.write_bytes(b"half")
    os.utime(unfinished, (0, 0))

    plan_file.forget(plan_file.no_longer_kept(folder, ON, 30))

    assert sorted(path.name for path in folder.iterdir()) == [
        f"2027-03-01-{HASH}.jsonl.gz",
        f"2027-03-02-{HASH}.jsonl.gz",
        "mine.jsonl.gz",
    ]


def test_the_plan_of_a_date_long_past_is_kept_for_as_long_after_it_was_made(written: Path, tmp_path: Path) -> None:
    plan_file.keep(tmp_path / "plans", ON - timedelta(days=300), HASH, written)
    (kept,) = (tmp_path / "plans").iterdir()
    made = datetime(2027, 3, 31, 12, tzinfo=UTC).timestamp()
    os.utime(kept, (made, made))

    plan_file.forget(plan_file.no_longer_kept(tmp_path / "plans", ON + timedelta(days=30), 30))
    assert kept.exists()

    plan_file.forget(plan_file.no_longer_kept(tmp_path / "plans", ON + timedelta(days=31), 30))
    assert not kept.exists()


def test_a_scratch_file_is_gone_after_its_block() -> None:
    with plan_file.scratch_file() as path:
        assert path.is_file()
    assert not path.exists()


class TestPages:
    @pytest.fixture
    def many(self) -> list[Action]:
        """Every seventh is a deletion; each box has its number."""
        return [
            Action(
                "delete" if number % 7 == 0 else "suspend",
                _what(number),
                number,
                f"B{number}@pec.it",
                "c1",
                None,
                ON,
                {},
            )
            for number in range(2500)
        ]

    @pytest.fixture
    def blocks(self, many: list[Action], tmp_path: Path) -> Sequence[plan_file.Block]:
        return plan_file.write_actions(tmp_path / "many", many)

    @pytest.mark.parametrize("place", [0, 1, 999, 1000, 1001, 2499, 2500, 9999])
    def test_reading_begins_at_any_place(
        self, many: list[Action], blocks: Sequence[plan_file.Block], tmp_path: Path, place: int
    ) -> None:
        found = list(plan_file.read_from(tmp_path / "many", blocks, place, None))

        assert found == list(enumerate(many))[place:]

    @pytest.mark.parametrize("place", [0, 1400, 1401])
    def test_one_kind_alone_is_read(self, blocks: Sequence[plan_file.Block], tmp_path: Path, place: int) -> None:
        found = list(plan_file.read_from(tmp_path / "many", blocks, place, "box.deleted"))

        assert [number for number, _ in found] == [number for number in range(0, 2500, 7) if number >= place]
        assert {action.what for _, action in found} == {"box.deleted"}

    def test_one_box_is_found_in_whatever_case(
        self, many: list[Action], blocks: Sequence[plan_file.Block], tmp_path: Path
    ) -> None:
        assert list(plan_file.read_of_box(tmp_path / "many", blocks, "b1234@PEC.it")) == [many[1234]]
        assert list(plan_file.read_of_box(tmp_path / "many", blocks, "nobody@pec.it")) == []

    def test_nothing_is_read_of_an_empty_plan(self, tmp_path: Path) -> None:
        blocks = plan_file.write_actions(tmp_path / "none", [])

        assert list(plan_file.read_from(tmp_path / "none", blocks, 0, None)) == []
        assert list(plan_file.read_actions(tmp_path / "none")) == []


def _what(number: int) -> str:
    return "box.deleted" if number % 7 == 0 else "box.suspended"
