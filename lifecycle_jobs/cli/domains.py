"""`domain`: hosting domains, whose boxes are renewed and let go with them."""

from __future__ import annotations

from typing import Annotated

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import say
from lifecycle_jobs.cli.setting import parse_date

domain = typer.Typer(help="Hosting domains, whose boxes are renewed and let go with them.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The domain, e.g. esempio.it.")]


@domain.command("renew")
@operation
def renew(
    ask: Ask,
    name: _Name,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The last day that is paid now.")],
) -> None:
    """Give all boxes on a domain its new date; those that were suspended for want of payment revive."""
    from lifecycle_jobs.accounts import renew_domain

    end = parse_date(until)
    renewed = renew_domain(ask.store, ask.operator, name, end, request_id=ask.request_id)
    if ask.printed(renewed):
        return
    say(f"{len(renewed.renewed):,} boxes on {name} end on {renewed.until} now.")
    for reason in renewed.left_out:
        say(f"Left out: {reason}")


@domain.command("release")
@operation
def release(
    ask: Ask,
    name: _Name,
) -> None:
    """Let a domain go: its boxes are cancelled with it, and end with their term."""
    from lifecycle_jobs.accounts import release_domain

    released = release_domain(ask.store, ask.operator, name, request_id=ask.request_id)
    if ask.printed(released):
        return
    say(f"{len(released.boxes):,} boxes on {name} are cancelled with it; the last ends on {released.last_expires_on}.")
