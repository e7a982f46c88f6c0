"""The text part of a message as it is read: wrapped, without stray blanks."""

from __future__ import annotations

import re
from typing import Final

from lifecycle_jobs.mail.remembered import Remembered

_TEXT_WIDTH: Final = 76
_HANG: Final = re.compile(r"\s*(?:- )?")


def tidy(text: str) -> str:
    """A text part as it is read: wrapped, at most one blank line in a row, no blanks at line ends."""
    lines = "\n".join(map(_tidy_line, text.split("\n")))
    while "\n\n\n" in lines:
        lines = lines.replace("\n\n\n", "\n\n")
    return lines.strip("\n") + "\n"


def _wrapped(line: str) -> str:
    line = line.rstrip()
    return line if len(line) <= _TEXT_WIDTH else _wrap(line)


_tidy_line = Remembered(_wrapped).__getitem__


def _wrap(line: str) -> str:
    """A long line broken at blanks; lines after the first hang below its indent. Links stay whole.

    Faster than ``textwrap``, which also breaks at hyphens, and addresses have those.
    """
    start = _HANG.match(line)
    indent = " " * (start.end() if start else 0)
    out: list[str] = []
    while len(line) > _TEXT_WIDTH:
        cut = line.rfind(" ", len(indent), _TEXT_WIDTH + 1)
        if cut <= len(indent):
            cut = line.find(" ", _TEXT_WIDTH)
        if cut < 0:
            break
        out.append(line[:cut])
        line = indent + line[cut + 1 :]
    out.append(line)
    return "\n".join(out)
