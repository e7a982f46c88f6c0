"""The months ahead: how much money, mail and deletion is coming, drawn and in tables.

A forecast only reads, and from aggregates: whoever is signed in may cause one. It is reckoned in the background, once
for everybody, and kept until the day or the latest completed run is another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs import runs
from lifecycle_jobs.console.charts import Chart, Series, beside, stacked
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import language_of
from lifecycle_jobs.console.routes import Asked, action, page
from lifecycle_jobs.console.work import Piece
from lifecycle_jobs.forecast import forecast as foretell
from lifecycle_jobs.forecast import showing
from lifecycle_jobs.forecast.contents import Forecast, ForecastMonth
from lifecycle_jobs.forecast.last_year import Given
from lifecycle_jobs.languages import Speech

CHOICES: Final = (3, 6, 12, 24)
"""Months."""

_FORECASTS: Final = "forecast "
_DAYS_SHOWN: Final = 31
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MonthShown:
    """A month of the tables: its figures rounded, amounts in cents by way of payment."""

    name: str
    cents: Sequence[int]
    total_cents: int
    emails: int
    suspended: int
    deleted: int
    over_cap: int


def routes(office: Office) -> list[Route]:
    """The page, the part of it that waits, reckoning anew, and the file of every day."""
    return [
        page(office, "/forecast", _forecast),
        page(office, "/forecast/live", _live),
        page(office, "/forecast/csv", _csv),
        action(office, "/forecast", _anew),
    ]


def _forecast(asked: Asked) -> Response:
    months = _months(asked.parameter("months"))
    piece = _find(asked.office, months) or _begin(asked.office, months, asked.visitor.name)
    found = _ready(piece)
    shown = {} if found is None else _shown(Speech(language_of(asked.request)), found)
    return asked.show("forecast.html", months=months, choices=CHOICES, piece=piece, forecast=found, **shown)


def _live(asked: Asked) -> Response:
    months = _months(asked.parameter("months"))
    piece = _find(asked.office, months)
    answer = asked.show("forecast_live.html", months=months, piece=piece)
    if piece is None or not piece.under_way:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _csv(asked: Asked) -> Response:
    months = _months(asked.parameter("months"))
    found = _ready(_find(asked.office, months))
    if found is None:
        return RedirectResponse(f"/forecast?months={months}", status_code=303)
    name = f"forecast-{found.days[0].on}-{found.days[-1].on}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(showing.as_csv(found), headers=headers, media_type="text/csv; charset=utf-8")


def _anew(asked: Asked) -> Response:
    months = _months(asked.form.get("months", ""))
    piece = _find(asked.office, months)
    if piece is not None and not piece.under_way:
        asked.office.work.forget(piece)
    _begin(asked.office, months, asked.visitor.name)
    return RedirectResponse(f"/forecast?months={months}", status_code=303)


def _months(text: str) -> int:
    return next((each for each in CHOICES if str(each) == text), 12)


def _name(office: Office, months: int) -> str:
    with office.store.read() as connection:
        latest = runs.latest_completed(connection)
    return f"{_FORECASTS}{office.today} {latest} {months}"


def _find(office: Office, months: int) -> Piece | None:
    return office.work.find(_name(office, months))


def _begin(office: Office, months: int, by: str) -> Piece:
    name = _name(office, months)
    kept = name.rpartition(" ")[0]
    for piece in office.work.named(_FORECASTS):
        if not piece.under_way and not piece.name.startswith(kept):
            office.work.forget(piece)
    today = office.today
    return office.work.begin(
        name, by, lambda _advance: foretell(office.store, office.settings, today, months, Given({}))
    )


def _ready(piece: Piece | None) -> Forecast | None:
    return piece.result if piece is not None and not piece.under_way and piece.trouble is None else None


def _shown(speech: Speech, found: Forecast) -> dict[str, Any]:
    months = list(found.months())
    total = found.total()
    ways = [way for way in showing.WAYS if round(total.cents[way])]
    rows = [_month(speech, month, ways) for month in months]
    over = [day for day in found.days if day.over_cap]
    left_out, over_the_cap = showing.left_out(found), showing.over_the_cap(found)
    return {
        "first": found.days[0].on,
        "last": found.days[-1].on,
        "total": total,
        "ways": ways,
        "rows": rows,
        "over": over[:_DAYS_SHOWN],
        "over_more": len(over[_DAYS_SHOWN:]),
        "over_the_cap": None if over_the_cap is None else over_the_cap.said(speech),
        "sentences": [
            *[sentence.said(speech) for sentence in found.assumptions],
            *([] if left_out is None else [left_out.said(speech)]),
        ],
        "days_over": len(over),
        **_charts(speech, months, ways),
    }


def _charts(speech: Speech, months: Sequence[ForecastMonth], ways: Sequence[str]) -> dict[str, Chart]:
    names = [_name_below(speech, month) for month in months]
    money = [Series(way, [month.figures.cents[way] / 100 for month in months]) for way in ways]
    mail = [Series("emails", [month.figures.emails.total() for month in months])]
    ends = [
        Series("suspended", [month.figures.suspended for month in months]),
        Series("deleted", [month.figures.deleted for month in months]),
    ]
    over = [str(len(month.days_over_cap)) if month.days_over_cap else None for month in months]

    def whole(value: float) -> str:
        return speech.number(round(value))

    return {
        "money": stacked(names, money, speech.short, lambda euros: speech.euros(round(euros * 100))),
        "mail": beside(names, mail, speech.short, whole),
        "ends": beside(names, ends, speech.short, whole, over),
    }


def _month(speech: Speech, month: ForecastMonth, ways: Sequence[str]) -> MonthShown:
    figures = month.figures
    return MonthShown(
        name=speech.month(month.first) if _whole(month) else _part(speech, month),
        cents=[round(figures.cents[way]) for way in ways],
        total_cents=round(figures.cents.total()),
        emails=round(figures.emails.total()),
        suspended=round(figures.suspended),
        deleted=round(figures.deleted),
        over_cap=len(month.days_over_cap),
    )


def _name_below(speech: Speech, month: ForecastMonth) -> str:
    """``Mar``, ``Jan 27``, or the days of it where it is only a part: ``26–31``."""
    if not _whole(month):
        return f"{month.first.day}–{month.last.day}"
    name = speech.short_month(month.first)
    return f"{name} {month.first:%y}" if month.first.month == 1 else name


def _part(speech: Speech, month: ForecastMonth) -> str:
    return f"{month.first.day}–{speech.day(month.last)}"


def _whole(month: ForecastMonth) -> bool:
    return month.first.day == 1 and (month.last + _A_DAY).day == 1
