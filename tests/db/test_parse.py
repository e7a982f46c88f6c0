from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle_jobs.db.transfer.columns import BOXES, CUSTOMERS, INPUT_FILES, InputFile
from lifecycle_jobs.db.transfer.parse import Piece, Reader
from lifecycle_jobs.db.transfer.problems import Problems
from lifecycle_jobs.db.transfer.rules import rules_of
from lifecycle_jobs.db.transfer.writing import csv_line
from tests.db.folders import addon, box, customer, method
from tests.factories import CATALOG

SAMPLES = {"customers": customer(), "payment_methods": method(), "boxes": box(), "addons": addon()}

ODD = st.sampled_from(
    [
        *("", " ", "x", "a b", " a", "a ", "\t", "\n", "\0", '"', "\\N", "\u2028", "\u00a0", "\x85"),
        *("a@b", "a,b@c", "a@b@c", "À@b.it", "İ@x.it", "it", "card", "credit", "true", "deleted", "suspended"),
        *("1", "0", "5", "6", "13", "99999999999", "4242", "8.48", "8,48", "pro", "none", "unpaid"),
        *("2027-03-31", "2027-02-30", "1899-01-01"),
    ]
)


@given(st.data())
def test_a_piece_is_read_at_once_as_it_would_be_row_by_row(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(INPUT_FILES))
    changed = st.dictionaries(st.sampled_from(file.header), ODD, max_size=2)
    rows = [SAMPLES[file.table] | cells for cells in data.draw(st.lists(changed, max_size=4))]
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    lines = [csv_line(list(file.header)), *(csv_line([row.get(name, "") for name in file.header]) for row in rows)]
    content = "".join(lines).replace("\r\n", "\n").replace("\n", ending).encode()
    at_once, told_at_once = read(file, content)
    row_by_row, told = read(file, content, always_row_by_row=True)
    assert (at_once, told_at_once) == (row_by_row, told)


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_the_last_line_may_end_or_not(ending: str) -> None:
    found, told = read(CUSTOMERS, b"customer_id,name,email,locale\nc1,M,m@x.it,it\nc2,A,a@x.it,it" + ending.encode())
    assert ([row["line"] for row in found], told) == ([2, 3], [])


def test_lines_are_counted_on_where_a_row_goes_on_over_the_end_of_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle_jobs.db.transfer.parse._PIECE", 2)
    content = (
        b'customer_id,name,email,locale\nc1,M,m@x.it,it\nc2,"A\n\nB",a@x.it,it\nc3,C,c@x.it,it\n\nc4,D,d@x.it,xx\n'
    )
    found, told = read(CUSTOMERS, content)
    assert [(row["line"], row["customer_id"]) for row in found] == [(2, "c1"), (3, "c2"), (6, "c3"), (8, "c4")]
    assert told == ['customers.csv, line 8, locale: not one of it, en "xx"']


def test_columns_that_no_row_can_have_are_left_out_of_every_piece() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / BOXES.name
        path.write_text("".join(csv_line(cells) for cells in (list(box()), list(box().values()))))
        (piece,) = Reader(BOXES, path, rules_of(CATALOG)["boxes"], Problems()).pieces()
    assert "hold_reason" not in piece.columns
    assert {"address_key", "suspended_on"} <= piece.columns.keys()


def read(file: InputFile, content: bytes, *, always_row_by_row: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows with their lines, and what is told of them."""
    problems = Problems()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_bytes(content)
        with patch.object(Reader, "_at_once", return_value=None) if always_row_by_row else nullcontext():
            pieces = list(Reader(file, path, rules_of(CATALOG)[file.table], problems).pieces())
    rows = [row for piece in pieces for row in rows_of(piece)]
    return rows, [str(problem) for problem in problems._told]


def rows_of(piece: Piece) -> list[dict[str, Any]]:
    return [
        {"line": line} | {column: values[number] for column, values in piece.columns.items()}
        for number, line in enumerate(piece.lines)
    ]
