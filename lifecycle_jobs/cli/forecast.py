"""`forecast`: how much money, mail and deletion is coming."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs.cli.assumed import DeclineRate, HardShare, ManualRate, given_rates
from lifecycle_jobs.cli.output import complain, print_json, say, table, write_text
from lifecycle_jobs.cli.setting import Config, Json, open_office
from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.forecast.contents import Forecast


def forecast(
    months: Annotated[int, typer.Option("--months", min=1, max=60, help="How many months ahead.")] = 12,
    by_day: Annotated[bool, typer.Option("--days", help="Show every day instead of every month.")] = False,
    decline_rate: DeclineRate = None,
    hard_share: HardShare = None,
    manual_rate: ManualRate = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every day to a CSV file.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw it as a PNG picture.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it as an SVG picture.")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what the months ahead bring under today's policy: money, e-mails, suspensions, deletions. Writes nothing."""
    from lifecycle_jobs.forecast import forecast as foretell
    from lifecycle_jobs.forecast.picture import draw, require_matplotlib
    from lifecycle_jobs.forecast.showing import as_csv

    given = given_rates(decline_rate, hard_share, manual_rate)
    pictures = {ending: file for ending, file in ((".png", png), (".svg", svg)) if file is not None}
    for ending, file in pictures.items():
        if file.suffix != ending:
            message = f"{file}: the name of such a picture ends in {ending}"
            raise Refused(message)
    if pictures:
        require_matplotlib()
    with open_office(config) as office:
        found = foretell(office.store, office.settings, office.today, months, given)
    if csv is not None:
        write_text(csv, as_csv(found))
    for file in pictures.values():
        try:
            draw(found, file)
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error.strerror}") from error
    if json:
        print_json(found.as_dict())
    else:
        _show(found, by_day=by_day)


def _show(found: Forecast, *, by_day: bool) -> None:
    from lifecycle_jobs.forecast import showing

    when = f"{found.days[0].on} to {found.days[-1].on}"
    rows = list(showing.days(found) if by_day else showing.months(found))
    name = "day" if by_day else "month"
    money = [(label, *cells) for label, cells, _ in rows]
    table(f"Money expected from {when}", (name, *showing.MONEY), money, right=showing.MONEY)
    ends = [(label, *cells) for label, _, cells in rows]
    table(f"Mail, suspensions and deletions expected from {when}", (name, *showing.ENDS), ends, right=showing.ENDS)
    columns = ("paid by", "renewals", "euros", "charges", "declined")
    table("Renewals by way of payment, VAT included", columns, list(showing.money(found)), right=columns[1:])
    say("Assumed:", style="bold")
    for sentence in found.assumptions:
        say(f"  {sentence}")
    left_out, over_the_cap = showing.left_out(found), showing.over_the_cap(found)
    if left_out is not None:
        say(f"  {left_out}")
    if over_the_cap is not None:
        complain(f"! {over_the_cap}")
