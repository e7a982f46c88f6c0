"""What is drawn depends on the seed and on what it is drawn for, and on nothing else."""

from __future__ import annotations

import pytest

from lifecycle_jobs.simulating.chance import Chance


def test_a_question_has_the_same_answer_whatever_was_asked_before() -> None:
    asked_alone = Chance(7).draw("declined", "a@pec.example.it", 3)

    chance = Chance(7)
    for number in range(10):
        chance.draw("declined", "b@pec.example.it", number)

    assert chance.draw("declined", "a@pec.example.it", 3) == asked_alone


def test_another_seed_purpose_or_thing_is_another_draw() -> None:
    draws = {
        Chance(1).draw("declined", "a", 3),
        Chance(2).draw("declined", "a", 3),
        Chance(1).draw("lost", "a", 3),
        Chance(1).draw("declined", "a", 5),
        Chance(1).draw("declined", "a3"),
    }

    assert len(draws) == 5


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_what_comes_in_a_share_of_cases_comes_in_that_share(share: float) -> None:
    came = sum(Chance(1).comes(share, "something", number) for number in range(20_000))

    # The widest of these shares strays by 0.35 % in one case of three.
    assert came / 20_000 == pytest.approx(share, abs=0.014)
