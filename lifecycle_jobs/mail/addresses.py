"""E-mail addresses as they go over the wire (RFC 5321, RFC 5890).

The domain of an address goes out in its ASCII form, which every server understands. A local part has no such form:
one that is not ASCII needs a server that knows SMTPUTF8.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
# Letters, marks and digits (RFC 5892, roughly): no symbols, no blanks, nothing invisible.
_IN_NAMES = frozenset({"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"})
_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 253


class NotAnAddress(Exception):
    """Nothing can be sent there. The text says why, without the address."""


@dataclass(frozen=True)
class WireAddress:
    """An address whose `domain` is ASCII; `local` need not be."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server that knows SMTPUTF8 can take it (RFC 6531)."""
        return not self.local.isascii()


def wire_address(address: str) -> WireAddress:
    """The address as it goes over the wire; raises NotAnAddress.

    Quoted local parts and address literals are refused: nobody registers with one, and they are a way to smuggle
    characters into commands and headers.
    """
    local, at, domain = address.strip().rpartition("@")
    if not at:
        raise NotAnAddress("the e-mail address has no @")
    if not all(_is_atom(part) for part in local.split(".")):
        raise NotAnAddress("the part of the e-mail address before the @ is not valid")
    if len(local.encode()) > _LONGEST_LOCAL:
        raise NotAnAddress("the part of the e-mail address before the @ is too long")
    ascii_domain = ".".join(_ascii_label(label) for label in _DOTS.split(domain))
    if len(ascii_domain) > _LONGEST_DOMAIN:
        raise NotAnAddress("the domain of the e-mail address is too long")
    return WireAddress(local, ascii_domain)


def _is_atom(part: str) -> bool:
    ascii_only = "".join(c for c in part if c.isascii())
    if ascii_only and not _ATOM.fullmatch(ascii_only):
        return False
    return part != "" and all(c.isascii() or unicodedata.category(c)[0] in "LMNSP" for c in part)


def _ascii_label(label: str) -> str:
    if not label.isascii():
        # Python's own idna codec follows the rules of 2003, which send mail for straße.de to strasse.de.
        label = unicodedata.normalize("NFKC", label.lower())
        if not all(c == "-" or unicodedata.category(c) in _IN_NAMES for c in label):
            raise NotAnAddress("the domain of the e-mail address is not valid")
        if not label.isascii():
            label = "xn--" + label.encode("punycode").decode("ascii")
    if not _LABEL.fullmatch(label):
        raise NotAnAddress("the domain of the e-mail address is not valid")
    return label
