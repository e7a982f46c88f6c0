"""`run` and `replay`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lifecycle_jobs.cli.output import complain, console, counts, print_json, progress_bar, say, table, warn
from lifecycle_jobs.cli.plan import action_as_dict, show_difference
from lifecycle_jobs.cli.setting import By, Config, Json, Office, Why, open_office, parse_date
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.day import DayReport, Wish
    from lifecycle_jobs.operators import Operator
    from lifecycle_jobs.runs import JobReport
    from lifecycle_jobs.watching.noticing import Unusual

DryRun = Annotated[bool, typer.Option("--dry-run", help="Write, charge and mail nothing; print what would happen.")]
Again = Annotated[bool, typer.Option("--again", help="Look for everything once more on a completed date.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE", help="Send milestones after this date (instead of the last completed run)."
    ),
]
Approve = Annotated[
    int | None,
    typer.Option("--approve-deletions", metavar="N", min=1, help="Let exactly N boxes be deleted in this run."),
]
ByPlan = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="HASH",
        help="Do the day only if it still does what this plan says; approves what is too many of it.",
    ),
]
AllowFuture = Annotated[bool, typer.Option("--allow-future", help="Run a date in the future although mail leaves.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, max=256, help="Share suspending, deleting, warning and e-mails among N."
    ),
]
EngineName = Annotated[
    Literal["local", "dask"] | None,
    typer.Option(
        "--engine",
        help="Who the workers are: processes here, or a Dask cluster (which does no e-mails).",
        show_default=False,
    ),
]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", metavar="ADDRESS", help="The Dask scheduler, as tcp://10.0.0.7:8786.")
]
_SHOWN = 50


def run(
    config: Config = None,
    json: Json = False,
    dry_run: DryRun = False,
    again: Again = False,
    since: Since = None,
    approve_deletions: Approve = None,
    plan: ByPlan = None,
    accept_gap: Annotated[
        bool, typer.Option("--accept-gap", help="Go on although the last completed run is too far away.")
    ] = False,
    workers: Workers = None,
    engine: EngineName = None,
    scheduler: Scheduler = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Do today's business date: reconcile, renew, suspend, delete, warn, and write to the holders."""
    from lifecycle_jobs.gates import check_gap

    with _manned(config, workers, engine, scheduler) as office:
        wish = _wish(since, plan, again=again, approve_deletions=approve_deletions, dry_run=dry_run)
        if not dry_run:
            if accept_gap:
                confirm_suspected(office, office.operator(by, why))
            check_gap(office.store, office.settings, office.today)
        _do(office, [office.today], wish, dry_run=dry_run, json=json, by=by, why=why)


def confirm_gap(config: Config = None, by: By = None, why: Why = None) -> None:
    """Say that the last run is rightly too far from today: a daemon that waits goes on."""
    with open_office(config) as office:
        latest = confirm_suspected(office, office.operator(by, why))
        if latest is None:
            say("No gap is suspected. Nothing was changed.")
        else:
            say(f"Confirmed: work goes on after the run of {latest}.")


def confirm_suspected(office: Office, operator: Operator) -> date | None:
    """Confirm the gap that is suspected today; returns the last completed run, or none if there is no such gap."""
    from lifecycle_jobs.gates import suspected_gap
    from lifecycle_jobs.operators import confirm_gap

    with office.store.read() as connection:
        latest = suspected_gap(connection, office.settings, office.today)
    if latest is not None:
        confirm_gap(office.store, operator, latest)
    return latest


def replay(
    day: Annotated[str, typer.Argument(metavar="DATE", help="The business date, as 2027-03-31.")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Do every date from DATE to this one, in order.")
    ] = None,
    config: Config = None,
    json: Json = False,
    dry_run: DryRun = False,
    again: Again = False,
    since: Since = None,
    approve_deletions: Approve = None,
    plan: ByPlan = None,
    allow_future: AllowFuture = False,
    workers: Workers = None,
    engine: EngineName = None,
    scheduler: Scheduler = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Do a given business date, or several in order."""
    from lifecycle_jobs.gates import check_date

    with _manned(config, workers, engine, scheduler) as office:
        first = parse_date(day)
        last = first if until is None else parse_date(until)
        if last < first:
            message = f"--until {last} lies before {first}."
            raise Refused(message)
        if plan is not None and last > first:
            message = f"--plan is the plan of one date: leave out --until {last}."
            raise Refused(message)
        if not dry_run:
            check_date(office.settings, last, office.today, allow_future=allow_future)
        wish = _wish(since, plan, again=again, approve_deletions=approve_deletions, dry_run=dry_run)
        _do(office, _dates(first, last), wish, dry_run=dry_run, json=json, by=by, why=why)


@contextmanager
def _manned(
    config: Path | None, workers: int | None, engine: Literal["local", "dask"] | None, scheduler: str | None
) -> Iterator[Office]:
    """The office with the workers that were asked for, or those of the settings."""
    with open_office(config) as office:
        yield office.manned(count=workers, engine=engine, scheduler=scheduler)


def _dates(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _wish(since: str | None, plan: str | None, *, again: bool, approve_deletions: int | None, dry_run: bool) -> Wish:
    from lifecycle_jobs.day import Wish

    if plan is not None and approve_deletions is not None:
        message = "--plan approves the deletions of the plan already: leave out --approve-deletions."
        raise Refused(message)
    if plan is not None and dry_run:
        message = "--plan is for doing what the plan says; to only look, --dry-run without it, or lifecycle-jobs plan."
        raise Refused(message)
    return Wish(
        since=None if since is None else parse_date(since),
        again=again,
        approve_deletions=approve_deletions,
        plan=plan,
    )


def _do(
    office: Office,
    dates: Any,
    wish: Wish,
    *,
    dry_run: bool,
    json: bool,
    by: str | None,
    why: str | None,
) -> None:
    from lifecycle_jobs.day import Wish
    from lifecycle_jobs.planning.day_plan import AnotherPlan, do_day
    from lifecycle_jobs.planning.rehearsal import dry_run as do_nothing

    operator = office.operator(by, why)
    reports: list[DayReport] = []
    do = do_nothing if dry_run else do_day

    def advance(name: str, rows: int) -> None:
        bar(name, rows)

    # One for all dates: a signal that comes between two of them must not be forgotten.
    with stoppable(advance) as progress:
        for on in dates:
            try:
                with progress_bar() as bar:
                    report = do(office.store, office.settings, on, operator, wish, progress)
            except KeyboardInterrupt:
                complain("Interrupted. What was committed stays done; the same command continues.")
                raise typer.Exit(130) from None
            except AnotherPlan as changed:
                if changed.difference is not None and not json:
                    show_difference(changed.difference)
                raise
            reports.append(report)
            # What was asked for beyond the date was meant for the first one: after it, W follows from the run before.
            wish = Wish(again=wish.again)
            if not json:
                show(report)
    if json:
        documents = [as_dict(report) for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
    if any(report.failures for report in reports):
        raise typer.Exit(1)


def as_dict(report: DayReport) -> dict[str, Any]:
    """A run for `--json`."""
    from lifecycle_jobs.languages import Speech

    english = Speech("en")
    return {
        "date": report.on,
        "pass": report.run_pass,
        "nothing_to_do": report.run_pass is None,
        "jobs": [
            {
                "job": job.job,
                "done": job.done,
                "skipped": job.skipped,
                "parked": job.parked,
                "refused": job.refused,
                "seconds": round(job.seconds, 3),
            }
            for job in report.jobs
        ],
        "messages": {
            "composed": report.queued,
            "sent": report.delivery.sent,
            "moot": report.delivery.moot,
            "failed": report.delivery.failed,
            "parked": report.delivery.parked,
            "deferred": report.delivery.deferred,
            "elsewhere": report.delivery.elsewhere,
            "seconds": {"compose": round(report.compose_seconds, 3), "deliver": round(report.delivery_seconds, 3)},
        },
        "unresolved_charges": report.unresolved_charges,
        "failures": report.failures,
        "unusual": [unusual_as_dict(each) for each in report.unusual],
        "seconds": round(report.seconds, 3),
        **(
            {}
            if report.would_do is None
            else {"would_do": [action_as_dict(action, english) for action in report.would_do]}
        ),
    }


def unusual_as_dict(unusual: Unusual) -> dict[str, Any]:
    """What is unusual, for `--json`."""
    from lifecycle_jobs.watching.telling import told

    return asdict(unusual) | {"told": told(unusual)}


def show(report: DayReport) -> None:
    """A run for a person: the table of the day, then what needs attention."""
    if report.run_pass is None:
        say(f"{report.on} is completed already: nothing to do. (--again looks for everything once more.)")
        return
    rehearsed = report.would_do is not None
    title = f"{report.on}: what would happen" if rehearsed else f"{report.on}"
    if report.run_pass > 1:
        title += f" (pass {report.run_pass})"
    from lifecycle_jobs.watching.telling import told

    rows = [
        (job.job, _done(job, report.unusual), counts(job.skipped, "\n"), job.parked or "", f"{job.seconds:.1f}")
        for job in report.jobs
    ]
    mail = report.delivery
    sent = {"sent": mail.sent, "moot": mail.moot, "failed": mail.failed, "deferred": mail.deferred}
    rows.append(
        ("messages", counts({"composed": report.queued} | sent, "\n"), "", mail.parked or "", _mail_seconds(report))
    )
    columns = ("job", "done", "left alone, and why", "parked", "seconds")
    table(title, columns, rows, right=("parked", "seconds"))
    for action in (report.would_do or [])[:_SHOWN]:
        say(f"  would: {action.what}  {action.address or action.customer_id}  (term to {action.term_expires_on})")
    if len(report.would_do or []) > _SHOWN:
        say(f"  … and {len(report.would_do or []) - _SHOWN:,} more; all of them with --json")
    if mail.elsewhere:
        say("Another process is delivering; the messages are left to it, and to whoever delivers after it: a daemon, a")
        say("timer, or lifecycle-jobs deliver.")
    for failure in report.failures:
        complain(f"! {failure}")
    for each in report.unusual:
        if not each.stopped:  # the job has said so
            warn(f"? Unusual: {told(each)}")
    console.file.flush()


def _done(job: JobReport, unusual: Sequence[Unusual]) -> str:
    """What a job did, with what is usual beside what is not."""
    from lifecycle_jobs.watching.telling import about

    beside = {each.what: f"  (usually {about(each)})" for each in unusual if each.job == job.job and not each.stopped}
    done = {what: 0 for what in beside if "." in what} | job.done
    return "\n".join(
        f"{what} {number:,}{beside.get(what, '')}" for what, number in done.items() if number or what in beside
    )


def _mail_seconds(report: DayReport) -> str:
    return f"{report.compose_seconds + report.delivery_seconds:.1f}"
