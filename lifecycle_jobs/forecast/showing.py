"""A forecast as rows: whole numbers by month or day for a person, every number by day for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from lifecycle_jobs.forecast.assumptions import Sentence
from lifecycle_jobs.forecast.contents import MESSAGES, Figures, Forecast
from lifecycle_jobs.history import euros
from lifecycle_jobs.languages import spoken

WAYS: Final = ("card", "paypal", "credit", "agreement", "free", "by_hand")
"""How renewals are paid, in the order in which they are shown."""

CHARGED: Final = ("card", "paypal", "credit")
"""Those that a charge is made for."""

MONEY: Final = ("expiring", "renewed", "euros", "declined charges", "add-ons short")
ENDS: Final = ("e-mails", "suspended", "deleted", "over the cap")
"""What a person is shown of a month or a day, in two tables that fit beside its name on a narrow terminal."""

Rows = Iterator[tuple[str, Sequence[str], Sequence[str]]]
"""Of each month or day its name, what it has under `MONEY`, and what under `ENDS`."""


def months(forecast: Forecast) -> Rows:
    """Each month, and all of them."""
    for month in forecast.months():
        yield (
            month_name(month.first, month.last),
            _money(month.figures),
            _ends(month.figures, _days(month.days_over_cap)),
        )
    total = forecast.total()
    yield "all", _money(total), _ends(total, _days([day.on for day in forecast.days if day.over_cap]))


def days(forecast: Forecast) -> Rows:
    """Each day; over the cap by how many."""
    for day in forecast.days:
        over_cap = f"by {round(day.figures.deleted) - day.cap:,}" if day.over_cap else ""
        yield day.on.isoformat(), _money(day.figures), _ends(day.figures, over_cap)


def money(forecast: Forecast) -> Iterator[Sequence[str]]:
    """A row for each way of payment: how many renewals, for how much, and the charges made for them."""
    total = forecast.total()
    for way in WAYS:
        if total.renewed[way] or total.charges[way]:
            charges = f"{total.charges[way]:,.0f}" if way in CHARGED else ""
            declined = f"{total.declined[way]:,.0f}" if way in CHARGED else ""
            yield way, f"{total.renewed[way]:,.0f}", whole_euros(total.cents[way]), charges, declined
    if total.addon_cents:
        yield "credit, for add-ons", f"{total.events['addon.renewed']:,.0f}", whole_euros(total.addon_cents), "", ""


def left_out(forecast: Forecast) -> Sentence | None:
    """The boxes that no forecast can be made of; none if there are none."""
    if not forecast.set_aside:
        return None
    text = (
        spoken(
            "One box waits for a person (suspended for another reason, a payment to be applied, a price above "
            "gateway.max_amount) and is left out."
        )
        if forecast.set_aside == 1
        else spoken(
            "{number} boxes wait for a person (suspended for another reason, a payment to be applied, a price above "
            "gateway.max_amount) and are left out."
        )
    )
    return Sentence(text, {"number": forecast.set_aside})


def over_the_cap(forecast: Forecast) -> Sentence | None:
    """That on some days a run would delete none, and on which it is worst; none if there is no such day."""
    over = [day for day in forecast.days if day.over_cap]
    if not over:
        return None
    worst = max(over, key=lambda day: day.figures.deleted)
    told = {"day": worst.on, "most": round(worst.figures.deleted), "cap": worst.cap}
    if len(over) == 1:
        return Sentence(
            spoken(
                "On {day} {most} boxes are due to be deleted, more than a run deletes unasked, so it would delete "
                "none; the cap is {cap}. On that day: lifecycle-jobs run --approve-deletions N"
            ),
            told,
        )
    return Sentence(
        spoken(
            "On {number} of these days more boxes are due to be deleted than a run deletes unasked, so it would delete "
            "none. Most on {day}: {most}, where the cap is {cap}. On such a day: lifecycle-jobs run "
            "--approve-deletions N"
        ),
        told | {"number": len(over)},
    )


def as_csv(forecast: Forecast) -> str:
    """A line for each day with every number, two decimals each; amounts are euros with VAT."""
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    header: list[str] = []
    for day in forecast.days:
        cells = {"date": day.on.isoformat(), "living": _number(day.living)}
        cells |= {"deletion_cap": str(day.cap), "over_cap": "true" if day.over_cap else "false"}
        cells |= cells_of(day.figures)
        if not header:
            header = list(cells)
            written.writerow(header)
        written.writerow(cells.values())
    return text.getvalue()


def cells_of(figures: Figures) -> dict[str, str]:
    """Every number by the name of its column."""
    cells = {"expiring": _number(figures.expiring)}
    cells |= {f"renewed_{way}": _number(figures.renewed[way]) for way in WAYS}
    cells |= {f"euros_{way}": euros(round(figures.cents[way])) for way in WAYS}
    cells |= {f"charges_{way}": _number(figures.charges[way]) for way in CHARGED}
    cells |= {f"declined_{way}": _number(figures.declined[way]) for way in CHARGED}
    cells |= {"suspended": _number(figures.suspended), "deleted": _number(figures.deleted)}
    cells |= {"addons_short": _number(figures.addons_short), "addon_euros": euros(round(figures.addon_cents))}
    cells |= {f"events_{_flat(kind)}": _number(figures.events[kind]) for kind in MESSAGES}
    cells |= {f"emails_{_flat(kind)}": _number(figures.emails[kind]) for kind in MESSAGES}
    cells["emails"] = _number(figures.emails.total())
    return cells


def _money(figures: Figures) -> Sequence[str]:
    return (
        f"{figures.expiring:,.0f}",
        f"{figures.renewed.total():,.0f}",
        whole_euros(figures.cents.total()),
        f"{figures.declined.total():,.0f}",
        f"{figures.addons_short:,.0f}",
    )


def _ends(figures: Figures, over_cap: str) -> Sequence[str]:
    numbers = (figures.emails.total(), figures.suspended, figures.deleted)
    return (*[f"{number:,.0f}" for number in numbers], over_cap)


def _days(over_cap: Sequence[date]) -> str:
    return "" if not over_cap else "1 day" if len(over_cap) == 1 else f"{len(over_cap)} days"


def month_name(first: date, last: date) -> str:
    """`2027-03`, or the days of it where it is only a part."""
    whole = first.day == 1 and _next_day(last).day == 1
    return f"{first:%Y-%m}" if whole else f"{first:%Y-%m-%d}/{last:%d}"


def _next_day(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)


def whole_euros(cents: float) -> str:
    """An amount as a person is shown it: 1208 → `12`."""
    return f"{cents / 100:,.0f}"


def _number(expected: float) -> str:
    return f"{expected:.2f}"


def _flat(kind: str) -> str:
    return kind.replace(".", "_")
