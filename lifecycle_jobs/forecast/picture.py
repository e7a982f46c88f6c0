"""A forecast as a picture: money by month, e-mails by day, suspensions and deletions by day beside the cap.

Drawn by matplotlib, which comes with the extra `pictures`. Nothing is shown on a screen and nothing is asked of any.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lifecycle_jobs.errors import Refused
from lifecycle_jobs.forecast.contents import Forecast
from lifecycle_jobs.languages.formats import short_text
from lifecycle_jobs.whole_files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WAYS: Final = (
    ("card", "card", "#2f6f9f"),
    ("paypal", "PayPal", "#5aa2c8"),
    ("credit", "prepaid credit", "#8fc1a9"),
    ("agreement", "on account", "#c9b458"),
    ("by_hand", "paid by hand", "#b9b3a8"),
)
_INK: Final = "#22303c"
_FAINT: Final = "#7b8794"
_MAIL: Final = "#5b6fa8"
_SUSPENDED: Final = "#e0a458"
_DELETED: Final = "#b23a48"

_A_DAY: Final = timedelta(days=1)
_CAP_IN_SIGHT: Final = 2.5
"""A cap so many times as high as the worst day is told in words: drawn, it would flatten everything below it."""

_STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#c5ccd3",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e6eaee",
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "svg.hashsalt": "lifecycle_jobs",
}


def require_matplotlib() -> None:
    """Raise Refused if there is nothing to draw with."""
    if find_spec("matplotlib") is None:
        message = "A picture is drawn by matplotlib, which is not installed: pip install 'lifecycle-jobs[pictures]'"
        raise Refused(message)


def draw(forecast: Forecast, file: Path) -> None:
    """Draw it into a file, in the format that its ending names (`.png`, `.svg`); the file is there whole or not."""
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12, 11), dpi=120, facecolor="white")
        FigureCanvasAgg(figure)
        money, mail, ends = figure.subplots(3, 1, gridspec_kw={"height_ratios": (1.15, 0.8, 1.05)})
        figure.subplots_adjust(left=0.075, right=0.965, top=0.868, bottom=0.105, hspace=0.42)
        _head(figure, forecast)
        _money(money, forecast)
        _mail(mail, forecast)
        _ends(ends, forecast)
        for axes in (mail, ends):
            _months_below(axes, [day.on for day in forecast.days])
        # The first sentences are the rates; the others hold for every forecast, and stand beside the table.
        figure.text(
            0.075,
            0.06,
            "\n".join(map(str, forecast.assumptions[:3])),
            fontsize=8.5,
            color=_FAINT,
            va="top",
            linespacing=1.5,
        )
        _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    # Without a date of its making the same forecast is the same picture.
    metadata = {"Date": None} if file.suffix == ".svg" else None
    with write_whole(file) as unfinished:
        figure.savefig(unfinished, format=file.suffix[1:], metadata=metadata)


def _head(figure: Any, forecast: Forecast) -> None:
    total = forecast.total()
    over = sum(day.over_cap for day in forecast.days)
    figure.text(0.075, 0.955, "What is coming", fontsize=19, weight="bold")
    figure.text(0.075, 0.932, f"{_day(forecast.days[0].on)} to {_day(forecast.days[-1].on)}, expected", color=_FAINT)
    headline = (
        (f"€ {_short(total.cents.total() / 100)}", "renewals, VAT incl.", _INK),
        (_short(total.emails.total()), "e-mails", _INK),
        (_short(total.suspended), "suspended", _INK),
        (_short(total.deleted), "deleted", _INK),
        (str(over), "days over the cap" if over != 1 else "day over the cap", _DELETED if over else _INK),
    )
    for number, (value, what, colour) in enumerate(headline):
        at = (0.39, 0.545, 0.66, 0.765, 0.87)[number]
        figure.text(at, 0.953, value, fontsize=16, weight="bold", color=colour)
        figure.text(at, 0.9335, what, fontsize=8.5, color=_FAINT)


def _money(axes: Axes, forecast: Forecast) -> None:
    months = list(forecast.months())
    below = [0.0] * len(months)
    places = range(len(months))
    for way, name, colour in _WAYS:
        euros = [month.figures.cents[way] / 100 for month in months]
        if any(euros):
            axes.bar(places, euros, bottom=below, width=0.66, color=colour, label=name, linewidth=0)
            below = [low + more for low, more in zip(below, euros, strict=True)]
    for place, sum_of_month in zip(places, below, strict=True):
        axes.annotate(
            _short(sum_of_month), (place, sum_of_month), (0, 4), textcoords="offset points", ha="center", fontsize=9
        )
    axes.set_xticks(places, [_month(month.first, month.last) for month in months])
    axes.set_xlim(-0.6, len(months) - 0.4)
    _title(axes, "Renewals by month, in euros")


def _mail(axes: Axes, forecast: Forecast) -> None:
    days = [day.on.toordinal() for day in forecast.days]
    emails = [day.figures.emails.total() for day in forecast.days]
    axes.bar(days, emails, width=1.0, color=_MAIL, linewidth=0, alpha=0.85)
    worst = max(range(len(days)), key=emails.__getitem__)
    _mark(axes, days[worst], emails[worst], f"{_day(forecast.days[worst].on)}: {emails[worst]:,.0f}", _MAIL)
    _title(axes, "E-mails a day")


def _ends(axes: Axes, forecast: Forecast) -> None:
    days = [day.on.toordinal() for day in forecast.days]
    suspended = [day.figures.suspended for day in forecast.days]
    deleted = [day.figures.deleted for day in forecast.days]
    axes.bar(days, suspended, width=1.0, color=_SUSPENDED, linewidth=0, alpha=0.6, label="suspended")
    axes.step(days, deleted, where="mid", color=_DELETED, linewidth=1.3, label="deleted")
    caps = [day.cap for day in forecast.days]
    highest = max(*suspended, *deleted, 1.0)
    note = ""
    if min(caps) <= highest * _CAP_IN_SIGHT:
        axes.plot(days, caps, color=_DELETED, linewidth=1.1, linestyle=(0, (5, 3)), label="deletion cap")
    else:
        note = f"   ·   cap: {min(caps):,} deletions a day, not in sight"
    over = [(day.on, day.figures.deleted) for day in forecast.days if day.over_cap]
    if over:
        axes.plot(
            [on.toordinal() for on, _ in over],
            [number for _, number in over],
            linestyle="none",
            marker="o",
            markersize=5,
            color=_DELETED,
            label="over the cap: a run deletes none",
        )
        on, number = max(over, key=lambda each: each[1])
        _mark(axes, on.toordinal(), number, f"{_day(on)}: {number:,.0f}", _DELETED)
    _title(axes, f"Suspensions and deletions a day{note}")


def _mark(axes: Axes, place: int, height: float, text: str, colour: str) -> None:
    axes.annotate(
        text, (place, height), (0, 5), textcoords="offset points", ha="center", fontsize=9, color=colour, weight="bold"
    )


def _title(axes: Axes, text: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(text, loc="left", fontsize=12, weight="bold", pad=14)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _position: _short(value))
    axes.margins(y=0.16)
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, fontsize=9, handlelength=1.2, columnspacing=1.2
        )


def _months_below(axes: Axes, days: Sequence[date]) -> None:
    firsts = [day for day in days if day.day == 1]
    names = [f"{day:%b %Y}" if day.month == 1 else f"{day:%b}" for day in firsts]
    axes.set_xticks([day.toordinal() for day in firsts], names)
    axes.set_xlim(days[0].toordinal() - 1, days[-1].toordinal() + 1)


def _month(first: date, last: date) -> str:
    """`Apr`, `Jan 2027`, or the days of it where it is only a part."""
    if first.day > 1 or (last + _A_DAY).day > 1:
        return f"{first.day}–{last.day} {first:%b}"
    return f"{first:%b %Y}" if first.month == 1 else f"{first:%b}"


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _short(number: float) -> str:
    return short_text(number, "en")
