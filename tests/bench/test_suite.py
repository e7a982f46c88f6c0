"""The suite's files and its exit code; the figures themselves are made on a quiet machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.bench import parts, suite
from tests.bench.cells import DAYS, Cell, matrix
from tests.bench.page import page
from tests.bench.record import Record, Records, merge, read, record
from tests.bench.targets import targets

SMALL = Cell("day", "sqlite", "same-due", 100_000)
LARGE = Cell("day", "sqlite", "same-due", 10_000_000)


def a_day(cell: Cell, seconds: float, *, peak_mib: float = 150.0, wrong: tuple[str, ...] = ()) -> Record:
    figures: dict[str, Any] = {
        "rows": 5,
        "load": 1.0,
        "jobs": {"suspend": {"rows": 1234, "seconds": 1.5}},
        "e_mails": 7,
        "compose": 0.1,
        "deliver": 0.2,
        "day": seconds,
        "peak_mib": peak_mib,
    }
    return record(cell, "SQLite 3", figures, wrong)


def by_cell(*records: Record) -> Records:
    return {each.cell: each for each in records}


def test_every_cell_of_the_matrix_is_on_the_page_before_anything_is_measured() -> None:
    lines = page({}).splitlines()

    rows = [line for line in lines if line.startswith("| ") and "not measured" in line]
    assert len(rows) == len(list(matrix())) + len(list(targets({})))
    for day in DAYS:
        assert f"### {day}" in lines
    assert "| 10,000,000 | PostgreSQL | 2 | not measured |  |  |  |  |  |  |  |  |  |  |" in lines


def test_a_measured_cell_shows_its_figures_and_the_others_stay_unmeasured() -> None:
    shown = page(by_cell(a_day(SMALL, 12.3)))

    assert "| 100,000 | SQLite | 1 | 1 (5) |" in shown
    assert "| 1.5 (1,234) | 0.0 (0) | 0.0 (0) | 0.1 (7) | 0.2 | 12.3 | 150 |" in shown
    assert "| 100,000 | PostgreSQL | 1 | not measured |" in shown


def test_results_are_merged_into_what_is_there_and_the_latest_of_a_cell_counts(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.json"

    merge(file, a_day(SMALL, 10.0))
    merge(file, a_day(LARGE, 13.0))
    merge(file, a_day(SMALL, 11.0))

    assert {cell: each.figures["day"] for cell, each in read(file).items()} == {SMALL: 11.0, LARGE: 13.0}
    assert [each.name for each in tmp_path.iterdir()] == ["benchmarks.json"]


@pytest.mark.parametrize(("seconds", "reached"), [(12.9, True), (13.1, False)])
def test_ten_million_boxes_may_cost_a_third_more_than_a_hundred_thousand(seconds: float, *, reached: bool) -> None:
    found = targets(by_cell(a_day(SMALL, 10.0), a_day(LARGE, seconds)))

    (target,) = (each for each in found if each.what.startswith("the same due") and each.what.endswith("sqlite"))
    assert (target.wanted, target.reached) == ("≤ 1.3", reached)


def test_one_day_above_the_limit_of_memory_is_enough_and_one_below_it_is_not() -> None:
    def of_memory(peak_mib: float) -> bool | None:
        found = targets(by_cell(a_day(SMALL, 10.0, peak_mib=peak_mib)))
        return next(each.reached for each in found if each.what.startswith("peak memory"))

    assert (of_memory(201.0), of_memory(199.0)) == (False, None)


def test_a_wrong_cell_proves_nothing() -> None:
    records = by_cell(a_day(SMALL, 10.0), a_day(LARGE, 11.0, wrong=("suspend box.suspended: 2 due, 1 done",)))

    shown = page(records)
    assert "**wrong**: 11.0" in shown
    assert "- day, same-due, SQLite, 10,000,000: suspend box.suspended: 2 due, 1 done" in shown
    assert (
        "| the same due among 10,000,000 boxes against 100,000, sqlite | ≤ 1.3 | not measured | not measured |" in shown
    )


def test_a_figure_that_an_older_record_does_not_have_is_not_measured() -> None:
    older = record(Cell("workers", "postgresql", "4", workers=2), "PostgreSQL 18", {"rows": 9, "one": 2.0, "two": 3.0})

    assert "| PostgreSQL | 4 | 9 | not measured | 2 | 3 | 1.50 | not measured | not measured |" in page(by_cell(older))


@pytest.mark.parametrize(("rows", "reached"), [(200_000, True), (2_000, None)])
def test_a_ratio_of_few_rows_reaches_nothing(rows: int, reached: bool | None) -> None:  # noqa: FBT001 -- parametrized
    cell = Cell("jobs", "sqlite", "suspend")
    found = targets(by_cell(record(cell, "SQLite 3", {"rows": rows, "here": 9.0, "by_hand": 10.0, "loop": 0.1})))

    assert next(each.reached for each in found if each.what == "suspend, sqlite: against SQL by hand") == reached


@pytest.fixture
def on_these_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test run has its servers already."""
    monkeypatch.setattr(servers, "begin", lambda: None)
    monkeypatch.setattr(servers, "end", lambda: None)


@pytest.mark.usefixtures("on_these_servers")
def test_a_small_provider_goes_through_the_suite_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.json"
    chosen = ["--parts", "day", "--boxes", "2000", "--databases", "sqlite", "--days", "same-due"]

    code = suite.main([*chosen, "--into", str(tmp_path)])

    (found,) = read(file).values()
    assert (code, found.wrong, found.cell) == (0, (), Cell("day", "sqlite", "same-due", 2_000))
    assert {job: done["rows"] for job, done in found.figures["jobs"].items() if done["rows"]} == {
        "auto_renew": 50,
        "suspend": 50,
        "delete": 50,
        "send_alerts": 50,
    }
    assert "| 2,000 | SQLite | 1 |" in (tmp_path / "BENCHMARKS.md").read_text()


@pytest.mark.usefixtures("on_these_servers")
def test_a_wrong_count_and_a_cell_that_breaks_end_with_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measured(cell: Cell, _rows: int | None, _progress: object) -> Record:
        asked.append(cell.variant)
        if cell.variant == "normal":
            raise OSError("no space left")
        return a_day(cell, 1.0, wrong=("e-mails: 2 due, 1 written",) if cell.variant == "downtime" else ())

    monkeypatch.setattr(suite, "MEASURES", {**parts.MEASURES, "day": measured})
    file = tmp_path / "benchmarks.json"
    chosen = ["--parts", "day", "--boxes", "2000", "--databases", "sqlite", "--into", str(tmp_path)]

    assert suite.main(chosen) == 1
    assert {cell.variant: each.wrong for cell, each in read(file).items() if each.wrong} == {
        "normal": ("OSError: no space left",),
        "downtime": ("e-mails: 2 due, 1 written",),
    }

    asked.clear()
    assert suite.main([*chosen, "--missing"]) == 1
    assert asked == ["normal", "downtime"], "what was measured rightly is not measured again"
