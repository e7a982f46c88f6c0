"""`config check` and `config show`: whether the program could work as it is set up, and how it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from lifecycle_jobs.cli.output import console, print_json, table
from lifecycle_jobs.cli.setting import Config, Json, config_before_command
from lifecycle_jobs.errors import ConfigurationError

if TYPE_CHECKING:
    from lifecycle_jobs.checking import Check

config = typer.Typer(help="The configuration.", no_args_is_help=True)

_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}


@config.command("check")
def check(config: Config = None, json: Json = False) -> None:
    """Try everything that the configuration names: templates, database, mail, gateway, addresses. Changes nothing."""
    found = []
    for each in _checks(config):
        found.append(each)
        if not json:
            _show(each)
    if json:
        print_json([asdict(each) for each in found])
    if any(each.verdict == "wrong" for each in found):
        raise typer.Exit(2)


@config.command("show")
def show(config: Config = None, json: Json = False) -> None:
    """Show every value in force and where it comes from. Secrets are not shown."""
    from lifecycle_jobs.settings import load_with_origins
    from lifecycle_jobs.settings.values_in_force import values_in_force

    values = values_in_force(load_with_origins(config or config_before_command.get()))
    if json:
        print_json([asdict(value) for value in values])
    else:
        table("The values in force", ("key", "value", "from"), [(v.key, _shown(v.value), v.origin) for v in values])


def _checks(config: Config) -> Iterator[Check]:
    from lifecycle_jobs import log
    from lifecycle_jobs.checking import check_everything
    from lifecycle_jobs.checking.check import wrong
    from lifecycle_jobs.settings import load_with_origins

    try:
        loaded = load_with_origins(config or config_before_command.get())
    except ConfigurationError as error:
        yield wrong("settings", str(error), "Nothing else was tried.")
        return
    log.configure(loaded.settings.log.level, loaded.settings.log.format)
    yield from check_everything(loaded)


def _show(check: Check) -> None:
    line = Text()
    line.append(f"{check.verdict:<8}", style=_COLOURS[check.verdict])
    line.append(f"{check.name:<11}{check.found}")
    if check.advice:
        line.append(f" – {check.advice}", style="italic")
    console.print(line, soft_wrap=True)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
