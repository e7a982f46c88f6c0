"""A speech that says nothing in another language than its own, and what gives English away."""

from __future__ import annotations

import re

from lifecycle_jobs.languages import Speech

_ENGLISH = re.compile(
    r"\b(the|is|was|were|not|until|since|paid|it|its|to|by|for|of|and|with|on|will|would|has)\b", re.IGNORECASE
)
_CODE = re.compile(r"\b[a-z]+_[a-z_]+\b|\b\d{4}-\d{2}-\d{2}\b")


class Exact(Speech):
    """Raises where a translation is missing, instead of saying it in English."""

    def _said(self, text: str) -> str:
        if self.language != "en" and text not in self._texts:
            message = f"No {self.language} for {text!r}"
            raise AssertionError(message)
        return super()._said(text)


ENGLISH = Exact("en")
ITALIAN = Exact("it")


def betrayed(sentences: list[str]) -> list[str]:
    """Those that were to be Italian for people, and have English, codes or dates for machines in them."""
    return [each for each in sentences if _ENGLISH.search(each) or _CODE.search(each)]
