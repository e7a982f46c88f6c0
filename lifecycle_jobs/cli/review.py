"""`status`, `parked` and `deletions`: what waits for a person, and the person's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifecycle_jobs.cli.days import as_dict, show
from lifecycle_jobs.cli.output import complain, counts, print_json, progress_bar, say, table, warn
from lifecycle_jobs.cli.setting import By, Config, Json, Why, open_office
from lifecycle_jobs.cli.stopping import stoppable

if TYPE_CHECKING:
    from lifecycle_jobs.status import Listing

parked = typer.Typer(help="Rows that failed and were set aside.", no_args_is_help=True)
deletions = typer.Typer(help="Boxes that are up for deletion.", no_args_is_help=True)


def status(
    config: Config = None,
    json: Json = False,
    last: Annotated[int, typer.Option("--last", min=1, help="How many runs to show.")] = 3,
) -> None:
    """Show the last runs, and everything that waits for a person."""
    from lifecycle_jobs.status import read_status
    from lifecycle_jobs.watching.telling import told

    with open_office(config) as office:
        found = read_status(office.store, office.settings, office.today, last_runs=last)
        if json:
            print_json(found.as_dict())
            return
        say(f"Business date {found.on}. Boxes: {counts(found.boxes) or 'none'}.")
        if found.stopped:
            complain(f"! The emergency stop is on ({found.stopped}). Nothing begins until: lifecycle-jobs resume")
        if found.gap:
            complain(
                f"! The last completed run is that of {found.gap}: a restored backup or a wrong clock is suspected, "
                "and nothing is done by itself. If all is right: lifecycle-jobs confirm-gap"
            )
        if found.daemon:
            say(f"The daemon is {found.daemon}.")
        if found.under_way:
            say(f"A run is under way: {found.under_way}.")
        if not found.runs:
            say("No run yet.")
        for run in found.runs:
            _show_run(run)
        for each in found.unusual:
            warn(f"? Unusual: {told(each)}")
        say(f"Messages: {counts(found.messages) or 'none'}.")
        show_listing("Parked, because it failed (lifecycle-jobs parked retry)", found.parked)
        show_listing("Unresolved charges (lifecycle-jobs reconcile)", found.unresolved_charges)
        show_listing("Unapplied payments (lifecycle-jobs refunds, or payments apply)", found.refunds_due)
        show_listing("Renewals that could not be tried", found.not_attempted)
        show_listing("Messages not sent", found.unsent_messages)
        if found.webhooks_waiting:
            since = found.webhooks_waiting_since
            oldest = "" if since is None else f", the oldest since {since:%Y-%m-%d %H:%M} UTC"
            say(f"Webhooks waiting: {found.webhooks_waiting:,}{oldest} (lifecycle-jobs webhooks list).")
        show_listing("Deletions that the mail platform has not confirmed", found.deletions_pending)
        show_listing("Suspensions that the mail platform has not confirmed", found.suspensions_pending)
        show_listing("Held back from deletion", found.held_back_from_deletion)
        show_listing("Charged without a renewal notice 30 days before", found.charged_without_notice)
        show_listing("Disputes, refunds and contradictions told by the gateway", found.told_by_gateway)
        show_listing(
            "Reports to the staff that were not sent (lifecycle-jobs report DATE --send)", found.unsent_reports
        )


@parked.command("list")
def list_parked(config: Config = None, json: Json = False) -> None:
    """List what is parked, and why."""
    from lifecycle_jobs import status as state

    with open_office(config) as office, office.store.read() as connection:
        found = state.list_parked(connection)
        if json:
            print_json(found.rows)
        elif found.total:
            show_listing("Parked", found)
        else:
            say("Nothing is parked.")


@parked.command("retry")
def retry_parked(config: Config = None, json: Json = False, by: By = None, why: Why = None) -> None:
    """Take up everything that is parked, on the date of the latest completed run."""
    from lifecycle_jobs.between_runs import take_up_parked

    with open_office(config) as office:
        with progress_bar() as shown, stoppable(shown) as progress:
            report = take_up_parked(office.store, office.settings, office.operator(by, why), progress)
        if report is None:
            say("Nothing is parked.")
            return
        if json:
            print_json(as_dict(report))
        else:
            show(report)
        if report.failures:
            raise typer.Exit(1)


@deletions.command("approve")
def approve(
    address: Annotated[str, typer.Argument(help="The box's address.")],
    config: Config = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Let a box be deleted on its day although no warning could be delivered to its holder."""
    from lifecycle_jobs.operators import approve_box

    with open_office(config) as office:
        expires_on = approve_box(office.store, office.operator(by, why), address)
        say(f"Approved: {address} (paid until {expires_on}) may be deleted once its day has come.")


@deletions.command("list")
def list_held_back(config: Config = None, json: Json = False) -> None:
    """List the boxes whose day has come and that are not deleted, and why."""
    from lifecycle_jobs import status as state

    with open_office(config) as office:
        found = state.list_held_back(office.store, office.settings, office.today)
        if json:
            print_json(found.rows)
        elif found.total:
            show_listing("Held back from deletion", found)
        else:
            say("No box is held back from deletion.")


def _show_run(run: dict[str, Any]) -> None:
    state = run["state"] if run["state"] != "running" else "not finished (run the date again to continue it)"
    rows = [
        (
            job["job"],
            counts(job["counts"], "\n"),
            counts(job["skipped"], "\n"),
            job["parked"] or "",
            f"{job['seconds']:.1f}",
        )
        for job in run["jobs"]
    ]
    columns = ("job", "done", "left alone, and why", "parked", "seconds")
    table(f"Run of {run['run_on']}: {state}", columns, rows, right=("parked", "seconds"))
    for job in run["jobs"]:
        for failure in job["failures"]:
            complain(f"! {failure}")


def show_listing(title: str, found: Listing) -> None:
    """A table of the rows, under a title with their number; nothing if there are none."""
    if not found.total:
        return
    columns = list(found.rows[0])
    shown = f"{title}: {found.total:,}"
    if found.total > len(found.rows):
        shown += f" (the first {len(found.rows)} are shown)"
    rows = [[_cell(name, row[name]) for name in columns] for row in found.rows]
    table(shown, [name.removesuffix("_cents").replace("_", " ") for name in columns], rows)


def _cell(name: str, value: Any) -> Any:
    if name.endswith("_cents"):
        from lifecycle_jobs.history import euros

        return euros(value)
    return value
