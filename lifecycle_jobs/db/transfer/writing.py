"""CSV files that are there either whole or not at all (SPEC §6).

Cells are written as they are, also those that a spreadsheet would take for a formula: what `export` writes, `import`
must read back unchanged. The files hold personal data and tokens, so only their owner may read them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_QUOTE_FOR = ',"\r\n'
_BUFFER = 1 << 20


class Folder:
    """A folder to which a set of files is added together, when the block ends without an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished: dict[str, Path] = {}

    def __enter__(self) -> Self:
        self._path.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
        """Write one file under a name of its own for now; returns how many rows it has."""
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=self._path, prefix=f".{name}.", delete=False, buffering=_BUFFER
        ) as file:
            self._unfinished[name] = Path(file.name)
            file.write(csv_line(header))
            number = sum(1 for _ in map(file.write, map(csv_line, rows)))
            file.flush()
            os.fsync(file.fileno())
        return number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for unfinished in self._unfinished.values():
                unfinished.unlink(missing_ok=True)
            return
        for name, unfinished in self._unfinished.items():
            unfinished.rename(self._path / name)
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def csv_line(cells: Sequence[str]) -> str:
    """One row, with quotes only where they are needed, and its line end.

    Not the standard library's writer: it leaves a lone carriage return unquoted, which no reader takes for text.
    """
    line = ",".join(cells)
    if '"' in line or "\n" in line or "\r" in line or line.count(",") >= len(cells):
        line = ",".join(_quoted(cell) for cell in cells)
    return f"{line}\n"


def _quoted(cell: str) -> str:
    if any(character in cell for character in _QUOTE_FOR):
        return '"' + cell.replace('"', '""') + '"'
    return cell
