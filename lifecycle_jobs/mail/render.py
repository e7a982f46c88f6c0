"""Turns the content of a message into its subject, text and HTML, from the files in ``templates/`` (SPEC §4).

A template knows the names of `CONTEXT` and nothing else; an undefined one is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from lifecycle_jobs.mail.contents import LOCALES, MESSAGE_KINDS, Content, Locale, MessageKind
from lifecycle_jobs.mail.samples import SAMPLES
from lifecycle_jobs.mail.template_files import (
    PART_FILES,
    SHARED,
    Part,
    Problem,
    RenderError,
    TemplateFiles,
    one_line,
    template_files,
)

__all__ = ["CONTEXT", "PART_FILES", "Part", "Problem", "RenderError", "Rendered", "Renderer", "one_line"]

CONTEXT: Final = frozenset({"holder", "sender", "links", "lines", "first", "many", "written_on"})
"""What a template may use: fields of `Content`, ``first`` (of the lines), ``many`` (there are more lines)."""


class Rendered(NamedTuple):
    """A message in words. ``subject`` is one line; ``text`` and ``html`` end with a line break."""

    subject: str
    text: str
    html: str


class Renderer:
    """The templates of the messages to holders: those shipped, and those that the operator puts in place of them."""

    def __init__(self, overrides: Path | None = None, *, shipped: Path | None = None) -> None:
        self.files = template_files(overrides) if shipped is None else TemplateFiles(overrides, shipped=shipped)

    def render(self, content: Content, locale: Locale) -> Rendered:
        """The message in the holder's language. Raises `RenderError`: others may still be rendered."""
        context = _context(content)
        return Rendered(
            self.files.fill_in(content.kind, locale, "subject", context),
            self.files.fill_in(content.kind, locale, "text", context),
            self.files.fill_in(content.kind, locale, "html", context),
        )

    def preview(self, kind: MessageKind, locale: Locale, part: Part = "html") -> str:
        """One part of a message as its sample would look."""
        return self.files.fill_in(kind, locale, part, _context(SAMPLES[kind][0]))

    def check(self) -> list[Problem]:
        """Everything wrong with any template; empty is good.

        Each part of each message is read in each language, and rendered with all its samples; where the operator has
        files of his own, only of the messages that they can alter, since that takes seconds. A file of the operator's
        that no message uses is most likely misnamed.
        """
        problems: dict[Problem, None] = {}
        for kind in self._kinds_to_check():
            samples = [_context(sample) for sample in SAMPLES[kind]]
            for locale in LOCALES:
                for problem in self.files.problems(kind, locale, CONTEXT, samples):
                    problems[problem] = None
        return [*problems, *self.files.unused()]

    def _kinds_to_check(self) -> Sequence[MessageKind]:
        replaced = self.files.folders_replaced()
        if replaced is None or SHARED in replaced:
            return MESSAGE_KINDS
        return [kind for kind in MESSAGE_KINDS if kind in replaced]


def _context(content: Content) -> dict[str, object]:
    return {
        # A name is typed by its holder: line breaks in it could pass for words of the provider.
        "holder": replace(content.holder, name=one_line(content.holder.name)),
        "sender": content.sender,
        "links": content.links,
        "lines": content.lines,
        "first": content.lines[0],
        "many": len(content.lines) > 1,
        "written_on": content.written_on,
    }
