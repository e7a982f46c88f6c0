"""At which points of the way of a charge a process was when it was killed, read from the marks that it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.crash.launcher import Where

BEFORE_INTENT = "before the intent is committed"
AFTER_INTENT = "after the intent, before the call"
DURING_CALL = "during the call"
ANSWERED = "after the answer, before the commit"
ORDER_AND_BOX = "between order and box"
BOX_AND_EVENT = "between box and event"
RECORDED = "after the outcome's commit"
ELSEWHERE = "before or after all charges"

AIMED_AT: dict[str, Where] = {
    BEFORE_INTENT: "intended",
    AFTER_INTENT: "begun",
    DURING_CALL: "sent",
    ANSWERED: "answer",
    ORDER_AND_BOX: "closed",
    BOX_AND_EVENT: "moved",
    RECORDED: "recorded",
}
"""The place at which a process is killed to be at a point for certain."""

_IN_THREADS = frozenset({"call", "sent", "received", "answer"})


def stages(left: Sequence[tuple[float, str]]) -> set[str]:
    """Where the main thread was, and where each charge was. Speaks of runs all of whose charges are called."""
    marks = [where for _, where in left]
    passed = Counter(marks)
    here = next((where for where in reversed(marks) if where not in _IN_THREADS), "")
    found = {
        BEFORE_INTENT: _last(marks, "intending") > _last(marks, "noted"),
        AFTER_INTENT: passed["noted"] > passed["sent"],
        DURING_CALL: passed["sent"] > passed["received"],
        ANSWERED: passed["received"] > passed["recorded"],
        ORDER_AND_BOX: here == "closed",
        BOX_AND_EVENT: here == "moved",
        RECORDED: here == "recorded",
    }
    return {stage for stage, is_there in found.items() if is_there} or {ELSEWHERE}


def _last(marks: Sequence[str], where: str) -> int:
    return max((number for number, mark in enumerate(marks) if mark == where), default=-1)
