"""What people and machines are shown: tables on a terminal, JSON where asked, complaints on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.jobs.task import Progress as Advance

console = Console()
error_console = Console(stderr=True)

_ROWS_AT_A_TIME = 1000


def complain(sentence: str) -> None:
    """Tell what is wrong, in the one place where it does not disturb what a machine reads."""
    error_console.print(Text(sentence, style="red"), soft_wrap=True)


def warn(sentence: str) -> None:
    """Tell what is to be looked at, beside the complaints."""
    error_console.print(Text(sentence, style="yellow"), soft_wrap=True)


def say(sentence: str, style: str = "") -> None:
    """Tell a person something; the text is shown as it is, whatever it contains."""
    console.print(Text(sentence, style=style), soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_as_text))


def print_json_list(head: Mapping[str, Any], name: str, rows: Iterable[Any]) -> None:
    """One JSON document whose last member is a list, written as it is read: it may have a million rows."""
    begun = json.dumps(head, ensure_ascii=False, indent=2, default=_as_text).removesuffix("\n}")
    typer.echo(f'{begun},\n  "{name}": [', nl=False)
    before = "\n"
    left = iter(rows)
    while some := list(islice(left, _ROWS_AT_A_TIME)):
        written = [json.dumps(row, ensure_ascii=False, indent=2, default=_as_text) for row in some]
        typer.echo(before + indent(",\n".join(written), "    "), nl=False)
        before = ",\n"
    typer.echo("\n  ]\n}")


def write_text(file: Path, text: str) -> None:
    """A file that was asked for: whole or not at all. Raises Refused if it cannot be written."""
    from lifecycle_jobs.whole_files import write_whole

    try:
        with write_whole(file) as unfinished:
            unfinished.write(text.encode())
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """A table; the columns named in `right` hold numbers."""
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*[Text("" if cell is None else str(cell)) for cell in row])
    console.print(shown)


def counts(values: Mapping[str, int], between: str = ", ") -> str:
    """`box.renewed 3, charge.declined 1`; in a table's cell, one below the other."""
    return between.join(f"{name} {number:,}" for name, number in values.items() if number)


@contextmanager
def progress_bar(totals: Mapping[str, int] | None = None) -> Iterator[Advance]:
    """Shows how far long work has come, on a terminal only; of what has a total, how much is left."""
    if not error_console.is_terminal:
        yield lambda _name, _rows: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=error_console, transient=True) as bar:
        known: dict[str, Any] = {}

        def advance(name: str, rows: int) -> None:
            if name not in known:
                known[name] = bar.add_task(name, total=(totals or {}).get(name))
            bar.advance(known[name], rows)

        yield advance


def _as_text(value: Any) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)
