"""`messages` and `mail`: what became of the messages, sending one again, and trying the way out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lifecycle_jobs.cli.output import complain, print_json, say, table
from lifecycle_jobs.cli.setting import By, Config, Json, Why, open_office
from lifecycle_jobs.errors import Refused

messages = typer.Typer(help="The messages to holders, and what became of them.", no_args_is_help=True)
mail = typer.Typer(help="The way to the mail server.", no_args_is_help=True)

_LISTED = 100

Number = Annotated[int, typer.Argument(help="The message's number, as `messages list` shows it.")]


@messages.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option("--status", help="queued, failed, parked, sent or moot.", show_default=False)
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the newest messages, of one status or of all."""
    from lifecycle_jobs.mail.ledger import STATUSES, list_messages

    if status is not None and status not in STATUSES:
        raise Refused(f"There is no status {status!r}. Known: {', '.join(STATUSES)}.")
    with open_office(config) as office, office.store.read() as connection:
        total, rows = list_messages(connection, status, _LISTED)
    if json:
        print_json(rows)
        return
    if not rows:
        say("There are no such messages." if status else "There are no messages.")
        return
    title = f"Messages: {total:,}" + (f" (the newest {len(rows)} are shown)" if total > len(rows) else "")
    columns = list(rows[0])
    table(title, [name.replace("_", " ") for name in columns], [[row[name] for name in columns] for row in rows])


@messages.command("show")
def show(number: Number, config: Config = None, json: Json = False) -> None:
    """Show what is known of a message: its fate, and the proof that the mail server took it."""
    from lifecycle_jobs.mail.ledger import show_message

    with open_office(config) as office, office.store.read() as connection:
        known = show_message(connection, number)
    if json:
        print_json(known)
        return
    table(f"Message {number}", ("", ""), [(name.replace("_", " "), _cell(value)) for name, value in known.items()])


@messages.command("resend")
def resend(
    number: Number,
    again: Annotated[bool, typer.Option("--again", help="Also if it was sent: its holder gets it twice.")] = False,
    config: Config = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Have a message leave with the next delivery."""
    from lifecycle_jobs.mail.ledger import resend as queue_again

    with open_office(config) as office:
        was = queue_again(office.store, office.operator(by, why), number, again=again)
    said = "It is due at once" if was == "queued" else f"It was {was} and is queued again"
    say(f"{said}. It leaves with the next delivery: lifecycle-jobs deliver")


@mail.command("test")
def try_out(
    address: Annotated[str, typer.Argument(help="To whom.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Send a small message at once, by the configured way, and say what the mail server answered."""
    from lifecycle_jobs.mail.discretion import without_addresses
    from lifecycle_jobs.mail.transports import Accepted, Withheld
    from lifecycle_jobs.mail.trial import send_trial

    with open_office(config) as office:
        outcome = send_trial(office.store, office.settings, address)
        redirected = bool(office.settings.mail.redirect_to)
    said = "" if isinstance(outcome, Withheld) else without_addresses(outcome.response)
    taken = isinstance(outcome, Accepted)
    if json:
        print_json({"taken": taken, "redirected": redirected, "response": said})
    elif taken:
        say(f"Taken: {said}" + (" (it goes to mail.redirect_to)" if redirected else ""))
    else:
        complain(f"Not taken: {said}")
    if not taken:
        raise typer.Exit(1)


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
