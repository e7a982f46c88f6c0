"""Whatever holders, clerks and the jobs do, in whatever order: the program does what a plain model of SPEC does."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from lifecycle_jobs import accounts, log
from lifecycle_jobs.mail import delivery
from tests import servers
from tests.accounts import operations
from tests.properties import rules, sides, spec
from tests.properties.lives import without_delivery
from tests.properties.living import live, opened


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    log.configure("error", "json")
    monkeypatch.setattr(delivery, "deliver", without_delivery)


@pytest.mark.parametrize("part", range(2))
def test_the_program_does_what_the_model_does(tmp_path: Path, part: int) -> None:
    with opened(servers.fresh_sqlite(tmp_path), tmp_path) as registry:
        counts = live(registry, lives=2, steps=9, chance=part)

    assert counts.total() > 5


def test_the_program_does_what_the_model_does_on_postgresql(tmp_path: Path) -> None:
    with servers.fresh_postgresql() as url, opened(url, tmp_path) as registry:
        counts = live(registry, lives=2, steps=6, chance=3)

    assert counts.total() > 5


def test_every_operation_is_lived_and_raced() -> None:
    """All that a customer area can import and that changes something."""
    reading = {"find_customer", "not_made", "quote_addon", "state_credit"}
    changing = {name for name in accounts.__all__ if inspect.isfunction(getattr(accounts, name))} - reading

    assert _called_in(*Path(rules.__file__).parent.glob("*.py"), Path(sides.__file__)) >= changing
    assert _called_in(Path(operations.__file__)) >= changing


def _called_in(*files: Path) -> set[str]:
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "accounts"
    }


def test_the_model_knows_nothing_of_the_program() -> None:
    files = list(Path(spec.__file__).parent.glob("*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("lifecycle_jobs") for name in names), file.name
