"""What is wrong with the files of an import, gathered so that all of it can be told at once (SPEC §6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lifecycle_jobs.db.transfer.columns import INPUT_FILES
from lifecycle_jobs.errors import LifecycleError

MOST_TOLD = 50
"""How many problems are told one by one; of the others only the number."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One bad value. Line 1 is the header row; the column is empty where the whole line is meant."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}"
        return f"{place}, {self.column}: {self.reason}" if self.column else f"{place}: {self.reason}"


class ImportRefused(LifecycleError):
    """The files hold bad values, and so nothing was imported: the first problems, and how many there are."""

    def __init__(self, problems: Sequence[Problem], total: int) -> None:
        self.problems = tuple(problems)
        self.total = total
        lines = [f"Nothing was imported: {total} bad value{'s' if total > 1 else ''}.", *map(str, problems)]
        if total > len(problems):
            lines.append(f"… and {total - len(problems)} more.")
        super().__init__("\n".join(lines))


class Problems:
    """Collects problems in bounded memory: per source the first ones, and the number of all."""

    def __init__(self) -> None:
        self.total = 0
        self._told: list[Problem] = []
        self._told_of: dict[str, int] = {}

    def add(self, problem: Problem) -> None:
        """Note a problem found while reading: those of one file come in the order of its lines."""
        self.total += 1
        told = self._told_of.get(problem.file, 0)
        if told < MOST_TOLD:
            self._told_of[problem.file] = told + 1
            self._told.append(problem)

    def extend(self, first: Iterable[Problem], total: int) -> None:
        """Note what one check found: its first problems in the order of lines, and how many it found."""
        self.total += total
        self._told.extend(first)

    def refuse_if_any(self) -> None:
        """Raise ImportRefused with the first problems, file by file in the order of lines."""
        if self.total:
            raise ImportRefused(sorted(self._told, key=_place)[:MOST_TOLD], self.total)


_FILE_ORDER = {file.name: position for position, file in enumerate(INPUT_FILES)}
_COLUMN_ORDER = {
    (file.name, field.name): position for file in INPUT_FILES for position, field in enumerate(file.fields)
}


def _place(problem: Problem) -> tuple[int, int, int]:
    column = _COLUMN_ORDER.get((problem.file, problem.column), -1)
    return _FILE_ORDER[problem.file], problem.line, column
