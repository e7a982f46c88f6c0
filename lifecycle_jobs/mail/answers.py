"""What a mail server's acceptance proves: its code, and the number under which the message can be found there."""

from __future__ import annotations

import re
from typing import Final

_CODE: Final = re.compile(r"([2-5][0-9]{2})(?:[ -]|$)")

_QUEUE_IDS: Final = (
    re.compile(r"\bqueued as ([0-9A-Za-z._-]+)", re.IGNORECASE),  # Postfix: 250 2.0.0 Ok: queued as 4XyZ123456z9
    re.compile(r"\bid=([0-9A-Za-z._-]+)"),  # Exim: 250 OK id=1rABCD-0001Ab-2C
    re.compile(r"2\.0\.0 ([0-9A-Za-z]{8,}) Message accepted"),  # Sendmail
    re.compile(r"\[InternalId=([0-9]+)"),  # Exchange
    re.compile(r"\bok [0-9]+ qp ([0-9]+)"),  # qmail
)
_LONGEST: Final = 100


def reply_code(response: str) -> int | None:
    """The three digits at the head of an SMTP answer (RFC 5321, 4.2); none where it is not one."""
    found = _CODE.match(response)
    return int(found[1]) if found else None


def queue_id(response: str) -> str | None:
    """The number under which the server took a message; none where its answer does not name one that we know."""
    for pattern in _QUEUE_IDS:
        found = pattern.search(response)
        if found:
            return found[1][:_LONGEST]
    return None
