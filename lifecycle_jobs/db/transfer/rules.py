"""What must hold within one row of a file, beyond each of its cells, and what empty cells stand for (SPEC §2, §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from lifecycle_jobs.db.transfer.cells import Value, next_day, quoted
from lifecycle_jobs.policy import MAX_RENEWAL_YEARS, UNPAID, Catalog

Row = dict[str, Value]
"""One row of a file by column of the table; what could not be read is none and has been told already."""

Complaint = tuple[str, str]
"""A heading of the file and what is wrong there."""


def _nothing(_row: Row) -> Iterator[Complaint]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for the rows of one file.

    `judge` fills in what follows from the row itself, and tells what contradicts itself in it. It looks at nothing but
    the columns in `looks_at`, and of those in `asks_for` only at whether there is a value: rows that are the same in
    these need be judged only once. `fills_in` are the columns that it may change. `without_case` names columns of
    which a copy for comparing is kept, and the columns that hold it.
    """

    judge: Callable[[Row], Iterator[Complaint]] = _nothing
    looks_at: tuple[str, ...] = ()
    asks_for: tuple[str, ...] = ()
    fills_in: tuple[str, ...] = ()
    without_case: Mapping[str, str] = field(default_factory=dict)


_ADDRESS = {"address": "address_key"}


def rules_of(catalog: Catalog) -> dict[str, Rules]:
    """The rules for the rows of each file, by table."""

    def box(row: Row) -> Iterator[Complaint]:
        yield from _plan(row, catalog)
        yield from _status(row)

    return {
        "customers": Rules(),
        "payment_methods": Rules(_payment_method, looks_at=("kind",), asks_for=("token",)),
        "boxes": Rules(
            box,
            looks_at=(
                "plan",
                "status",
                "renewal_years",
                "expires_on",
                "suspended_on",
                "suspended_reason",
                "deleted_on",
            ),
            fills_in=("suspended_on", "suspended_reason"),
            without_case=_ADDRESS,
        ),
        "addons": Rules(without_case=_ADDRESS),
    }


def without_case(text: str) -> str:
    """A text as it is compared where upper and lower case are the same."""
    return text.lower()


def _payment_method(row: Row) -> Iterator[Complaint]:
    if row["kind"] in {"card", "paypal"} and row["token"] is None:
        yield "token", "needed: a card or PayPal account is charged by its token"


def _plan(row: Row, catalog: Catalog) -> Iterator[Complaint]:
    longest = MAX_RENEWAL_YEARS
    code = cast("str | None", row["plan"])
    if code is not None:
        plan = catalog.plans.get(code)
        if plan is None:
            yield "plan", f"not in the catalogue{quoted(code)}"
        # What can no longer be renewed may keep a term that is no longer sold.
        elif row["status"] != "deleted":
            longest = plan.longest_term_years
    years = cast("int | None", row["renewal_years"])
    if years is not None and years > longest:
        yield "renewal_years", f"{years} is more than the plan's longest term, {longest}"


def _status(row: Row) -> Iterator[Complaint]:
    status, expires_on = row["status"], cast("str | None", row["expires_on"])
    if status == "deleted" and row["deleted_on"] is None:
        yield "deleted_on", "needed, because the status is deleted"
    if status in {"active", "suspended"} and row["deleted_on"] is not None:
        yield "deleted_on", f"must be empty, because the status is {status}"
    if status == "active" and row["suspended_on"] is not None:
        yield "suspended_on", "must be empty, because the status is active"
    if status == "suspended" and expires_on is not None:
        row["suspended_reason"] = row["suspended_reason"] or UNPAID
        row["suspended_on"] = suspended_on = row["suspended_on"] or next_day(expires_on)
        if row["suspended_reason"] == UNPAID and cast("str", suspended_on) <= expires_on:
            yield "suspended_on", f"{suspended_on} is not after expires_on, {expires_on}, but the reason is unpaid"
