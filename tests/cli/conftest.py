"""The program as it is typed, in this process: arguments in; exit code, output and complaints out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle_jobs.cli import main, output


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    code: int
    out: str
    err: str


Type = Callable[..., Typed]


@pytest.fixture
def lifecycle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sqlite_url: str
) -> Type:
    """Types a command at a provider of its own, on an SQLite database that is ready."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", sqlite_url)
    monkeypatch.setenv("LIFECYCLE_LOG__LEVEL", "warning")
    # Rich would fold the sentences that the tests look for; it asks once, when the consoles are made.
    monkeypatch.setenv("COLUMNS", "200")
    for made in (output.console, output.error_console):
        monkeypatch.setattr(made, "_width", 200)

    def type_(*arguments: str) -> Typed:
        monkeypatch.setattr(sys, "argv", ["lifecycle-jobs", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        shown = capsys.readouterr()
        return Typed(code, shown.out, shown.err)

    return type_
