"""One cell of a file: how a value is written in it and read from it (SPEC §6).

Empty means none and never reaches a reader. Dates stay ISO text on their way in: that is what both databases take,
and text in this form sorts as dates do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

Value = str | int | bool | None
"""What a cell holds: text, an ISO date, a number, whole cents, a truth value, or nothing."""

Read = Callable[[str], Value]

LARGEST_COUNT = 2**31 - 1  # what both databases keep in an INTEGER

_EUROS = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")
_COUNT = re.compile(r"[0-9]{1,10}")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LAST4 = re.compile(r"[0-9]{4}")
_YEAR = re.compile(r"20[0-9]{2}")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNSEEN_OR_SPACE = re.compile(r"[\x00-\x1f\x7f-\x9f\s]")
_HARMLESS = re.compile(r"[0-9A-Za-z .,:/+€%-]{1,20}")
_FIRST_DAY, _LAST_DAY = "1900-01-01", "2999-12-31"


class BadCellError(Exception):
    """The cell does not hold what its column holds; the text says why, and never quotes what is private."""


def quoted(value: object) -> str:
    """A value for an error message, with a space before it; nothing if it might be an address, a name or a token.

    Columns get shifted: what stands in a date's column may be a card's token.
    """
    if isinstance(value, int | date):
        return f" {value}"
    cell = str(value)
    return f' "{cell}"' if _HARMLESS.fullmatch(cell) else ""


def euros(cell: str) -> int:
    """Whole cents from decimal euros: `8.48` is 848."""
    match = _EUROS.fullmatch(cell)
    if match is None:
        raise BadCellError(f"not an amount in euros such as 8.48{quoted(cell)}")
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def euros_text(cents: int) -> str:
    """Decimal euros from whole cents: 848 is `8.48`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


@lru_cache(maxsize=4096)
def iso_date(cell: str) -> str:
    """A calendar date, as it is written: `2027-03-31`."""
    if _ISO_DATE.fullmatch(cell) and _FIRST_DAY <= cell <= _LAST_DAY and _exists(cell):
        return cell
    raise BadCellError(f"not a date such as 2027-03-31{quoted(cell)}")


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def next_day(day: str) -> str:
    """The day after an ISO date."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def boolean(cell: str) -> bool:
    """`true` or `false`."""
    if cell == "true":
        return True
    if cell == "false":
        return False
    raise BadCellError(f"neither true nor false{quoted(cell)}")


def count(cell: str) -> int:
    """A whole number from 0."""
    if _COUNT.fullmatch(cell) is None or int(cell) > LARGEST_COUNT:
        raise BadCellError(f"not a whole number{quoted(cell)}")
    return int(cell)


def count_from_one(cell: str) -> int:
    """A whole number from 1."""
    number = count(cell)
    if number == 0:
        raise BadCellError("must be at least 1")
    return number


def month(cell: str) -> int:
    """A month, 1 to 12."""
    number = count(cell)
    if number not in range(1, 13):
        raise BadCellError(f"not a month{quoted(cell)}")
    return number


def year(cell: str) -> int:
    """The year in which a card expires, in four digits."""
    if _YEAR.fullmatch(cell) is None:
        raise BadCellError(f"not a year such as 2027{quoted(cell)}")
    return int(cell)


def last4(cell: str) -> str:
    """The last four digits of a card. A whole card number must never get in, nor be quoted in a message."""
    if _LAST4.fullmatch(cell) is None:
        raise BadCellError("not the last four digits of a card")
    return cell


def one_of(*words: str) -> Read:
    """One of a few words."""
    known = {word: word for word in words}
    listing = ", ".join(words)

    def read(cell: str) -> str:
        try:
            return known[cell]
        except KeyError:
            raise BadCellError(f"not one of {listing}{quoted(cell)}") from None

    return read


def free_text(cell: str) -> str:
    """Any text, line breaks included."""
    if "\0" in cell:
        raise BadCellError("holds a NUL character")
    return cell


def identifier(cell: str) -> str:
    """Text that things are known by: on one line, without white space around it."""
    if _UNSEEN.search(cell):
        raise BadCellError("holds a control character or a line break")
    if cell.strip() != cell:
        raise BadCellError("begins or ends with white space")
    return cell


def mail_address(cell: str) -> str:
    """An e-mail address, checked for what would break an envelope or a list of addresses, not for existence."""
    if _UNSEEN_OR_SPACE.search(cell):
        raise BadCellError("holds white space or a control character")
    local, at, domain = cell.partition("@")
    if not (local and at and domain) or "@" in domain:
        raise BadCellError("not an e-mail address")
    return cell


def domain_name(cell: str) -> str:
    """A hosting domain."""
    if _UNSEEN_OR_SPACE.search(cell) or "@" in cell:
        raise BadCellError("not a domain")
    return cell
