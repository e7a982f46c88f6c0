"""What is said of two configurations whose days were lived through."""

from __future__ import annotations

from datetime import date

from lifecycle_jobs.forecast.contents import Expected, Figures
from lifecycle_jobs.simulating.bank import Met
from lifecycle_jobs.simulating.comparing import difference, sentence, side_by_side
from lifecycle_jobs.simulating.contents import History, SimulatedDay, Troubles
from lifecycle_jobs.simulating.showing import on_the_way


def history(label: str, *, deleted: int, renewed: int = 0, cents: int = 0, refused: int = 0) -> History:
    happened = Figures(
        renewed=Expected(by_hand=renewed), cents=Expected(by_hand=cents), events=Expected({"box.deleted": deleted})
    )
    return History(label, [SimulatedDay(date(2027, 3, 31), happened, Figures(), refused)], (), Troubles(Met()))


OWN = history("own.toml", deleted=1412, renewed=5000, cents=6_040_000)


def test_what_there_is_more_or_less_of_is_said_in_a_sentence() -> None:
    sixty = history("sixty.toml", deleted=1000, renewed=5001, cents=6_041_208)

    assert sentence(OWN, sixty) == (
        "With sixty.toml: 412 deletions fewer, 1 renewal more, EUR 12 more for renewals than with own.toml."
    )
    assert difference(OWN, sixty)["deletions"] == -412
    assert difference(OWN, sixty)["cents"] == 1208


def test_where_nothing_differs_that_is_said() -> None:
    assert sentence(OWN, OWN) == "With own.toml all is as with own.toml."


def test_side_by_side_stands_only_what_there_is() -> None:
    sixty = history("sixty.toml", deleted=1000)

    assert dict(side_by_side([OWN, sixty])) == {
        "renewals: by hand": ["5,000", "0"],
        "euros for renewals": ["60,400", "0"],
        "deletions": ["1,412", "1,000"],
    }


def test_refused_deletions_are_told_with_what_lets_them_go() -> None:
    (told,) = on_the_way(history("own.toml", deleted=0, refused=150))

    assert told.startswith("! On 1 day more boxes were due to be deleted")
    assert "--approve-deletions" in told
