"""In which language a command speaks, and whether it shows codes or their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from lifecycle_jobs.languages import Speech
    from lifecycle_jobs.languages.codes import Group

Locale = Annotated[
    Literal["en", "it"] | None,
    typer.Option(
        "--locale",
        help="Say it in this language, and codes in words (default: English, and codes as they are).",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Wording:
    """What a command says it in. Codes stay what they are unless a language was asked for: operators grep for them."""

    speech: Speech
    in_words: bool

    def code(self, group: Group, code: str) -> str:
        """A code as it is shown in a table."""
        from lifecycle_jobs.languages.codes import code_text

        return code_text(self.speech, group, code) if self.in_words else code

    def counts(self, group: Group, values: Mapping[str, int]) -> str:
        """How often what, one below the other in a table's cell."""
        shown = {self.code(group, name): number for name, number in values.items() if number}
        return "\n".join(f"{name} {self.speech.number(number)}" for name, number in shown.items())


def wording(locale: Literal["en", "it"] | None) -> Wording:
    """The wording that `--locale` asks for."""
    from lifecycle_jobs.languages import Speech

    return Wording(Speech(locale or "en"), in_words=locale is not None)
