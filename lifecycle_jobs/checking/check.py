"""What one check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "wrong"]
"""`warning`: it works, but hardly as a careful operator wants it. `wrong`: work would fail."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """Nothing to do."""
    return Check(name, "ok", found)


def warning(name: str, found: str, advice: str) -> Check:
    """It works, but."""
    return Check(name, "warning", found, advice)


def wrong(name: str, found: str, advice: str) -> Check:
    """It does not work."""
    return Check(name, "wrong", found, advice)


def reason(error: OSError | ValueError) -> str:
    """An error of the system in its own few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
