"""`simulate`: live through days to come on a copy, beside the forecast, or under several configurations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs import clock
from lifecycle_jobs.cli.assumed import DeclineRate, HardShare, ManualRate, given_rates
from lifecycle_jobs.cli.output import complain, print_json, progress_bar, say, table, write_text
from lifecycle_jobs.cli.setting import Json, parse_date, read_settings
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.errors import Refused, StopRequested

if TYPE_CHECKING:
    from lifecycle_jobs.settings import Settings
    from lifecycle_jobs.simulating import Days
    from lifecycle_jobs.simulating.contents import History

_THE_DEFAULT = "as configured"


def simulate(
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="First business date (default: the next to be run)."),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last business date (default: a year from the first).")
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            help="Configuration file; given again, another to compare, on the first one's database.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same history.")] = 1,
    decline_rate: DeclineRate = None,
    hard_share: HardShare = None,
    manual_rate: ManualRate = None,
    lost_answers: Annotated[
        float, typer.Option("--lost-answers", min=0, max=1, help="Share of charges whose answer is lost.")
    ] = 0.0,
    outages: Annotated[
        float, typer.Option("--outages", min=0, max=1, help="Share of days on which nobody reaches the bank.")
    ] = 0.0,
    approve_deletions: Annotated[
        bool, typer.Option("--approve-deletions", help="Let deletions above the cap go, as a person would.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FILE", help="Keep the copy, an SQLite file, to look at.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every day to a CSV file.")] = None,
    json: Json = False,
) -> None:
    """Live through days to come on a copy: nobody is charged or written to, and the database is only read."""
    from lifecycle_jobs import log
    from lifecycle_jobs.db.schema import require_current
    from lifecycle_jobs.db.session import open_to_read
    from lifecycle_jobs.simulating import Wanted, days_to_live
    from lifecycle_jobs.simulating import simulate as live_through
    from lifecycle_jobs.simulating.bank import Trouble
    from lifecycle_jobs.simulating.showing import as_csv

    given = given_rates(decline_rate, hard_share, manual_rate)
    configurations = _configurations(config or [])
    _check_keep(keep, configurations)
    settings = configurations[0][1]
    log.configure("error", settings.log.format)  # whoever reads the log must not take these for days that were done
    source = open_to_read(settings.database.url)
    try:
        require_current(source)
        days = days_to_live(
            source,
            clock.business_date(settings.zone),
            None if first is None else parse_date(first),
            None if last is None else parse_date(last),
        )
        wanted = Wanted(days, given, seed, Trouble(lost_answers, outages), approve_deletions)
        totals = {label: days.number for label, _ in configurations}
        with progress_bar(totals) as bar, stoppable(bar) as progress:
            histories = live_through(source, configurations, wanted, progress, keep_in=keep)
    except StopRequested as stop:
        raise StopRequested("Stopped as asked. The copy is gone, and nothing else was touched.") from stop
    finally:
        source.engine.dispose()
    if csv is not None:
        write_text(csv, as_csv(histories))
    if json:
        _print(histories, days, seed)
    else:
        _show(histories, days, seed)
        if keep is not None:
            _say_kept(keep, days)


def _configurations(files: Sequence[Path]) -> list[tuple[str, Settings]]:
    """Each with what it is called: the name of its file, or as much of its path as tells it from the others."""
    if not files:
        return [(_THE_DEFAULT, read_settings(None))]
    names = Counter(file.name for file in files)
    labels = [file.name if names[file.name] == 1 else str(file) for file in files]
    for label, times in Counter(labels).items():
        if times > 1:
            raise Refused(f"--config {label} is given {times} times: there is nothing to compare.")
    return [(label, read_settings(file)) for label, file in zip(labels, files, strict=True)]


def _check_keep(keep: Path | None, configurations: Sequence[object]) -> None:
    if keep is None:
        return
    if len(configurations) > 1:
        raise Refused("--keep is for one configuration: each has a copy of its own.")
    if keep.exists():
        raise Refused(f"{keep} is there already: a simulation replaces nothing.")
    if not keep.absolute().parent.is_dir():
        raise Refused(f"{keep} cannot be written: there is no folder {keep.absolute().parent}")


def _print(histories: Sequence[History], days: Days, seed: int) -> None:
    from lifecycle_jobs.simulating.comparing import difference

    print_json(
        {
            "first": days.first,
            "last": days.last,
            "seed": seed,
            "simulations": [history.as_dict() for history in histories],
            "differences": [difference(histories[0], other) for other in histories[1:]],
        }
    )


def _show(histories: Sequence[History], days: Days, seed: int) -> None:
    from lifecycle_jobs.simulating import showing
    from lifecycle_jobs.simulating.comparing import sentence, side_by_side

    for history in histories:
        say(f"{history.label}, simulated from {days.first} to {days.last}, seed {seed}", style="bold")
        _table("What happened (and what was forecast)", "month", showing.COLUMNS, showing.months(history))
        _table("Renewals by way of payment, VAT included", "paid by", showing.BY_WAY, showing.by_way(history))
        for told in showing.on_the_way(history):
            (complain if told.startswith("!") else say)(told)
    if len(histories) > 1:
        labels = [history.label for history in histories]
        _table(f"Side by side, {days.first} to {days.last}", "", labels, side_by_side(histories))
        for other in histories[1:]:
            say(sentence(histories[0], other), style="bold")
    say("Assumed by the forecast, and drawn at the same rates:", style="bold")
    for assumed in histories[0].assumptions:
        say(f"  {assumed}")
    say("A copy lived through these days. Nobody was charged or written to, and the database was only read.")


def _table(title: str, of: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> None:
    table(title, (of, *columns), [(name, *cells) for name, cells in rows], right=columns)


def _say_kept(keep: Path, days: Days) -> None:
    say(f"The copy is kept in {keep}, with the emergency stop on: the holders in it are the real ones. To look at it:")
    say(f"  LIFECYCLE_DATABASE__URL=sqlite:///{keep} lifecycle-jobs explain ADDRESS --on {days.last}")
