"""Every rule that decides whether a job acts on a box, and one way to break each: for `test_every_rule`.

Not here, since one box on one day cannot show it: the twenty lost calls in a row after which a run stops calling, the
look right before each charge (somebody else changes the box meanwhile), and what only a real gateway answers (its lag).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

EXPLANATION = ("tests/explaining/test_boundary_days.py",)


@dataclass(frozen=True, slots=True)
class Breaking:
    """A rule in words, and how it reads in the code before and after it is broken.

    `tests` are those of the job (or of the policy) that must notice; `told` are those of the explanation.
    """

    rule: str
    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]
    told: tuple[str, ...] = EXPLANATION


def _in(file: str, *tests: str) -> Iterator[Breaking]:
    for rule, was, becomes in _BROKEN[file]:
        yield Breaking(rule, f"lifecycle_jobs/{file}", was, becomes, tests)


def _without(reason: str, condition: str) -> tuple[str, str]:
    return f'        ("{reason}", {condition}),\n', ""


_BROKEN: dict[str, list[tuple[str, str, str]]] = {
    "jobs/eligibility.py": [
        (
            "§1 the first charge slot is E - 7",
            "<= days_from(task.on, max(policy.charge_slots)),",
            "<= days_from(task.on, max(policy.charge_slots) + 1),",
        ),
        (
            "§3 charged up to and including E + 10",
            "boxes.c.expires_on >= days_from(task.on, -policy.late_charge_days)",
            "boxes.c.expires_on > days_from(task.on, -policy.late_charge_days)",
        ),
        (
            "§3 only active boxes are charged",
            'boxes.c.status == "active", in_window',
            'boxes.c.status != "deleted", in_window',
        ),
        ("§3 auto-renew is on", *_without("auto_renew_off", "~boxes.c.auto_renew")),
        ("§3 no notice was given", *_without("cancelled", "boxes.c.cancelled_on.is_not(None)")),
        ("§3 what is on hold is not charged", *_without("on_hold", "on_hold(task.on)")),
        ("§3 there is a payment method", *_without("no_payment_method", "boxes.c.payment_method_id.is_(None)")),
        (
            "§3 the plan is auto-renewable",
            *_without("plan_not_auto_renewable", "boxes.c.plan.not_in(task.catalog.auto_renewable())"),
        ),
    ],
    "jobs/auto_renew.py": [
        ("§3 no charge while one is unresolved", *_without("unresolved_charge", "unresolved_charge()")),
        ("§3 no charge after a hard decline", *_without("declined_for_good", "declined_hard()")),
        (
            "§3 one attempt a slot",
            *_without("slot_used", "and_(_slot_used(task), ~method_replaced(task.on))"),
        ),
        ("§5 what failed in this run is not tried twice", *_without("parked", "task.parked_here")),
        (
            "§3 a replaced method is due at once",
            '("slot_used", and_(_slot_used(task), ~method_replaced(task.on)))',
            '("slot_used", _slot_used(task))',
        ),
        (
            "§3 an attempt for a later slot uses up the earlier ones",
            "charges.c.slot <= _slot_today(policy, task.on)",
            "charges.c.slot == _slot_today(policy, task.on)",
        ),
        (
            "§1 a slot begins on E - r",
            "(boxes.c.expires_on <= days_from(on, r), r)",
            "(boxes.c.expires_on < days_from(on, r), r)",
        ),
        (
            "§3 a charge not attempted does not use up its slot",
            "_slot_today(policy, task.on), counts)",
            "_slot_today(policy, task.on))",
        ),
        (
            "§3 but is not repeated on the same date",
            "charges.c.attempted_on == task.on, grace_is_over)",
            "grace_is_over)",
        ),
        (
            "§3 and only while on <= E + 3",
            "grace_is_over = boxes.c.expires_on < days_from(",
            "grace_is_over = boxes.c.expires_on <= days_from(",
        ),
        (
            "§3 a replaced method is due up to and including E",
            "and_(boxes.c.expires_on >= on, with_other)",
            "and_(boxes.c.expires_on > on, with_other)",
        ),
        (
            "§3 another token is another method",
            "            charges.c.token.is_distinct_from(_method.c.token),\n",
            "",
        ),
        ("§3 only a hard decline is for good", "        charges.c.hard,\n", ""),
        (
            "§3 a hard decline is of that very token",
            "        charges.c.token.is_not_distinct_from(_method.c.token),\n",
            "",
        ),
    ],
    "jobs/suspend.py": [
        ("§1 suspended from E + 1 on", "boxes.c.expires_on < task.on", "boxes.c.expires_on <= task.on"),
        (
            "§3 outage grace ends with E + 3",
            "boxes.c.expires_on >= days_from(task.on, -policy.outage_grace_days)",
            "boxes.c.expires_on > days_from(task.on, -policy.outage_grace_days)",
        ),
        (
            "§3 an outage protects from suspension",
            *_without("outage_grace", "and_(in_outage_grace, latest_charge_not_attempted())"),
        ),
        ("§3 what is on hold is not suspended", *_without("on_hold", "on_hold(task.on)")),
        ("§3 nor what is under an unresolved charge", *_without("unresolved_charge", "unresolved_charge()")),
        (
            "§3 nor what auto_renew parked in this run",
            *_without("auto_renew_failed", 'parked_by("auto_renew", task.on)'),
        ),
    ],
    "jobs/delete.py": [
        (
            "§3 a suspension by hand is never deleted",
            "        boxes.c.suspended_reason == UNPAID,\n        by_plan",
            "        by_plan",
        ),
        ("§3 what is on hold is not deleted", *_without("on_hold", "on_hold(task.on)")),
        ("§3 nor what is under an unresolved charge", *_without("unresolved_charge", "unresolved_charge()")),
        ("§3 nor what anything is parked about", *_without("something_parked", "parked_by_another_than(NAME)")),
        (
            "§3 the warning was accepted 7 days ago",
            "days_from(task.on, -rules.delivered_warning_days)",
            "days_from(task.on, 1 - rules.delivered_warning_days)",
        ),
        (
            "§3 a clerk lets a box go without one",
            "~or_(warned, approved_by_a_clerk())",
            "~warned",
        ),
        (
            "§3 exactly the approved number goes",
            "None if approved == in_all else",
            "None if approved is not None else",
        ),
        (
            "§3 5 % of the boxes that are not deleted",
            'select(boxes.c.id).where(boxes.c.status != "deleted").order_by',
            "select(boxes.c.id).order_by",
        ),
    ],
    "db/conditions.py": [
        (
            "§1 deleted from E + 91 on",
            "days_from(day, -policy.suspended_days - 1),",
            "days_from(day, -policy.suspended_days),",
        ),
        (
            "§1 and not before suspended_on + 30",
            "boxes.c.suspended_on <= days_from(day, -policy.minimum_suspension_days)",
            "boxes.c.suspended_on <= days_from(day, 1 - policy.minimum_suspension_days)",
        ),
        (
            "§1 nor before hold_until + 30",
            "boxes.c.hold_until <= days_from(day, -policy.minimum_suspension_days)",
            "boxes.c.hold_until <= days_from(day, 1 - policy.minimum_suspension_days)",
        ),
        ("§3 a line that was moot told nobody", "    ~message_events.c.moot,\n", ""),
        (
            "§3 anything open that is parked keeps a box from deletion",
            '            parked_rows.c.state == "open",\n            and_(',
            "            and_(",
        ),
    ],
    "jobs/send_alerts.py": [
        (
            "§3 a milestone is due after W",
            "boxes.c.expires_on > days_from(task.run.since, milestone)",
            "boxes.c.expires_on >= days_from(task.run.since, milestone)",
        ),
        (
            "§3 and from its day on",
            "boxes.c.expires_on <= days_from(task.on, milestone),",
            "boxes.c.expires_on < days_from(task.on, milestone),",
        ),
        ("§3 and up to and including E", "boxes.c.expires_on >= task.on,", "boxes.c.expires_on > task.on,"),
        ("§3 notices or alerts, never both", "        addressed,\n        ~_told", "        ~_told"),
        ("§3 never twice for one milestone", "        ~_told(BEFORE_EXPIRY, milestone),\n", ""),
        ("§3 never one farther from E", "events.c.milestone <= milestone", "events.c.milestone == milestone"),
        (
            "§3 told in this term",
            "        events.c.term_expires_on == boxes.c.expires_on,\n        events.c.kind.in_(kinds),",
            "        events.c.kind.in_(kinds),",
        ),
        (
            "§3 who was declined, or not reached, gets alerts",
            "and_(none_of(not_eligible(task)), ~gone_wrong)",
            "none_of(not_eligible(task))",
        ),
        (
            "§3 who gave notice is not told of the end",
            *_without("cancelled", "boxes.c.cancelled_on.is_not(None)"),
        ),
        (
            "§3 nor on the day of a declined charge",
            *_without("declined_today", "_declined_on(task.on)"),
        ),
        ("§3 but on every other day", "        events.c.occurred_on == on,\n", ""),
        (
            "§3 what is on hold is not warned of its deletion",
            *_without("on_hold", "on_hold(task.on)"),
        ),
        (
            "§3 no warning on the day of the suspension",
            "        boxes.c.suspended_on < task.on,\n",
            "",
        ),
        (
            "§3 a warning is due on X - d",
            "        deletion_date_by(policy, days_from(task.on, milestone)),",
            "        deletion_date_by(policy, days_from(task.on, milestone - 1)),",
        ),
        ("§3 and not once X has come", "        ~deletion_date_by(policy, task.on),\n", ""),
        ("§3 no warning twice", '        ~_told(("box.deletion_warning",), milestone),\n', ""),
        (
            "§3 warned at once where nobody was",
            '        ~warning_delivered(messages.c.status.in_(("sent", "queued"))),\n',
            "",
        ),
    ],
    "jobs/renew_addons.py": [
        (
            "§3 what was given up ends after A",
            "            (addons.c.cancelled_on.is_not(None), past),\n",
            "",
        ),
        (
            "§3 only what credit pays is renewed from it",
            'addons.c.paid_from == "credit", or_(followed, past)',
            'addons.c.paid_from != "", or_(followed, past)',
        ),
        (
            "§3 credit short is announced once per term",
            "        events.c.term_expires_on == addons.c.expires_on,\n",
            "",
        ),
        ("§3 nothing under an unresolved charge", *_without("unresolved_charge", "unresolved_charge()")),
    ],
    "jobs/reconcile_charges.py": [
        (
            "§3 never seen is believed on a later date only",
            "charge.attempted_on < task.on and age",
            "charge.attempted_on <= task.on and age",
        ),
        (
            "a charge whose answer was lost is not presented again",
            'charge.status == "pending" and charge.attempted_on == task.on',
            "charge.attempted_on == task.on",
        ),
    ],
}

EVERY_RULE: tuple[Breaking, ...] = (
    *_in("jobs/eligibility.py", "tests/jobs/test_auto_renew.py"),
    *_in("jobs/auto_renew.py", "tests/jobs/test_auto_renew.py"),
    *_in("jobs/suspend.py", "tests/jobs/test_suspend.py"),
    *_in("jobs/delete.py", "tests/jobs/test_delete.py"),
    *_in("db/conditions.py", "tests/jobs/test_delete.py"),
    *_in("jobs/send_alerts.py", "tests/jobs/test_send_alerts.py"),
    *_in("jobs/renew_addons.py", "tests/jobs/test_renew_addons.py"),
    *_in("jobs/reconcile_charges.py", "tests/jobs/test_reconcile_charges.py"),
)
