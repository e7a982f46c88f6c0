"""What may be kept of an error or of a server's answer: enough to act on, no whole e-mail address."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[^\s@<>()\[\]\"',;:]+@[^\s@<>()\[\]\"',;:]+")
_LONGEST = 500


def without_addresses(text: str) -> str:
    """The text on one line, cut to 500 characters, with every e-mail address replaced."""
    return _ADDRESS.sub("(address)", " ".join(text.split()))[:_LONGEST]


def describe(error: BaseException) -> str:
    """An error in one line. What a database says after its first line may quote a whole row, so that is left out."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return without_addresses(f"{type(cause).__name__}: {lines[0] if lines else ''}")
