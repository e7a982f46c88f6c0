"""What is assumed of months ahead where the last year is not asked, as options of `forecast` and `simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.forecast.last_year import Given

DeclineRate = Annotated[
    str | None,
    typer.Option(
        "--decline-rate",
        metavar="KIND=RATE",
        help="Share of charges that are declined, as card=0.05,paypal=0.03 (default: those of the last year).",
        show_default=False,
    ),
]
HardShare = Annotated[
    float | None,
    typer.Option(
        "--hard-share",
        min=0,
        max=1,
        help="Share of declines after which the same card is not tried again (default: the last year's).",
        show_default=False,
    ),
]
ManualRate = Annotated[
    float | None,
    typer.Option(
        "--manual-rate",
        min=0,
        max=1,
        help="Share of terms without auto-renewal that are paid by hand (default: the last year's).",
        show_default=False,
    ),
]


def given_rates(decline_rate: str | None, hard_share: float | None, manual_rate: float | None) -> Given:
    """What was typed. Raises Refused for a rate that is none."""
    from lifecycle_jobs.forecast.last_year import CHARGED_KINDS, Given

    rates = {}
    for part in (decline_rate or "").split(",") if decline_rate else ():
        kind, _, number = part.strip().partition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = -1.0
        if kind not in CHARGED_KINDS or not 0 <= rate <= 1:
            message = f"--decline-rate {part!r}: write it as card=0.05,paypal=0.03, each from 0 to 1"
            raise Refused(message)
        rates[kind] = rate
    return Given(rates, hard_share, manual_rate)
