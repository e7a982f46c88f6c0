"""Folders with the files of an import, for tests: each row says what matters, the rest is a plain default."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.transfer.columns import INPUT_FILES
from lifecycle_jobs.db.transfer.load import ImportReport, import_directory
from lifecycle_jobs.db.transfer.problems import ImportRefused
from lifecycle_jobs.db.transfer.unload import ExportReport, export_directory
from lifecycle_jobs.db.transfer.writing import csv_line
from tests.factories import CATALOG

TODAY = date(2026, 11, 22)

Row = dict[str, str]

INPUT_NAMES = tuple(file.name for file in INPUT_FILES)


def customer(**cells: str) -> Row:
    return {"customer_id": "c1", "name": "Mario Rossi", "email": "c1@example.it", "locale": "it"} | cells


def method(**cells: str) -> Row:
    return {"payment_method_id": "pm1", "customer_id": "c1", "kind": "card", "token": "pm_card_visa"} | cells


def box(**cells: str) -> Row:
    return {
        "address": "mario@pec.example.it",
        "customer_id": "c1",
        "plan": "standard",
        "status": "active",
        "expires_on": "2027-03-31",
        "renewal_years": "1",
        "auto_renew": "false",
    } | cells


def addon(**cells: str) -> Row:
    return {
        "addon_id": "a1",
        "address": "mario@pec.example.it",
        "kind": "extra_inbox",
        "quantity": "1",
        "unit_price": "2.50",
        "paid_from": "renewal",
        "status": "active",
        "expires_on": "2027-03-31",
    } | cells


def write(
    folder: Path,
    *,
    customers: Sequence[Row] = (),
    payment_methods: Sequence[Row] = (),
    boxes: Sequence[Row] = (),
    addons: Sequence[Row] = (),
) -> Path:
    """Files with these rows; a file without rows is not written, nor a column that is always empty."""
    folder.mkdir(exist_ok=True)
    for file, rows in zip(INPUT_FILES, (customers, payment_methods, boxes, addons), strict=True):
        path = folder / file.name
        path.unlink(missing_ok=True)
        if rows:
            header = list(dict.fromkeys(name for row in rows for name in row))
            lines = [csv_line(header), *(csv_line([row.get(name, "") for name in header]) for row in rows)]
            path.write_bytes("".join(lines).encode())
    return folder


def load(store: Store, folder: Path, *, overwrite: bool = False, dry_run: bool = False) -> ImportReport:
    return import_directory(store, CATALOG, folder, overwrite=overwrite, dry_run=dry_run, today=TODAY)


def unload(store: Store, folder: Path) -> ExportReport:
    return export_directory(store, folder, message_id_of=lambda key: f"<{key}@pec.example.it>")


def refusal(store: Store, folder: Path, *, overwrite: bool = False) -> list[str]:
    """What an import that must be refused says, problem by problem."""
    with pytest.raises(ImportRefused) as refused:
        load(store, folder, overwrite=overwrite)
    told = [str(problem) for problem in refused.value.problems]
    assert str(refused.value).splitlines()[1 : len(told) + 1] == told
    return told
