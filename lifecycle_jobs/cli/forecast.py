"""`forecast`: how much money, mail and deletion is coming."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs.cli.output import complain, print_json, say, table
from lifecycle_jobs.cli.setting import Config, Json, open_office
from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.forecast.contents import Forecast


def forecast(
    months: Annotated[int, typer.Option("--months", min=1, max=60, help="How many months ahead.")] = 12,
    by_day: Annotated[bool, typer.Option("--days", help="Show every day instead of every month.")] = False,
    decline_rate: Annotated[
        str | None,
        typer.Option(
            "--decline-rate",
            metavar="KIND=RATE",
            help="Share of charges that are declined, as card=0.05,paypal=0.03 (default: those of the last year).",
            show_default=False,
        ),
    ] = None,
    hard_share: Annotated[
        float | None,
        typer.Option(
            "--hard-share",
            min=0,
            max=1,
            help="Share of declines after which the same card is not tried again (default: the last year's).",
            show_default=False,
        ),
    ] = None,
    manual_rate: Annotated[
        float | None,
        typer.Option(
            "--manual-rate",
            min=0,
            max=1,
            help="Share of terms without auto-renewal that are paid by hand (default: the last year's).",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every day to a CSV file.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw it as a PNG picture.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it as an SVG picture.")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what the months ahead bring under today's policy: money, e-mails, suspensions, deletions. Writes nothing."""
    from lifecycle_jobs.forecast import forecast as foretell
    from lifecycle_jobs.forecast.last_year import Given
    from lifecycle_jobs.forecast.picture import draw, require_matplotlib
    from lifecycle_jobs.forecast.showing import as_csv

    given = Given(_rates(decline_rate), hard_share, manual_rate)
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
        _write(csv, as_csv(found))
    for file in pictures.values():
        try:
            draw(found, file)
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error.strerror}") from error
    if json:
        print_json(found.as_dict())
    else:
        _show(found, by_day=by_day)


def _rates(text: str | None) -> Mapping[str, float]:
    """`card=0.05,paypal=0.03`."""
    from lifecycle_jobs.forecast.last_year import CHARGED_KINDS

    rates = {}
    for part in (text or "").split(",") if text else ():
        kind, _, number = part.strip().partition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = -1.0
        if kind not in CHARGED_KINDS or not 0 <= rate <= 1:
            message = f"--decline-rate {part!r}: write it as card=0.05,paypal=0.03, each from 0 to 1"
            raise Refused(message)
        rates[kind] = rate
    return rates


def _write(file: Path, text: str) -> None:
    from lifecycle_jobs.forecast.files import write_whole

    try:
        with write_whole(file) as unfinished:
            unfinished.write(text.encode())
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error


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
