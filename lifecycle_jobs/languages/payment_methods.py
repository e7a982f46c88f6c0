"""What a payment method is called: never its token, and of a card what any receipt would print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lifecycle_jobs.languages import Speech
from lifecycle_jobs.languages.codes import code_text

# Gateways give brands in lower case; a brand that is not listed is shown as it came.
_BRANDS: Final[Mapping[str, str]] = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "maestro": "Maestro",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


def brand_name(brand: str) -> str:
    """The brand of a card as its company writes it."""
    return _BRANDS.get(brand.lower(), brand)


def method_text(speech: Speech, kind: str, brand: str | None, last4: str | None) -> str:
    """A payment method in words: ``Visa card ending in 4242``, ``prepaid credit``."""
    if kind != "card" or (brand is None and last4 is None):
        return code_text(speech, "method", kind)
    if brand is None:
        return speech("card ending in {last4}", last4=last4)
    if last4 is None:
        return speech("{brand} card", brand=brand_name(brand))
    return speech("{brand} card ending in {last4}", brand=brand_name(brand), last4=last4)
