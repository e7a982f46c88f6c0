"""`plan`: what a day is going to do, box by box, before it does it."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifecycle_jobs.cli.output import counts, print_json, progress_bar, say, table
from lifecycle_jobs.cli.setting import By, Config, Json, Office, open_office, parse_date
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.reasons import amount_cents, because

if TYPE_CHECKING:
    from lifecycle_jobs.day import Wish
    from lifecycle_jobs.jobs.actions import Action
    from lifecycle_jobs.planning.day_plan import DayPlan, Difference

_SHOWN = 50
_COLUMNS = ("job", "what", "address", "customer_id", "addon_id", "term_expires_on", "amount", "why")


def plan(
    day: Annotated[
        str | None, typer.Argument(metavar="[DATE]", help="The business date; today if left out.", show_default=False)
    ] = None,
    config: Config = None,
    json: Json = False,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every action into this file.")
    ] = None,
    box: Annotated[str | None, typer.Option("--box", metavar="ADDRESS", help="Show only this box.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Plan a run with --again.")] = False,
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="Plan a run with this --since.")] = None,
    by: By = None,
) -> None:
    """Show what a day would do, and why, without doing it; `run --plan HASH` then does just that."""
    from lifecycle_jobs.day import Wish
    from lifecycle_jobs.planning.plan_file import scratch_file

    with open_office(config) as office, scratch_file() as path:
        on = office.today if day is None else parse_date(day)
        wish = Wish(again=again, since=None if since is None else parse_date(since))
        found = _make(office, on, wish, by, path)
        if csv_file is not None:
            _write_csv(csv_file, found.actions())
        if json:
            print_json(_as_dict(office, found, box))
            return
        _show(office, found, box)
        if csv_file is not None:
            say(f"Every action is in {csv_file}.")


def show_difference(difference: Difference) -> None:
    """What has changed between the plan that was named and the one that holds now."""
    for title, actions, number in (
        ("No longer done", difference.gone, difference.number_gone),
        ("Done in addition", difference.come, difference.number_come),
    ):
        _show_actions(f"{title}: {number:,}", actions, number)


def action_as_dict(action: Action) -> dict[str, Any]:
    """An action for `--json`."""
    from lifecycle_jobs.history import euros

    cents = amount_cents(action.detail)
    return {
        "job": action.job,
        "what": action.what,
        "address": action.address,
        "customer_id": action.customer_id,
        "addon_id": action.addon_id,
        "term_expires_on": action.term_expires_on,
        "amount": None if cents is None else euros(cents),
        "why": because(action.what, action.term_expires_on, action.detail),
        "detail": action.detail,
    }


def _make(office: Office, on: date, wish: Wish, by: str | None, path: Path) -> DayPlan:
    from lifecycle_jobs.planning.day_plan import plan_day

    def advance(name: str, rows: int) -> None:
        bar(name, rows)

    with stoppable(advance) as progress, progress_bar() as bar:
        return plan_day(office.store, office.settings, on, office.operator(by), wish, progress, into=path)


def _as_dict(office: Office, found: DayPlan, box: str | None) -> dict[str, Any]:
    from lifecycle_jobs.history import euros

    return {
        "date": found.on,
        "hash": found.digest,
        "nothing_to_do": found.report.run_pass is None,
        "totals": [
            {
                "job": job,
                "what": what,
                "number": total.number,
                "amount": None if total.cents is None else euros(total.cents),
            }
            for (job, what), total in found.totals.items()
        ],
        "skipped": {job.job: job.skipped for job in found.report.jobs},
        "parked": {job.job: job.parked for job in found.report.jobs},
        "messages": found.report.queued,
        "suspensions_only_by_this_plan": found.approve_suspensions,
        "deletions_only_by_this_plan": found.approve_deletions,
        "notes": list(_notes(office, found)),
        "actions": [action_as_dict(action) for action in _of_box(found.actions(), box)],
    }


def _show(office: Office, found: DayPlan, box: str | None) -> None:
    if box is None:
        _show_totals(found)
    actions = list(islice(_of_box(found.actions(), box), _SHOWN))
    number = sum(1 for _ in _of_box(found.actions(), box))
    if number:
        _show_actions(f"{box or 'Box by box'}: {number:,}", actions, number)
    else:
        say(f"Nothing would be done{'' if box is None else f' to {box}'} on {found.on}.")
    for note in _notes(office, found):
        say(note)
    say(f"Hash of this plan: {found.digest}", style="bold")
    if found.totals:
        command = "run" if found.on == office.today else f"replay {found.on}"
        say(f"To do just this and nothing else: lifecycle-jobs {command} --plan {found.digest}")


def _show_totals(found: DayPlan) -> None:
    from lifecycle_jobs.history import euros

    rows: list[tuple[Any, ...]] = []
    for job in found.report.jobs:
        totals = [(what, total) for (name, what), total in found.totals.items() if name == job.job]
        rows.append(
            (
                job.job,
                "\n".join(what for what, _ in totals),
                "\n".join(f"{total.number:,}" for _, total in totals),
                "\n".join("" if total.cents is None else euros(total.cents) for _, total in totals),
                counts(job.skipped, "\n"),
            )
        )
    rows.append(("messages", "composed", f"{found.report.queued:,}", "", ""))
    columns = ("job", "would do", "number", "EUR", "leaves alone, and why")
    table(f"Plan of {found.on}", columns, rows, right=("number", "EUR"))


def _show_actions(title: str, actions: Sequence[Action], number: int) -> None:
    if not number:
        return
    rows = [
        (told["what"], told["address"] or told["customer_id"], told["amount"], told["why"])
        for told in map(action_as_dict, actions)
    ]
    table(title, ("what", "box", "EUR", "why"), rows, right=("EUR",))
    if number > len(actions):
        say(f"… and {number - len(actions):,} more; all of them with --csv FILE")


def _notes(office: Office, found: DayPlan) -> Iterator[str]:
    """What the plan cannot know, and what stands in the way of the run."""
    from lifecycle_jobs.stops import Switch
    from lifecycle_jobs.watching.telling import told

    if found.report.run_pass is None:
        yield f"{found.on} is completed already. (--again looks for everything once more.)"
    if office.settings.gateway.kind != "sandbox":
        yield "What the gateway will answer cannot be known: every charge is planned as one that goes through."
    if found.on > office.today:
        yield f"The days before {found.on} are not played: it is planned as if it came now."
    for number, what in ((found.approve_suspensions, "suspensions"), (found.approve_deletions, "deletions")):
        if number is not None:
            yield f"{number:,} {what} are too many to be made unasked: only a run with this plan's hash makes them."
    for each in found.report.unusual:
        yield f"Unusual: {told(each)}"
    stop = Switch(office.store).stopped()
    if stop is not None:
        yield f"The emergency stop is on ({stop}): no run begins until lifecycle-jobs resume."


def _of_box(actions: Iterable[Action], box: str | None) -> Iterator[Action]:
    return (
        action
        for action in actions
        if box is None or (action.address is not None and action.address.lower() == box.lower())
    )


def _write_csv(path: Path, actions: Iterable[Action]) -> None:
    """All or nothing: a file cut off in the middle would be taken for the whole plan."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        unfinished = Path(file.name)
        try:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows([told[column] for column in _COLUMNS] for told in map(action_as_dict, actions))
            file.flush()
            os.fsync(file.fileno())
            unfinished.rename(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
