"""Who a message is: the same message always bears the same Message-ID, however often it is handed over (SPEC §4)."""

from __future__ import annotations

from hashlib import sha256


def message_id(message_key: str, domain: str) -> str:
    """The Message-ID of a message, angle brackets included.

    Derived from the message's key alone, so that a receiver can tell a repeated hand-over from a second message.
    """
    return f"<{sha256(message_key.encode()).hexdigest()[:32]}@{domain}>"
