"""`report`: what a day did, what waits for a person, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs import clock
from lifecycle_jobs.cli.output import complain, print_json, progress_bar, say, table, warn
from lifecycle_jobs.cli.review import show_listing
from lifecycle_jobs.cli.setting import Config, Json, Office, open_office, parse_date
from lifecycle_jobs.cli.stopping import stoppable

if TYPE_CHECKING:
    from datetime import date

    from lifecycle_jobs.report.contents import DailyReport


def report(
    day: Annotated[
        str | None,
        typer.Argument(
            metavar="DATE", help="The business date (default: the last completed run's).", show_default=False
        ),
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it to report.to as well, even if it was sent.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the daily report: the day, what waits for a person, and the next 7 days."""
    from lifecycle_jobs import runs
    from lifecycle_jobs.report.reading import read_report
    from lifecycle_jobs.report.sending import send_now, was_sent

    with open_office(config) as office:
        store, settings = office.store, office.settings
        if day is None:
            with store.read() as connection:
                on = runs.latest_completed(connection) or office.today
        else:
            on = parse_date(day)
        as_of = max(on, office.today)  # a day that was rehearsed ahead of its time is seen from that day
        found = read_report(store, settings, on, as_of)
        if json:
            print_json(found.as_dict())
        else:
            _show(found)
        if not send:
            return
        late = None if day is not None else _owed_after(office, on)
        if late is not None:
            complain(
                f"! The run of {late} is not completed, so there is no report of it. Look at: lifecycle-jobs status"
            )
            with store.read() as connection:
                if was_sent(connection, on):
                    complain(f"The report of {on} was sent before and is not sent again.")
                    raise typer.Exit(1)
        with progress_bar() as shown, stoppable(shown) as progress:
            sent = send_now(store, settings, on, as_of, progress)
        if sent.status != "sent":
            complain(f"The report was not sent ({sent.response}).")
            raise typer.Exit(1)
        if not json:
            say("The report was sent.")
        if late is not None:
            raise typer.Exit(1)


def _owed_after(office: Office, on: date) -> date | None:
    """The business date after `on` whose run ought to be completed by now, if there is one."""
    from lifecycle_jobs.daemon import owed

    with office.store.read() as connection:
        due = owed(connection, office.settings, clock.now())
    return due if due is not None and due > on else None


def _show(found: DailyReport) -> None:
    from lifecycle_jobs.watching.telling import told

    if found.stop:
        complain(f"! The emergency stop is on ({found.stop}). Nothing begins until: lifecycle-jobs resume")
    if found.gap:
        complain(
            f"! The last completed run is that of {found.gap}: a restored backup or a wrong clock is suspected, and "
            "nothing is done by itself. If all is right: lifecycle-jobs confirm-gap"
        )
    if found.run is None:
        complain(f"! There is no run of {found.on}.")
    elif not found.completed:
        complain(f"! The run of {found.on} is not finished: lifecycle-jobs replay {found.on} continues it.")
    say(f"Report of {found.on}: {f'{found.to_do:,} to look at' if found.to_do else 'all is well'}.", style="bold")
    for sentence in found.problems:
        complain(f"! {sentence}")
    for each in found.unusual:
        if not each.stopped:
            warn(f"? Unusual: {told(each)}")
    for title, listing in (
        ("Parked, because it failed (lifecycle-jobs parked retry)", found.parked),
        ("Payments to be refunded (lifecycle-jobs refunds)", found.refunds_due),
        ("Disputes, refunds and contradictions told by the gateway", found.notices),
        ("Unresolved charges (lifecycle-jobs reconcile)", found.unresolved),
        ("Messages of the last 7 days that cannot be delivered", found.failed_messages),
        ("Held back from deletion", found.held_back),
        ("Renewals that could not be tried", found.not_attempted),
    ):
        show_listing(title, listing)
    columns = ("what happened", "this day", "day before", "a week before")
    counted = [
        (count.kind, f"{count.number:,}", f"{count.day_before:,}", f"{count.week_before:,}") for count in found.counts
    ]
    table(f"{found.on}", columns, counted, right=columns[1:])
    show_listing("Deleted", found.deletions)
    ahead = (
        "day",
        "expiry alerts",
        "renewal notices",
        "first charges",
        "suspended if auto-renewal fails",
        "suspended if nobody pays",
        "reach deletion",
    )
    days = [
        (
            f"{coming.on:%a} {coming.on}",
            coming.expiry_alerts,
            coming.renewal_notices,
            coming.first_charges,
            coming.ended_automatic,
            coming.ended_by_hand,
            coming.deletions,
        )
        for coming in found.coming
    ]
    table("The next 7 days, in boxes, if nobody does anything", ahead, days, right=ahead[1:])
