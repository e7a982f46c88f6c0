"""A whole column of cells at once: what reading them one by one would give, for a fraction of the work (SPEC §6).

Nothing is decided here. A column of few different values has each of them read once; a column in which hardly any
value comes twice is looked at as one text, and only where that does not settle it is every cell read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lifecycle_jobs.db.transfer import cells
from lifecycle_jobs.db.transfer.cells import BadCellError, Read, Value
from lifecycle_jobs.db.transfer.columns import Field

_BETWEEN: Final = ","
_MAIL_ADDRESSES: Final = re.compile(r"[^@,]+@[^@,]+(?:,[^@,]+@[^@,]+)*")


def read_column(field: Field, column: Sequence[str]) -> Sequence[Value]:
    """The values of the cells of a column, empty ones included. Raises BadCellError if any of them is bad."""
    holes = "" in column
    if holes and field.required:
        raise BadCellError("must not be empty")
    filled = [cell for cell in column if cell] if holes else column
    if _stands_as_it_is(field.read, filled):
        return [cell or None for cell in column] if holes else column
    values: dict[str, Value] = {cell: field.read(cell) for cell in set(filled)}
    values[""] = None
    return [values[cell] for cell in column]


def _stands_as_it_is(read: Read, column: Sequence[str]) -> bool:
    """Whether it is plain at first sight that all of these cells are good, and that each is its own value."""
    look = _AT_FIRST_SIGHT.get(read)
    return look is not None and look(_BETWEEN.join(column), len(column))


def _holds_no_nul(joined: str, _cells: int) -> bool:
    return "\0" not in joined


def _is_printable_ascii(joined: str, _cells: int) -> bool:
    return joined.isascii() and joined.isprintable() and " " not in joined


def _are_mail_addresses(joined: str, cells: int) -> bool:
    return (
        _is_printable_ascii(joined, cells)
        and joined.count(_BETWEEN) == cells - 1
        and _MAIL_ADDRESSES.fullmatch(joined) is not None
    )


_AT_FIRST_SIGHT: Final[Mapping[Read, Callable[[str, int], bool]]] = {
    cells.free_text: _holds_no_nul,
    cells.identifier: _is_printable_ascii,
    cells.mail_address: _are_mail_addresses,
}
"""For texts that hardly ever come twice: given all of them joined by commas, and how many they are."""
