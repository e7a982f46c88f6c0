"""`console`: the pages in the browser, and the password of somebody who may look at them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Annotated

import typer

from lifecycle_jobs.cli.output import say
from lifecycle_jobs.cli.setting import Config, open_office
from lifecycle_jobs.errors import Refused

console = typer.Typer(help="Serve the console's pages in the browser, until Ctrl-C.", invoke_without_command=True)

_SHORTEST_PASSWORD = 12


@console.callback()
def serve(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Another port of this machine; 0 for any.", show_default=False),
    ] = None,
    config: Config = None,
) -> None:
    """Serve the console's pages in the browser, until Ctrl-C.

    Without accounts in the configuration it is for this machine only, and for whoever has the address that is printed.
    """
    if context.invoked_subcommand is not None:
        return
    from lifecycle_jobs.console import Console

    listen = None if port is None else f"127.0.0.1:{port}"
    with open_office(config) as office:
        served = Console(office.settings, owner=office.operator(None).name, listen=listen)
    with _asked_to_stop() as asked, served:
        say(f"The console is at {served.url}")
        if not office.settings.console.accounts:
            say("Whoever opens this address acts as you. It holds until Ctrl-C.")
        asked.get()
    say("The console is closed.")


@contextmanager
def _asked_to_stop() -> Iterator[SimpleQueue[int]]:
    """Signals come in here for the length of the block."""
    asked: SimpleQueue[int] = SimpleQueue()  # an Event could be waited for by the very thread that is to set it
    before = {
        number: signal.signal(number, lambda number, _frame: asked.put(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@console.command("password")
def password(
    name: Annotated[str, typer.Argument(help="The name of the account.")],
    operator: Annotated[
        bool, typer.Option("--operator", help="May do what needs a confirmation, not only look.")
    ] = False,
) -> None:
    """Ask for a password and print the account as it is written into the configuration."""
    from lifecycle_jobs.console.visitors import hash_password

    chosen = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    if len(chosen) < _SHORTEST_PASSWORD:
        raise Refused(f"That is too short to be safe: take at least {_SHORTEST_PASSWORD} characters.")
    role = "operator" if operator else "viewer"
    typer.echo(f'[console.accounts."{name}"]\nrole = "{role}"\npassword = "{hash_password(chosen)}"')
