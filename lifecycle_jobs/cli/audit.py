"""`audit`: whether the books are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lifecycle_jobs.cli.output import complain, print_json, progress_bar, say, table
from lifecycle_jobs.cli.setting import Config, Json, open_office

if TYPE_CHECKING:
    from lifecycle_jobs.audit import Finding


def audit(config: Config = None, json: Json = False) -> None:
    """Prove the books: payments, renewals, credit, expiries, suspensions, messages. Changes nothing."""
    from lifecycle_jobs.audit import audit as prove

    with open_office(config) as office, progress_bar() as progress:
        report = prove(office.store, office.settings, progress)
    if json:
        print_json(report.as_dict())
    else:
        after = "No run yet" if report.on is None else f"After the run of {report.on}"
        rows = [
            (check.name, check.sentence, f"{check.total:,} wrong" if check.total else "holds")
            for check in report.checks
        ]
        table(f"{after}: what must hold", ("what", "what it means", "found"), rows)
        for found in (*report.checks, *report.waiting):
            _list(found)
        if report.sound:
            say("The books are right.")
        else:
            complain(f"! The books are wrong in {sum(check.total for check in report.checks):,} places.")
    if not report.sound:
        raise typer.Exit(1)


def _list(found: Finding) -> None:
    if not found.total:
        return
    title = f"{found.name}: {found.total:,}"
    if found.total > len(found.rows):
        title += f" (the first {len(found.rows)} are shown)"
    table(title, list(found.rows[0]), [list(row.values()) for row in found.rows])
