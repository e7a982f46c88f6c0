"""The files in ``templates/``: how they are found, put into a language, filled in and proved.

Everything costly happens once: templates are compiled and styles inlined when first used. Who fills them in says which
names they may use; an undefined one is an error.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from traceback import walk_tb
from typing import Any, Final, Literal

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
    select_autoescape,
)
from jinja2.meta import find_undeclared_variables

from lifecycle_jobs.data import data_folder
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.languages.formats import day_text, money_text, number_text
from lifecycle_jobs.mail.advice import next_step, replaceable, tried_again
from lifecycle_jobs.mail.contents import Locale
from lifecycle_jobs.mail.formats import gigabytes_text, weekday_text
from lifecycle_jobs.mail.inline import StyleError, StyleInliner
from lifecycle_jobs.mail.plain_text import tidy
from lifecycle_jobs.mail.words import Words, WordsError, read_words

Part = Literal["subject", "text", "html"]
"""The three parts of a message."""

PART_FILES: Final[dict[Part, str]] = {"subject": "subject.txt", "text": "body.txt", "html": "body.html"}

SHARED: Final = "_base"
"""The folder of what several messages use. No shipped file uses another folder's than its own and this one's."""

_STYLE_SHEET: Final = f"{SHARED}/style.css"
_WORDS: Final = f"{SHARED}/{{locale}}/words.toml"
_SUFFIXES: Final = frozenset({".txt", ".html", ".css", ".toml"})
# Turning the reading direction of what follows would let a name disguise the rest of a line.
_DIRECTION: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a template.

    ``file`` is its path below the templates folder, ``line`` counts from 1 and is ``None`` where unknown.
    """

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        """The problem as one line for people: ``file:line: reason``."""
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


class RenderError(LifecycleError):
    """A message that could not be put into words. ``problem`` names the file and, where known, the line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class TemplateFiles:
    """The shipped files, and those that the operator puts in place of them.

    A file in ``overrides`` replaces the shipped one of the same path; all others stay.
    """

    def __init__(self, overrides: Path | None = None, *, shipped: Path | None = None) -> None:
        self._overrides = overrides
        folders = [shipped if shipped is not None else data_folder("templates")]
        if overrides is not None:
            folders.insert(0, overrides)
        self._loader = _StyledLoader(ChoiceLoader([FileSystemLoader(folder) for folder in folders]))
        self._environments: dict[Locale, Environment] = {}
        self._templates: dict[tuple[str, Locale, Part], Template] = {}

    def fill_in(self, name: str, locale: Locale, part: Part, context: Mapping[str, object]) -> str:
        """A part of the message in folder `name`. A subject is one line, a text is wrapped. Raises `RenderError`."""
        try:
            text = _rendered(self._template(name, locale, part), context)
        except RenderError:
            raise
        except Exception as error:
            # Whatever a template trips over parks one message; it must not stop the others (SPEC §4).
            raise RenderError(_problem(error, _path(name, locale, part))) from error
        if part == "subject":
            return one_line(text)
        return text if part == "html" else tidy(text)

    def problems(
        self, name: str, locale: Locale, known: frozenset[str], samples: Sequence[Mapping[str, object]]
    ) -> list[Problem]:
        """Everything wrong with the parts of a message: each is read, and filled in with all samples."""
        found = (self._problem(name, locale, part, known, samples) for part in PART_FILES)
        return [problem for problem in found if problem is not None]

    def folders_replaced(self) -> frozenset[str] | None:
        """The folders in which the operator has files of his own; none if all are the shipped ones."""
        return None if self._overrides is None else frozenset(path.parts[0] for path in self._own())

    def unused(self) -> list[Problem]:
        """The operator's files that nothing read so far has used: most likely they are misnamed."""
        paths = sorted(path.as_posix() for path in self._own())
        return [Problem(path, None, "no message uses this file") for path in paths if path not in self._loader.used]

    def _own(self) -> Iterator[Path]:
        """The operator's files, by their paths below his folder."""
        if self._overrides is not None:
            for file in self._overrides.rglob("*"):
                if file.suffix in _SUFFIXES:
                    yield file.relative_to(self._overrides)

    def _problem(
        self, name: str, locale: Locale, part: Part, known: frozenset[str], samples: Sequence[Mapping[str, object]]
    ) -> Problem | None:
        path = _path(name, locale, part)
        try:
            environment = self._environment(locale)
            source, _, _ = self._loader.get_source(environment, path)
            # A branch that no sample takes is not rendered here, but its names can be read.
            unknown = _unknown_names(environment.parse(source, path), known)
            if unknown:
                reason = f"a template cannot use {', '.join(unknown)}: it knows {', '.join(sorted(known))}"
                return Problem(path, None, reason)
            for sample in samples:
                if not self.fill_in(name, locale, part, sample).strip():
                    return Problem(path, None, "renders to nothing")
        except RenderError as error:
            return error.problem
        except TemplateError as error:
            return _problem(error, path)
        return None

    def _template(self, name: str, locale: Locale, part: Part) -> Template:
        key = (name, locale, part)
        if key not in self._templates:
            self._templates[key] = self._environment(locale).get_template(_path(name, locale, part))
        return self._templates[key]

    def _environment(self, locale: Locale) -> Environment:
        if locale not in self._environments:
            environment = _PlainEnvironment(
                loader=self._loader,
                autoescape=select_autoescape(enabled_extensions=("html",), default=False),
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                auto_reload=False,
                cache_size=-1,
            )
            path = _WORDS.format(locale=locale)
            try:
                source, _, _ = self._loader.get_source(environment, path)
                words = read_words(source)
            except (TemplateError, WordsError) as error:
                raise RenderError(_problem(error, path)) from error
            environment.filters.update(_filters(words, locale))
            self._environments[locale] = environment
        return self._environments[locale]


def template_files(overrides: Path | None) -> TemplateFiles:
    """The shipped files, with the operator's in place of some of them.

    Those of the operator may be altered while a daemon runs, and are read anew each time; the shipped ones alone are
    read and compiled once in a process.
    """
    return _only_shipped() if overrides is None else TemplateFiles(overrides)


@cache
def _only_shipped() -> TemplateFiles:
    return TemplateFiles()


class _PlainEnvironment(Environment):
    """Templates look up what all of them know in one mapping, as nothing is added to it later."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Jinja's own is a chain of two, which costs a tenth of filling in a message."""
        return {**self.globals, **(d or {})}


class _StyledLoader(BaseLoader):
    """Loads a template; an HTML one with the style sheet written into its tags."""

    def __init__(self, files: ChoiceLoader) -> None:
        self._files = files
        self._inliner: StyleInliner | None = None
        self.used: set[str] = set()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, fresh = self._read(environment, template)
        if template.endswith(".html"):
            try:
                source = self._styles(environment).apply(source)
            except StyleError as error:
                raise TemplateSyntaxError(str(error), 1, template, file) from error
        return source, file, fresh

    def _read(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        self.used.add(template)
        try:
            return self._files.get_source(environment, template)
        except UnicodeDecodeError as error:
            raise TemplateSyntaxError(f"is not UTF-8: {error}", 1, template) from error

    def _styles(self, environment: Environment) -> StyleInliner:
        if self._inliner is None:
            css, file, _ = self._read(environment, _STYLE_SHEET)
            try:
                self._inliner = StyleInliner(css)
            except StyleError as error:
                raise TemplateSyntaxError(str(error), 1, _STYLE_SHEET, file) from error
        return self._inliner


def one_line(text: str) -> str:
    """The text on one line: any white space becomes one blank, control and direction characters go."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable():
        return line
    kept = "".join(c for c in line if unicodedata.category(c) != "Cc" and c not in _DIRECTION)
    return " ".join(kept.split())  # what stood between two blanks may be gone


def _path(name: str, locale: Locale, part: Part) -> str:
    return f"{name}/{locale}/{PART_FILES[part]}"


def _unknown_names(tree: nodes.Template, known: frozenset[str]) -> list[str]:
    # Blocks see what their template imports or sets at its top, which Jinja's own search does not know.
    given = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    for imported in tree.find_all(nodes.FromImport):
        given.update(name if isinstance(name, str) else name[1] for name in imported.names)
    given.update(node.target for node in tree.find_all(nodes.Import))
    given.update(macro.name for macro in tree.find_all(nodes.Macro))
    return sorted(find_undeclared_variables(tree) - known - given)


def _filters(words: Words, locale: Locale) -> dict[str, Callable[..., Any]]:
    return {
        "day": lambda day, article="": day_text(day, locale, article),
        "weekday": partial(weekday_text, locale=locale),
        "money": partial(money_text, language=locale),
        "number": partial(number_text, language=locale),
        "gigabytes": partial(gigabytes_text, locale=locale),
        "before": _before,
        "having": _having,
        "days": partial(words.count, "days"),
        "years": partial(words.count, "years"),
        "boxes": partial(words.count, "boxes"),
        "addons": partial(words.count, "addons"),
        "in_days": words.in_days,
        "addon": words.addon,
        "method": words.method,
        "reason": words.reason,
        "what_helps": words.what_helps,
        "tried_again": tried_again,
        "replaceable": replaceable,
        "next_step": next_step,
    }


def _having(lines: Iterable[object], attribute: str, value: object = None) -> list[object]:
    """Those lines that have something, or have just that value. Jinja's `selectattr` costs ten times as much."""
    of = attrgetter(attribute)
    if value is None:
        return [line for line in lines if of(line)]
    return [line for line in lines if of(line) == value]


def _before(day: date, days: int) -> date:
    return day - timedelta(days=days)


def _rendered(template: Template, context: Mapping[str, object]) -> str:
    """What `template.render(context)` gives; that would put the same globals together anew for each message."""
    filled = template.new_context({**template.globals, **context}, shared=True)
    try:
        return template.environment.concat(template.root_render_func(filled))
    except Exception:  # noqa: BLE001 -- it goes on as the same error, with the template's own lines in its traceback
        template.environment.handle_exception()


def _problem(error: Exception, path: str) -> Problem:
    """Where an error arose: Jinja knows for errors of syntax, the innermost template on the way for others."""
    if isinstance(error, TemplateNotFound):
        return Problem(str(error.name or path), None, "this file is missing")
    if isinstance(error, TemplateSyntaxError):
        return Problem(error.name or path, error.lineno, error.message or "syntax error")
    line = None
    for frame, number in walk_tb(error.__traceback__):
        if frame.f_code.co_filename.endswith(tuple(_SUFFIXES)):
            path, line = _template_name(frame.f_code.co_filename), number
    return Problem(path, line, str(error) or type(error).__name__)


def _template_name(file: str) -> str:
    parts = Path(file).parts
    below = next((parts.index(folder) for folder in ("_base", "_staff") if folder in parts), len(parts) - 3)
    return "/".join(parts[below:])
