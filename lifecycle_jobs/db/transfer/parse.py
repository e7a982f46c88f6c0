"""A file of the import, read piece by piece: only a few thousand lines of it are ever in memory (SPEC §6).

A piece in which nothing is wrong, and in which every line is a row, is read column by column. Any other is read row by
row, by rules that are the same; that is where words are found for what is wrong.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from lifecycle_jobs.db.transfer.at_once import read_column
from lifecycle_jobs.db.transfer.cells import BadCellError, Value
from lifecycle_jobs.db.transfer.columns import InputFile
from lifecycle_jobs.db.transfer.problems import Problem, Problems
from lifecycle_jobs.db.transfer.rules import Complaint, Row, Rules, without_case

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PIECE = 2_000  # lines; twice as many no longer fit into a processor's cache, and take half as long again


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows that follow each other: the lines on which they begin, and the values by column of the table.

    Columns of which neither the file nor what follows from it says anything are left out, in every piece of a file.
    """

    lines: Sequence[int]
    columns: dict[str, Sequence[Value]]


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
        self._columns = [*(field.column for field in file.fields), *rules.without_case.values()]
        self._filled: Sequence[str] = self._columns

    def pieces(self) -> Iterator[Piece]:
        """The rows in the order of the file; a value that could not be read is none."""
        with self._path.open("rb") as file:
            lines = _Lines(file)
            header = self._header(lines)
            self._filled = self._columns_filled(header)
            clear = self._is_clear(header)
            while raw := lines.take(_PIECE):
                first = lines.taken - len(raw) + 1
                piece = self._at_once(raw, first, header) if clear else None
                if piece is None:
                    lines.put_back(raw)
                    piece = self._row_by_row(lines, len(raw), header)
                yield piece

    def _header(self, lines: _Lines) -> list[str]:
        try:
            header = next(csv.reader(self._decoded(lines), strict=True), [])
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

    def _columns_filled(self, header: list[str]) -> Sequence[str]:
        given = {field.column for name, field in self._fields.items() if name in header}
        by_rules = {*self._rules.fills_in, *self._rules.without_case.values()}
        return [column for column in self._columns if column in given | by_rules]

    def _is_clear(self, header: list[str]) -> bool:
        """Whether the header row says of each column, once, what it is, and no column that is needed is missing."""
        needed = {field.name for field in self._file.fields if field.required}
        return len(set(header)) == len(header) and needed <= set(header) <= self._fields.keys()

    def _at_once(self, raw: Sequence[bytes], first: int, header: list[str]) -> Piece | None:
        """The rows of these lines, or none if they have to be read one by one."""
        try:
            cells = dict(zip(header, _in_columns(raw, len(header)), strict=True))
            columns: dict[str, Sequence[Value]] = {}
            for field in self._file.fields:
                in_file = field.name in cells
                columns[field.column] = read_column(field, cells[field.name]) if in_file else [None] * len(raw)
        except (UnicodeDecodeError, csv.Error, BadCellError, ValueError):
            return None
        if not self._judged_at_once(columns):
            return None
        for column, key in self._rules.without_case.items():
            columns[key] = [None if text is None else without_case(str(text)) for text in columns[column]]
        return Piece(range(first, first + len(raw)), {column: columns[column] for column in self._filled})

    def _judged_at_once(self, columns: dict[str, Sequence[Value]]) -> bool:
        """Whether the rules have nothing to say against any row; what they fill in stands in the columns then."""
        rules = self._rules
        if not rules.looks_at:
            return True
        present: list[Sequence[Value]] = [[value is not None or None for value in columns[c]] for c in rules.asks_for]
        looked_at = list(zip(*(columns[column] for column in rules.looks_at), *present, strict=True))
        filled_in: dict[tuple[Value, ...], tuple[Value, ...]] = {}
        for one in set(looked_at):
            row: Row = dict(zip((*rules.looks_at, *rules.asks_for), one, strict=True))
            if any(True for _complaint in rules.judge(row)):
                return False
            filled_in[one] = tuple(row[column] for column in rules.fills_in)
        for position, column in enumerate(rules.fills_in):
            columns[column] = [filled_in[one][position] for one in looked_at]
        return True

    def _row_by_row(self, lines: _Lines, at_least: int, header: list[str]) -> Piece:
        """The rows that begin on so many lines; the last of them may go on after these."""
        until = lines.taken + at_least
        reader = csv.reader(self._decoded(lines), strict=True)
        numbers: list[int] = []
        rows: list[Row] = []
        while lines.taken < until:
            line = lines.taken + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                self.whole = False
                self._tell(line, "", f"not a row of a CSV file: {error}")
                continue
            if cells:
                numbers.append(line)
                rows.append(self._row(line, cells, header))
        return Piece(numbers, {column: [row[column] for row in rows] for column in self._filled})

    def _decoded(self, lines: _Lines) -> Iterator[str]:
        while raw := lines.take(1):
            try:
                yield raw[0].decode()
            except UnicodeDecodeError as error:
                self._tell(lines.taken, "", f"not UTF-8 at byte {error.start + 1} of the line")
                yield raw[0].decode(errors="replace")

    def _row(self, line: int, cells: list[str], header: list[str]) -> Row:
        row: Row = dict.fromkeys(self._columns)
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
        for column, key in self._rules.without_case.items():
            text = row[column]
            row[key] = None if text is None else without_case(str(text))
        complaints.extend(self._rules.judge(row))
        if len(cells) != len(header):
            # The values stand under the wrong headings then: one problem, not twenty.
            complaints = [("", f"{len(cells)} values, but {len(header)} headings")] if header else []
        for name, complaint in complaints:
            self._tell(line, name, complaint)
        return row

    def _tell(self, line: int, column: str, reason: str) -> None:
        self._problems.add(Problem(self._file.name, line, column, reason))


def _in_columns(raw: Sequence[bytes], width: int) -> Sequence[Sequence[str]]:
    """The cells of these lines by column. Raises ValueError or csv.Error unless each is a row of so many cells."""
    text = b"".join(raw).decode()
    if '"' in text or len(max(raw, key=len)) > csv.field_size_limit():
        rows = list(csv.reader(map(bytes.decode, raw), strict=True))
        if len(rows) != len(raw) or len(rows[0]) != width:
            raise ValueError("a line is not a row")
        return list(zip(*rows, strict=True))
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        raise ValueError("a row ends within a line")
    # Without quotes a cell is what stands between two commas, and the line breaks show where each row ends.
    cells = text.removesuffix("\n").replace("\n", ",\n,").split(",")
    cells.append("\n")
    if len(cells) != len(raw) * (width + 1) or cells[width :: width + 1].count("\n") != len(raw):
        raise ValueError("a line is not a row of so many cells")
    return [cells[position :: width + 1] for position in range(width)]


class _Lines:
    """The lines of a file, from which some can be taken and put back."""

    def __init__(self, file: BinaryIO) -> None:
        self.taken = 0
        self._file = file
        self._again: deque[bytes] = deque()

    def take(self, most: int) -> Sequence[bytes]:
        """So many lines, or as many as there are left."""
        taken = [self._again.popleft() for _ in range(min(most, len(self._again)))]
        taken += islice(self._file, most - len(taken))
        if self.taken == 0 and taken:
            taken[0] = taken[0].removeprefix(_BYTE_ORDER_MARK)
        self.taken += len(taken)
        return taken

    def put_back(self, lines: Sequence[bytes]) -> None:
        """These will be the next to be taken."""
        self._again.extendleft(reversed(lines))
        self.taken -= len(lines)
