"""`explain`: why a box was or was not touched, what has happened to it, and what is going to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifecycle_jobs.cli.output import print_json, say, table
from lifecycle_jobs.cli.setting import Config, Json, open_office, parse_date

if TYPE_CHECKING:
    from lifecycle_jobs.explaining.explanation import Explanation


def explain(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The box, living or deleted.")],
    day: Annotated[
        str | None,
        typer.Option("--on", metavar="DATE", help="Ask the jobs on this date (default: today).", show_default=False),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Tell a box's past, why each job would or would not act on it, and what lies ahead. Changes nothing."""
    from lifecycle_jobs.explaining.explanation import explain as ask

    with open_office(config) as office:
        found = ask(office.store, office.settings, address, office.today if day is None else parse_date(day))
    if json:
        print_json(asdict(found))
    else:
        _show(found)


def _show(found: Explanation) -> None:
    box = found.box
    say(f"{box['address']}: {_state(box)}.", style="bold")
    say(f"{box['name']} ({box['customer_id']}), plan {box['plan']}, paid until {box['expires_on']}. {_renewal(box)}")
    for day in found.others:
        say(f"An earlier box of this address was deleted on {day}.")
    if found.past:
        rows = [(each.on, each.what, each.told, each.by, each.message) for each in found.past]
        table("What has happened", ("on", "what", "", "by", "e-mail"), rows)
    else:
        say("Nothing has happened to it since it was imported.")
    if found.verdicts:
        _show_verdicts(found)
    if found.untold is not None:
        say(found.untold)
    if found.coming:
        ahead = [(each.on, each.what, each.told) for each in found.coming]
        table("What lies ahead, if nobody does anything", ("on", "what", ""), ahead)


def _show_verdicts(found: Explanation) -> None:
    now = " now; what the run of that date did stands above" if found.done else ""
    rows = [
        (
            each.job,
            each.reason if each.acts else "no",
            each.told if each.addon_id is None else f"{each.addon_id}: {each.told}",
        )
        for each in found.verdicts
    ]
    table(f"What a run of {found.on} would do{now}", ("job", "acts", "why"), rows)


def _state(box: dict[str, Any]) -> str:
    if box["status"] == "deleted":
        return f"deleted on {box['deleted_on']}"
    if box["status"] == "suspended":
        return f"suspended since {box['suspended_on']} ({box['suspended_reason']})"
    return "active"


def _renewal(box: dict[str, Any]) -> str:
    if box["cancelled_on"] is not None:
        return f"Its holder gave notice on {box['cancelled_on']}."
    if not box["auto_renew"]:
        return "It is renewed by hand."
    method = box["payment_method_id"]
    return "It renews by itself" + (", but no payment method is stored." if method is None else f", with {method}.")
