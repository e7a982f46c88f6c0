"""`domain`: hosting domains, whose boxes are renewed and let go with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lifecycle_jobs.cli.output import print_json, say
from lifecycle_jobs.cli.setting import By, Config, Json, RequestId, Why, open_office, parse_date, request_id_of

domain = typer.Typer(help="Hosting domains, whose boxes are renewed and let go with them.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The domain, e.g. esempio.it.")]


@domain.command("renew")
def renew(
    name: _Name,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The last day that is paid now.")],
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Give all boxes on a domain its new date; those that were suspended for want of payment revive."""
    from lifecycle_jobs.accounts import renew_domain

    request_id = request_id_of(request_id)
    end = parse_date(until)
    with open_office(config) as office:
        renewed = renew_domain(office.store, office.operator(by, why), name, end, request_id=request_id)
    if json:
        print_json({"request_id": request_id} | asdict(renewed))
        return
    say(f"{len(renewed.renewed):,} boxes on {name} end on {renewed.until} now.")
    for reason in renewed.left_out:
        say(f"Left out: {reason}")


@domain.command("release")
def release(
    name: _Name,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Let a domain go: its boxes are cancelled with it, and end with their term."""
    from lifecycle_jobs.accounts import release_domain

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        released = release_domain(office.store, office.operator(by, why), name, request_id=request_id)
    if json:
        print_json({"request_id": request_id} | asdict(released))
        return
    say(f"{len(released.boxes):,} boxes on {name} are cancelled with it; the last ends on {released.last_expires_on}.")
