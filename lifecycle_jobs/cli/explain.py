"""`explain`: why a box was or was not touched, what has happened to it, and what is going to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifecycle_jobs.cli.output import print_json, say, table
from lifecycle_jobs.cli.setting import Config, Json, open_office, parse_date
from lifecycle_jobs.cli.wording import Locale, Wording, wording

if TYPE_CHECKING:
    from lifecycle_jobs.explaining.explanation import Explanation


def explain(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The box, living or deleted.")],
    day: Annotated[
        str | None,
        typer.Option("--on", metavar="DATE", help="Ask the jobs on this date (default: today).", show_default=False),
    ] = None,
    deleted: Annotated[
        str | None,
        typer.Option(
            "--deleted", metavar="DATE", help="The earlier box of this address that was deleted on this date."
        ),
    ] = None,
    config: Config = None,
    locale: Locale = None,
    json: Json = False,
) -> None:
    """Tell a box's past, why each job would or would not act on it, and what lies ahead. Changes nothing."""
    from lifecycle_jobs.explaining.explanation import explain as ask

    words = wording(locale)
    with open_office(config) as office:
        on = office.today if day is None else parse_date(day)
        deleted_on = None if deleted is None else parse_date(deleted)
        found = ask(office.store, office.settings, address, on, words.speech, deleted_on=deleted_on)
    if json:
        print_json(asdict(found))
    else:
        _show(words, found)


def _show(words: Wording, found: Explanation) -> None:
    speech = words.speech
    say(_state(words, found.box), style="bold")
    say(_holder(words, found.box))
    say(_renewal(words, found.box))
    command = f"lifecycle-jobs explain {found.box['address']}"
    if found.sold_again:
        say(speech("The address was sold again. The box that lives: {command}", command=command))
    for day in found.others:
        told = f"{command} --deleted {day}"
        say(speech("Another box of this address was deleted on {on}: {command}", on=day, command=told))
    if found.past:
        _show_past(words, found)
    else:
        say(speech("Nothing has happened to it since it was imported."))
    if found.verdicts:
        _show_verdicts(words, found)
    if found.untold is not None:
        say(found.untold)
    if found.coming:
        ahead = [(each.on, words.code("coming", each.what), each.told) for each in found.coming]
        table(speech("What lies ahead, if nobody does anything"), (speech("on"), speech("what"), ""), ahead)


def _show_past(words: Wording, found: Explanation) -> None:
    speech = words.speech
    rows = [
        (each.on, words.code("event", each.what), each.told, words.code("job", each.by), each.message)
        for each in found.past
    ]
    table(speech("What has happened"), (speech("on"), speech("what"), "", speech("by"), speech("e-mail")), rows)


def _show_verdicts(words: Wording, found: Explanation) -> None:
    speech = words.speech
    if found.done:
        title = speech("What a run of {on} would do now; what the run of that date did stands above", on=found.on)
    else:
        title = speech("What a run of {on} would do", on=found.on)
    rows = [
        (
            words.code("job", each.job),
            words.code("event", each.reason) if each.acts else speech("no"),
            each.told if each.addon_id is None else f"{each.addon_id}: {each.told}",
        )
        for each in found.verdicts
    ]
    table(title, (speech("job"), speech("acts"), speech("why")), rows)


def _state(words: Wording, box: dict[str, Any]) -> str:
    speech, address = words.speech, box["address"]
    if box["status"] == "deleted":
        return speech("{address}: deleted on {on}.", address=address, on=box["deleted_on"])
    if box["status"] == "suspended":
        why = words.code("suspension", box["suspended_reason"])
        return speech(
            "{address}: suspended since {since} ({why}).", address=address, since=box["suspended_on"], why=why
        )
    return speech("{address}: active.", address=address)


def _holder(words: Wording, box: dict[str, Any]) -> str:
    return words.speech(
        "{name} ({customer}), plan {plan}, paid until {until}.",
        name=box["name"],
        customer=box["customer_id"],
        plan=box["plan"],
        until=box["expires_on"],
    )


def _renewal(words: Wording, box: dict[str, Any]) -> str:
    speech = words.speech
    if box["cancelled_on"] is not None:
        return speech("Its holder gave notice on {on}.", on=box["cancelled_on"])
    if not box["auto_renew"]:
        return speech("It is renewed by hand.")
    if box["payment_method_id"] is None:
        return speech("It renews by itself, but no payment method is stored.")
    return speech("It renews by itself, with {method}.", method=box["payment_method_id"])
