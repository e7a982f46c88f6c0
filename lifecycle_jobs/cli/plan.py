"""`plan`: what a day is going to do, box by box, before it does it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifecycle_jobs.cli.output import print_json_list, progress_bar, say, table
from lifecycle_jobs.cli.setting import By, Config, Json, Office, open_office, parse_date
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.cli.wording import Locale, Wording, wording
from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.day import Wish
    from lifecycle_jobs.jobs.actions import Action
    from lifecycle_jobs.languages import Speech
    from lifecycle_jobs.planning.day_plan import DayPlan, Difference

_SHOWN = 50
_COLUMNS = ("job", "what", "address", "customer_id", "addon_id", "term_expires_on", "amount", "why")


def plan(
    day: Annotated[
        str | None, typer.Argument(metavar="[DATE]", help="The business date; today if left out.", show_default=False)
    ] = None,
    config: Config = None,
    locale: Locale = None,
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

    words = wording(locale)
    with open_office(config) as office, scratch_file() as path:
        on = office.today if day is None else parse_date(day)
        wish = Wish(again=again, since=None if since is None else parse_date(since))
        found = _make(office, on, wish, by, path)
        if csv_file is not None:
            _write_csv(csv_file, found.actions(), words.speech)
        if json:
            actions = (action_as_dict(action, words.speech) for action in _actions(found, box))
            print_json_list(_as_dict(words, office, found), "actions", actions)
            return
        _show(words, office, found, box, wish)
        if csv_file is not None:
            say(words.speech("Every action is in {file}.", file=csv_file))


def show_difference(difference: Difference) -> None:
    """What has changed between the plan that was named and the one that holds now."""
    words = wording(None)
    gone, come = words.speech.number(difference.number_gone), words.speech.number(difference.number_come)
    _show_actions(words, words.speech("No longer done: {number}", number=gone), difference.gone, difference.number_gone)
    _show_actions(
        words, words.speech("Done in addition: {number}", number=come), difference.come, difference.number_come
    )


def action_as_dict(action: Action, speech: Speech) -> dict[str, Any]:
    """An action for `--json`: codes, dates and amounts as machines read them, and why, in a language."""
    from lifecycle_jobs.history import euros
    from lifecycle_jobs.reasons import amount_cents, because

    cents = amount_cents(action.detail)
    return {
        "job": action.job,
        "what": action.what,
        "address": action.address,
        "customer_id": action.customer_id,
        "addon_id": action.addon_id,
        "term_expires_on": action.term_expires_on,
        "amount": None if cents is None else euros(cents),
        "why": because(speech, action.what, action.term_expires_on, action.detail),
        "detail": action.detail,
    }


def _make(office: Office, on: date, wish: Wish, by: str | None, path: Path) -> DayPlan:
    from lifecycle_jobs.planning.day_plan import plan_day

    def advance(name: str, rows: int) -> None:
        bar(name, rows)

    with stoppable(advance) as progress, progress_bar() as bar:
        return plan_day(office.store, office.settings, on, office.operator(by), wish, progress, into=path)


def _as_dict(words: Wording, office: Office, found: DayPlan) -> dict[str, Any]:
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
        "notes": list(_notes(words, office, found)),
    }


def _show(words: Wording, office: Office, found: DayPlan, box: str | None, wish: Wish) -> None:
    speech = words.speech
    if box is None:
        _show_totals(words, found)
    actions = list(islice(_actions(found, box), _SHOWN))
    number = sum(1 for _ in _actions(found, box))
    if number:
        whose = speech("Box by box") if box is None else box
        _show_actions(words, f"{whose}: {speech.number(number)}", actions, number)
    elif box is None:
        say(speech("Nothing would be done on {on}.", on=found.on))
    else:
        say(speech("Nothing would be done to {box} on {on}.", box=box, on=found.on))
    for note in _notes(words, office, found):
        say(note)
    say(speech("Hash of this plan: {hash}", hash=found.digest), style="bold")
    if found.totals:
        command = _command(office, found, wish)
        say(speech("To do just this and nothing else: {command}", command=command))


def _command(office: Office, found: DayPlan, wish: Wish) -> str:
    """What does the plan. A run that is not asked for the same would have another plan, and do nothing."""
    day = "run" if found.on == office.today else f"replay {found.on}"
    again = " --again" if wish.again else ""
    since = "" if wish.since is None else f" --since {wish.since}"
    return f"lifecycle-jobs {day}{again}{since} --plan {found.digest}"


def _show_totals(words: Wording, found: DayPlan) -> None:
    from lifecycle_jobs.history import euros

    speech = words.speech
    rows: list[tuple[Any, ...]] = []
    for job in found.report.jobs:
        totals = [(what, total) for (name, what), total in found.totals.items() if name == job.job]
        rows.append(
            (
                words.code("job", job.job),
                "\n".join(words.code("event", what) for what, _ in totals),
                "\n".join(speech.number(total.number) for _, total in totals),
                "\n".join("" if total.cents is None else euros(total.cents) for _, total in totals),
                words.counts("skip", job.skipped),
            )
        )
    rows.append((speech("messages"), speech("composed"), speech.number(found.report.queued), "", ""))
    number = speech("number")
    columns = (speech("job"), speech("would do"), number, "EUR", speech("leaves alone, and why"))
    table(speech("Plan of {on}", on=found.on), columns, rows, right=(number, "EUR"))


def _show_actions(words: Wording, title: str, actions: Sequence[Action], number: int) -> None:
    if not number:
        return
    speech = words.speech
    rows = [
        (words.code("event", told["what"]), told["address"] or told["customer_id"], told["amount"], told["why"])
        for told in (action_as_dict(action, speech) for action in actions)
    ]
    table(title, (speech("what"), speech("box"), "EUR", speech("why")), rows, right=("EUR",))
    if number > len(actions):
        more = speech.number(number - len(actions))
        say(speech("… and {number} more; all of them with --csv FILE", number=more))


def _notes(words: Wording, office: Office, found: DayPlan) -> Iterator[str]:
    from lifecycle_jobs.planning.notes import notes_of
    from lifecycle_jobs.stops import Switch

    return notes_of(words.speech, found, office.settings, office.today, Switch(office.store).stopped())


def _actions(found: DayPlan, box: str | None) -> Iterator[Action]:
    return found.actions() if box is None else found.of_box(box)


def _write_csv(path: Path, actions: Iterable[Action], speech: Speech) -> None:
    """All or nothing: a file cut off in the middle would be taken for the whole plan. Only its owner may read it."""
    from lifecycle_jobs.whole_files import write_whole

    try:
        with write_whole(path, private=True) as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(_COLUMNS)
            for told in (action_as_dict(action, speech) for action in actions):
                writer.writerow([told[column] for column in _COLUMNS])
            text.flush()
            text.detach()
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
