"""Header lines as they go over the wire (RFC 5322, RFC 2047): ASCII, folded, nothing in them but what was meant.

The `email` package does the same at a hundred times the cost. What it guarantees is guaranteed here too: a value with
a line break in it is refused, so no name and no subject can become a header of its own.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

from lifecycle_jobs.mail.addresses import WireAddress

_WIDTH: Final = 76
_LONGEST_ASCII_WORD: Final = 60
"""A longer one cannot be folded; written as encoded words it can."""

_ENCODED: Final = 42
"""Bytes of an encoded word: with its frame 68 characters at most, which fit on one line with `Subject: `."""

_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_PLAIN_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_QUOTED: Final = str.maketrans({"\\": r"\\", '"': r"\""})
# What may stand for itself in an encoded word anywhere (RFC 2047, 5 (3)).
_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q: Final = tuple(chr(byte) if byte in _SAFE else "_" if byte == ord(" ") else f"={byte:02X}" for byte in range(256))


class LineBreak(ValueError):
    """A header was asked to hold a line break, or another control character. The text does not quote it."""


def text_header(name: str, value: str) -> bytes:
    """A header that people read, `Subject` say. Raises LineBreak."""
    _refuse_breaks(name, value)
    if value.isascii() and "=?" not in value and _foldable(value):
        return _folded(name, value.split(" "))
    return _folded(name, _encoded_words(value))


def token_header(name: str, value: str) -> bytes:
    """A header for programs, written as it is. Raises LineBreak; `value` must be ASCII."""
    _refuse_breaks(name, value)
    return f"{name}: {value}\r\n".encode("ascii")


def mailbox_header(name: str, shown: str, address: WireAddress) -> bytes:
    """A header with one address, and the name that is shown with it, if any. Raises LineBreak."""
    _refuse_breaks(name, shown, address.local, address.domain)
    if not shown:
        return _folded(name, [str(address)])
    if not shown.isascii() or "=?" in shown or not _foldable(shown):
        words = _encoded_words(shown)
    elif _PLAIN_PHRASE.fullmatch(shown):
        words = shown.split(" ")
    else:
        words = f'"{shown.translate(_QUOTED)}"'.split(" ")
    return _folded(name, [*words, f"<{address}>"])


def _refuse_breaks(name: str, *values: str) -> None:
    if not _NAME.fullmatch(name) or any(_BREAKS.search(value) for value in values):
        raise LineBreak(f"{name[:40]!r}: a header cannot hold a line break or a control character")


def _foldable(value: str) -> bool:
    return max(map(len, value.split(" "))) <= _LONGEST_ASCII_WORD


def _folded(name: str, words: Iterable[str]) -> bytes:
    """The words with a blank between any two, on as many lines as they need. Unfolded, they are as they were."""
    first, *others = words
    lines = [f"{name}: {first}"]
    for word in others:
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append(f" {word}")
        else:
            lines[-1] += f" {word}"
    return "\r\n".join([*lines, ""]).encode()


def _encoded_words(value: str) -> list[str]:
    """The text as encoded words. Readers take the blanks between them away, so nothing is added."""
    words = []
    chunk = b""
    for character in value:
        encoded = character.encode()
        if len(chunk) + len(encoded) > _ENCODED:
            words.append(_encoded_word(chunk))
            chunk = b""
        chunk += encoded
    return [*words, _encoded_word(chunk)]


def _encoded_word(chunk: bytes) -> str:
    quoted = "".join([_Q[byte] for byte in chunk])
    in_base64 = b64encode(chunk).decode()
    return f"=?utf-8?q?{quoted}?=" if len(quoted) <= len(in_base64) else f"=?utf-8?b?{in_base64}?="
