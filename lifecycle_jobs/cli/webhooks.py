"""`webhooks`: telling the mail platform what happened."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Annotated

import typer

from lifecycle_jobs import clock
from lifecycle_jobs.cli.output import complain, counts, print_json, progress_bar, say
from lifecycle_jobs.cli.review import show_listing
from lifecycle_jobs.cli.setting import By, Config, Json, Office, Why, open_office, parse_date
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.errors import Refused

webhooks = typer.Typer(help="Events on their way to the mail platform.", no_args_is_help=True)


@webhooks.command("deliver")
def deliver(config: Config = None, json: Json = False) -> None:
    """Deliver the events that are new, or due to be tried again."""
    from dataclasses import asdict

    from lifecycle_jobs.webhooks.deliver import deliver_webhooks

    with open_office(config) as office:
        _require_receiver(office)
        with progress_bar() as shown, stoppable(shown) as progress:
            report = deliver_webhooks(office.store, office.settings, progress)
        if json:
            print_json(asdict(report))
        else:
            found = {"delivered": report.delivered, "failed": report.failed, "waiting": report.waiting}
            say(counts(found) or "No events are waiting.")
        if report.stopped:
            complain(f"Delivery stopped early: {report.stopped}. The rest stays queued.")
        if report.stopped or report.failed:
            raise typer.Exit(1)


@webhooks.command("replay")
def replay(
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="The first business date, as 2027-03-31.")],
    until: Annotated[str | None, typer.Option("--until", metavar="DATE", help="The last one; default: to now.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only events of this kind, e.g. box.deleted.")] = None,
    config: Config = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Queue events again, delivered or not, under the ids they had. The daemon, or `webhooks deliver`, sends them.

    A receiver that acts on everything it is told would block again who has renewed meanwhile: it must go by webhook-id
    or `sequence`.
    """
    from lifecycle_jobs.webhooks.replay import Period, replay

    period = Period(parse_date(since), None if until is None else parse_date(until), kind)
    if period.until is not None and period.until < period.since:
        message = f"--until {period.until} lies before --since {period.since}."
        raise Refused(message)
    with open_office(config) as office:
        operator = office.operator(by, why)
        with progress_bar() as shown, stoppable(shown) as progress:
            number = replay(office.store, office.settings, operator, period, progress)
    say(f"Queued again: {number:,} events. To send them now: lifecycle-jobs webhooks deliver")


@webhooks.command("skip-numbers")
def skip_numbers(
    number: Annotated[
        int | None,
        typer.Option(
            "--number", help="How many; far more than the lost days' events (default: 10,000,000).", show_default=False
        ),
    ] = None,
    config: Config = None,
    by: By = None,
    why: Why = None,
) -> None:
    """After a restored backup: number new events past all that the lost days can have used.

    Otherwise the platform, which goes by `sequence`, takes what happens from now on for out of date.
    """
    from lifecycle_jobs.webhooks.numbering import ENOUGH, skip_numbers

    with open_office(config) as office:
        after = skip_numbers(office.store, office.operator(by, why), ENOUGH if number is None else number)
    say(f"Events are numbered from {after + 1} on.")


@webhooks.command("list")
def list_waiting(config: Config = None, json: Json = False) -> None:
    """List what waits for the mail platform's answer, the oldest first."""
    from lifecycle_jobs import status as state

    with open_office(config) as office, office.store.read() as connection:
        found = state.list_webhooks(connection)
    if json:
        print_json(found.rows)
    elif not found.total:
        say("No events are waiting.")
    else:
        for row in found.rows:
            row["age"] = timedelta(seconds=row.pop("seconds"))
        show_listing("Waiting for the mail platform", found)


@webhooks.command("test")
def send_test(config: Config = None, json: Json = False) -> None:
    """Send one signed event of the type webhooks.test, about nobody, and say what was answered."""
    from lifecycle_jobs.stops import Switch
    from lifecycle_jobs.webhooks.envelope import rehearsed
    from lifecycle_jobs.webhooks.requests_in_flight import Receiver

    with open_office(config) as office:
        _require_receiver(office)
        Switch(office.store).check()
        receiver = Receiver(office.settings.webhooks)
        answer = receiver.send(rehearsed(f"test_{uuid.uuid4().hex}", clock.now()))
        receiver.close()
    if json:
        print_json({"taken": answer.taken, "said": answer.said})
    elif answer.taken:
        say(f"Taken: {answer.said}.")
    else:
        complain(f"Not taken: {answer.said}.")
    if not answer.taken:
        raise typer.Exit(1)


def _require_receiver(office: Office) -> None:
    if not office.settings.webhooks.url:
        message = "webhooks.url is empty: there is nobody to send events to. Nothing was done."
        raise Refused(message)
