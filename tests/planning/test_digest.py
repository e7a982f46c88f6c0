"""The hash of a plan: of what is done to whom, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.planning.digest import Digest

ON = date(2027, 3, 31)
RENEWAL = Action(
    "auto_renew", "box.renewed", 1, "a@pec.it", "c1", None, ON, {"order_number": "R-7", "gross": "12.08", "years": 1}
)
SUSPENSION = Action("suspend", "box.suspended", 2, "b@pec.it", "c1", None, ON, {"reason": "unpaid"})


def digest(*actions: Action, on: date = ON) -> str:
    made = Digest(on)
    for action in actions:
        made.add(action)
    return str(made)


def test_the_order_in_which_actions_are_seen_does_not_count() -> None:
    assert digest(RENEWAL, SUSPENSION) == digest(SUSPENSION, RENEWAL)


@pytest.mark.parametrize(
    "change",
    [
        {"what": "charge.declined"},
        {"box_id": 3},
        {"address": "other@pec.it"},
        {"customer_id": "c2"},
        {"addon_id": "x"},
        {"term_expires_on": date(2027, 4, 1)},
        {"detail": {**RENEWAL.detail, "gross": "12.09"}},
        {"method_mark": "another card"},
    ],
)
def test_whatever_concerns_the_holder_counts(change: dict[str, Any]) -> None:
    assert digest(replace(RENEWAL, **change)) != digest(RENEWAL)


def test_the_number_an_order_gets_and_the_job_that_settles_it_do_not_count() -> None:
    later = replace(RENEWAL, job="reconcile_charges", detail={**RENEWAL.detail, "order_number": "R-8"})

    assert digest(later) == digest(RENEWAL)


def test_the_same_thing_done_twice_is_not_the_same_as_done_once() -> None:
    assert len({digest(), digest(RENEWAL), digest(RENEWAL, RENEWAL), digest(RENEWAL, SUSPENSION)}) == 4


def test_a_day_without_actions_has_a_hash_of_its_own_date() -> None:
    assert digest() != digest(on=date(2027, 4, 1))
