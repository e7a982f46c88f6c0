"""Every code that the program knows has its words, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import CheckConstraint

import lifecycle_jobs
from lifecycle_jobs import reasons
from lifecycle_jobs.day import JOBS
from lifecycle_jobs.db.conditions import Refusals
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import metadata
from lifecycle_jobs.explaining import details, left_alone, verdicts
from lifecycle_jobs.jobs import approvals, auto_renew, delete, reconcile_charges, renew_addons, send_alerts, suspend
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.languages import Speech
from lifecycle_jobs.languages.codes import CODES, Group, code_text
from lifecycle_jobs.languages.payment_methods import method_text
from lifecycle_jobs.mail.contents import MESSAGE_KINDS
from lifecycle_jobs.payments.declines import REASONS
from lifecycle_jobs.runs import Run
from tests.daily import settings_for
from tests.languages.exact import ENGLISH, ITALIAN

PACKAGE = Path(lifecycle_jobs.__file__).parent

GROUPS: dict[str, Group] = {
    "addons.paid_from": "paid_from",
    "addons.status": "addon",
    "boxes.status": "box",
    "charges.method_kind": "method",
    "charges.status": "charge",
    "customers.locale": "language",
    "gateway_notices.concerns": "concerns",
    "gateway_notices.state": "notice",
    "manual_orders.pay_by": "method",
    "messages.status": "message",
    "orders.kind": "order_kind",
    "orders.status": "order",
    "parked_rows.state": "parked",
    "payment_methods.kind": "method",
    "registered_payments.paid_by": "method",
    "run_jobs.state": "run",
    "runs.scope": "scope",
    "runs.state": "run",
    "staff_reports.status": "message",
    "top_up_charges.method_kind": "method",
    "top_up_charges.status": "charge",
    "webhook_deliveries.status": "webhook",
}
"""The columns of the database that hold one of a few words, and the group of codes that these words are."""

_EVENT = re.compile(r"[a-z]+\.[a-z_]+")
_NUMBERING = PACKAGE / "webhooks" / "numbering.py"
"""Writes an event under a number of its own, and so by itself."""

OF_STRIPE = {"charge.dispute", "charge.refunded", "payment_intent.succeeded", "refund.created", "refund.failed"}
"""What Stripe calls its own events."""


def wordless(group: Group, codes: set[str]) -> set[str]:
    return codes - CODES[group].keys()


def words_of_columns() -> dict[str, set[str]]:
    """What the CHECK constraints made by `one_of` allow, by table and column."""
    found = {}
    for table in metadata.tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, CheckConstraint):
                one_of = re.fullmatch(r"(\w+) IN \((.*)\)", str(constraint.sqltext))
                if one_of is not None:
                    found[f"{table.name}.{one_of[1]}"] = set(re.findall(r"'(\w+)'", one_of[2]))
    return found


def trees_with_history() -> Iterator[ast.Module]:
    """The modules that write events."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {
            each.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "lifecycle_jobs.history"
            for each in node.names
        }
        if imported & {"Event", "event_of_each", "record", "record_all", "record_of_box"} or path == _NUMBERING:
            yield tree


def kinds_of_events() -> set[str]:
    """Every word with a dot in a module that writes events, but for Stripe's and for the names of requests."""
    kinds, requests = set(), set()
    for tree in trees_with_history():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _EVENT.fullmatch(node.value):
                kinds.add(node.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Request":
                requests |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return kinds - requests - OF_STRIPE


def test_every_status_and_kind_in_the_database_has_its_words() -> None:
    found = words_of_columns()

    assert found.keys() == GROUPS.keys()
    assert {column: wordless(GROUPS[column], words) for column, words in found.items()} == {
        column: set() for column in found
    }


def test_every_kind_of_event_has_its_words() -> None:
    assert wordless("event", kinds_of_events() | set(MESSAGE_KINDS)) == set()


def test_every_job_has_its_words() -> None:
    assert wordless("job", {name for name, _ in JOBS} | {"compose", "deliver"}) == set()


def test_every_reason_for_leaving_something_alone_has_its_words_and_its_sentence(
    sqlite_store: Store, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, deletion={"require_delivered_warning": True})
    on, rules = date(2027, 3, 31), settings.deletion
    task = Task("any", sqlite_store, Run(on, 1, "everything", on), settings.catalog(), 1, lambda _job, _rows: None)
    refusals: list[Refusals] = [
        auto_renew.refusals(task),
        renew_addons.refusals(task),
        suspend.refusals(task),
        delete.refusals(task, rules),
        *(warning.refusals for warning in send_alerts.due_warnings(task, rules)),
    ]
    names = {name for each in refusals for name, _ in each}

    assert names == left_alone._SENTENCES.keys()
    assert wordless("skip", names) == set()
    others = {*reconcile_charges.LEFT_ALONE, renew_addons.WAITS, renew_addons.ANNOUNCED}
    assert wordless("skip", others | {*approvals.TO_BE_APPROVED, approvals.NOT_AS_PLANNED, verdicts.NOT_DUE}) == set()


def test_everything_that_a_job_does_has_its_words() -> None:
    assert wordless("event", {case.split()[0] for case in reasons._BECAUSE}) == set()


def test_every_decline_code_has_its_words() -> None:
    assert CODES["decline"].keys() == REASONS.keys()


def test_every_group_has_its_codes() -> None:
    assert set(get_args(Group)) == CODES.keys()


def test_every_detail_of_an_event_about_a_box_has_its_name() -> None:
    """All keys of details that are written out in the operations of holders and clerks."""
    written = set()
    for path in (PACKAGE / "accounts").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                written |= {key for each in node.keywords if each.arg == "detail" for key in keys_of(each.value)}
                if ast.unparse(node.func) in {"Event", "_record", "_record_of", "record_of_box"}:
                    written |= {key for each in node.args for key in keys_of(each)}
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and ast.unparse(node).startswith(("detail", "said")):
                written |= keys_of(node.value)

    assert len(written) > 40
    assert written - details.NAMES.keys() - details.NOT_TOLD == set()


def keys_of(node: ast.AST | None) -> set[str]:
    """The keys of the dictionaries in an expression."""
    found: set[str] = set()
    for each in ast.walk(node) if node is not None else ():
        if isinstance(each, ast.Dict):
            found |= {str(key.value) for key in each.keys if isinstance(key, ast.Constant)}
    return found


def test_codes_are_said_in_both_languages_and_an_unknown_one_as_it_is() -> None:
    assert code_text(ENGLISH, "event", "box.renewed") == "renewed"
    assert code_text(ITALIAN, "event", "box.renewed") == "rinnovata"
    assert code_text(ITALIAN, "skip", "on_hold") == "scadenze sospese"
    assert code_text(ITALIAN, "method", "paypal") == "conto PayPal"
    assert code_text(ITALIAN, "addon_kind", "fax") == "fax"
    assert code_text(Speech("it"), "decline", "new_code_of_a_bank") == "new_code_of_a_bank"


def test_all_words_have_their_italian() -> None:
    for group in get_args(Group):
        for code in CODES[group]:
            assert code_text(ITALIAN, group, code)


@pytest.mark.parametrize(
    ("kind", "brand", "last4", "english", "italian"),
    [
        ("card", "visa", "4242", "Visa card ending in 4242", "carta Visa che termina con 4242"),
        ("card", None, "4242", "card ending in 4242", "carta che termina con 4242"),
        ("card", "brand of tomorrow", None, "brand of tomorrow card", "carta brand of tomorrow"),
        ("card", None, None, "card", "carta"),
        ("agreement", None, None, "invoice as agreed", "fattura secondo accordo"),
    ],
)
def test_a_payment_method_is_called_by_what_a_receipt_would_print(
    kind: str, brand: str | None, last4: str | None, english: str, italian: str
) -> None:
    assert method_text(ENGLISH, kind, brand, last4) == english
    assert method_text(ITALIAN, kind, brand, last4) == italian
