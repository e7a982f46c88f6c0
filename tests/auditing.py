"""The audit of a test's own database: clean at the end of every life, and what it names where it is not."""

from __future__ import annotations

from lifecycle_jobs.audit import Report, audit
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.settings import Settings

Breach = tuple[str, str]
"""What is wrong, and with what: `("paid more than once", "order:R-1")`."""


def report_on(store: Store, settings: Settings) -> Report:
    """What the audit says."""
    return audit(store, settings, lambda _name, _number: None)


def breaches(store: Store, settings: Settings) -> dict[str, list[Breach]]:
    """What is wrong, by the invariant that is broken."""
    return {
        check.name: [(row["wrong"], row["subject"]) for row in check.rows]
        for check in report_on(store, settings).checks
        if check.total
    }


def assert_books_are_right(store: Store, settings: Settings) -> None:
    found = breaches(store, settings)
    assert found == {}, found
