"""A file of the import, read row by row: only one row of it is ever in memory (SPEC §6)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from lifecycle_jobs.db.transfer.cells import BadCellError
from lifecycle_jobs.db.transfer.columns import InputFile
from lifecycle_jobs.db.transfer.problems import Problem, Problems
from lifecycle_jobs.db.transfer.rules import Complaint, Row, Rules

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Reader:
    """Reads one file, and tells its problems as it goes."""

    def __init__(self, file: InputFile, path: Path, rules: Rules, problems: Problems) -> None:
        self.whole = True
        """Whether every row could be told from the next; if not, what seems to be missing may be there."""
        self._file = file
        self._path = path
        self._rules = rules
        self._problems = problems
        self._fields = {field.name: field for field in file.fields}
        self._columns = ["line", *(field.column for field in file.fields)]

    def rows(self) -> Iterator[Row]:
        """The rows in the order of the file, with their line; a value that could not be read is none."""
        lines = self._lines()
        reader = csv.reader(lines, strict=True)
        header = self._header(reader)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.whole = False
                self._tell(line, "", f"not a row of a CSV file: {error}")
                continue
            if cells:
                yield self._row(line, cells, header)

    def _lines(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
                try:
                    yield line.decode()
                except UnicodeDecodeError as error:
                    self._tell(number, "", f"not UTF-8 at byte {error.start + 1} of the line")
                    yield line.decode(errors="replace")

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = next(reader, [])
        except csv.Error as error:
            self._tell(1, "", f"not a row of a CSV file: {error}")
            header = []
        known = self._fields.keys()
        if known.isdisjoint(header):
            # The first row is not quoted: it may well be the data of a holder.
            self.whole = False
            self._tell(1, "", f"not a header row; the columns are {', '.join(self._file.header)}")
            return []
        for position, name in enumerate(header):
            if name not in known:
                self._tell(1, "", f'unknown column "{name[:40]}"; known are {", ".join(self._file.header)}')
            elif name in header[:position]:
                self._tell(1, name, "this column stands here twice")
        for field in self._file.fields:
            if field.required and field.name not in header:
                self.whole = False
                self._tell(1, field.name, "this column is missing")
        return header

    def _row(self, line: int, cells: list[str], header: list[str]) -> Row:
        row: Row = dict.fromkeys(self._columns)
        row["line"] = line
        complaints: list[Complaint] = []
        for name, cell in zip(header, cells, strict=False):
            field = self._fields.get(name)
            if field is None:  # an unknown column has been told once, at the header row
                continue
            if cell:
                try:
                    row[field.column] = field.read(cell)
                except BadCellError as error:
                    complaints.append((name, str(error)))
            elif field.required:
                complaints.append((name, "must not be empty"))
        complaints.extend(self._rules(row))
        if len(cells) != len(header):
            # The values stand under the wrong headings then: one problem, not twenty.
            complaints = [("", f"{len(cells)} values, but {len(header)} headings")] if header else []
        for name, complaint in complaints:
            self._tell(line, name, complaint)
        return row

    def _tell(self, line: int, column: str, reason: str) -> None:
        self._problems.add(Problem(self._file.name, line, column, reason))
