from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from lifecycle_jobs.cli.app import _COMMANDS, app

PROGRAM = """
import json, sys
from lifecycle_jobs.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

HEAVY = (
    *("alembic", "apscheduler", "babel", "css_inline", "distributed", "dkim", "jinja2", "numpy", "prometheus_client"),
    *("psycopg", "requests", "standardwebhooks", "starlette", "stripe", "uvicorn"),
    *("lifecycle_jobs.mail.contents", "lifecycle_jobs.monitoring", "lifecycle_jobs.payments.stripe_gateway"),
)
"""What no command needs that only reads the database."""

HEAVY_FOR_HELP = (
    *HEAVY,
    "pydantic",
    "pydantic_settings",
    "sqlalchemy",
    "structlog",
    "rich.progress",
    "lifecycle_jobs.db",
)


def test_help_loads_neither_database_nor_settings_nor_anything_heavy() -> None:
    assert loaded("--help").isdisjoint(HEAVY_FOR_HELP)


def test_status_loads_nothing_that_only_other_commands_need(sqlite_url: str) -> None:
    found = loaded("status", LIFECYCLE_DATABASE__URL=sqlite_url)
    assert "lifecycle_jobs.status" in found
    assert found.isdisjoint({*HEAVY, "markdown_it", "typer.rich_utils"})


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_command_is_listed_with_the_text_that_it_has_when_it_is_typed(name: str) -> None:
    group = get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    context = typer.Context(group)
    listed, typed = group.commands[name], group.get_command(context, name)
    assert typed is not None
    assert (listed.name, listed.help, listed.hidden) == (typed.name, typed.help, typed.hidden)


def test_a_misspelt_command_is_told_what_it_may_have_meant() -> None:
    done = run("statsu")
    assert done.returncode == 2
    assert "Did you mean 'status'?" in done.stderr


def loaded(*arguments: str, **environment: str) -> set[str]:
    """The modules that a fresh process has after a command."""
    done = run(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
