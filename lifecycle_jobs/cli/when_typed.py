"""Commands that are put together only when they are typed.

To make a command of its function, Typer takes apart the signature and every type in it. For all of them that takes
longer than the rest of `--help`, which shows no more of each than its name and the first line of its text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

Offered = Mapping[str, Callable[..., None] | typer.Typer]
"""Commands and groups of commands by name, in the order in which they are listed."""


def when_typed(offered: Offered) -> type[TyperGroup]:
    """A group of these, for `Typer(cls=…)`."""

    class WhenTyped(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            commands = {name: _as_listed(name, what) for name, what in offered.items()}
            super().__init__(**{**settings, "commands": commands})
            self._listing = False

        def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
            if self._listing or cmd_name not in offered:
                return super().get_command(ctx, cmd_name)
            return _put_together(cmd_name, offered[cmd_name])

        def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
            self._listing = True
            super().format_help(ctx, formatter)
            self._listing = False

    return WhenTyped


def _as_listed(name: str, what: Callable[..., None] | typer.Typer) -> TyperCommand:
    return TyperCommand(name, help=what.info.help if isinstance(what, typer.Typer) else inspect.getdoc(what))


def _put_together(name: str, what: Callable[..., None] | typer.Typer) -> Command:
    if isinstance(what, typer.Typer):
        group = get_group(what)
        group.name = name
        return group
    alone: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(what)
    return get_command(alone)
