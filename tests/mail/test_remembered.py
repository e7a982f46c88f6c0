"""What was worked out for a line is worked out once, and never fills the memory."""

from __future__ import annotations

from lifecycle_jobs.mail import remembered
from lifecycle_jobs.mail.remembered import Remembered


def test_a_line_is_worked_out_once() -> None:
    asked: list[str] = []

    def work_out(line: str) -> str:
        asked.append(line)
        return line.upper()

    upper = Remembered(work_out)

    assert [upper["a"], upper["b"], upper["a"]] == ["A", "B", "A"]
    assert asked == ["a", "b"]


def test_a_very_long_line_is_not_kept() -> None:
    upper = Remembered(str.upper)

    assert upper["x" * 501] == "X" * 501
    assert upper["x" * 500] == "X" * 500
    assert list(upper) == ["x" * 500]


def test_however_many_lines_come_by_few_are_kept() -> None:
    upper = Remembered(str.upper)
    for number in range(3 * remembered._MOST):
        assert upper[f"line {number}"] == f"LINE {number}"
        assert len(upper) <= remembered._MOST
