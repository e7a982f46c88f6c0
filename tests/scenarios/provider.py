"""A provider of mailboxes as its operator sees it: files are brought in, commands are typed, files are read back.

Nothing here knows a rule. A box has a name; its address, its customer and its payment method are named after it, so
that one database holds many lives that do not touch each other.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from lifecycle_jobs.cli import main

Row = dict[str, str]
"""A row of a CSV file by column, as it stands there."""

DOMAIN = "pec.example.it"
INPUT_FILES = ("customers.csv", "payment_methods.csv", "boxes.csv", "addons.csv")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Provider:
    """One installation, configured by its environment, at the moment that its clock shows."""

    def __init__(self, database_url: str, folder: Path, clock: FrozenDateTimeFactory) -> None:
        folder.mkdir()
        self.folder = folder
        self.mail = folder / "mail"
        self.journal = folder / "journal.jsonl"
        self.environment = {
            "LIFECYCLE_DATABASE__URL": database_url,
            "LIFECYCLE_MAIL__DIRECTORY": str(self.mail),
            "LIFECYCLE_SANDBOX__JOURNAL": str(self.journal),
            "LIFECYCLE_LOG__LEVEL": "warning",
        }
        self._clock = clock
        self._files: dict[str, list[Row]] = {name: [] for name in INPUT_FILES}
        self._exports = 0

    def box(
        self,
        name: str,
        expires_on: str,
        *,
        customer: str | None = None,
        token: str | None = None,
        kind: str | None = None,
        credit: str = "0.00",
        locale: str = "it",
        **columns: str,
    ) -> None:
        """Write down a box of plan standard, renewed by itself if it has a token or a kind of payment method."""
        holder = customer or name
        if customer is None:
            self.customer(holder, credit=credit, locale=locale)
        row = {
            "address": address(name),
            "customer_id": holder,
            "plan": "standard",
            "status": "active",
            "expires_on": expires_on,
            "renewal_years": "1",
            "auto_renew": "false",
        }
        if token is not None or kind is not None:
            method = f"{name}-method"
            self.method(method, holder, token=token or "", kind=kind or "card")
            row |= {"auto_renew": "true", "payment_method_id": method}
        self._add("boxes.csv", **row | columns)

    def customer(self, name: str, *, credit: str = "0.00", locale: str = "it") -> None:
        """Write down a customer."""
        email = f"{name}@example.it"
        self._add("customers.csv", customer_id=name, name=name.title(), email=email, locale=locale, credit=credit)

    def method(self, method: str, customer: str, *, token: str, kind: str = "card") -> None:
        """Write down a payment method of a customer."""
        self._add("payment_methods.csv", payment_method_id=method, customer_id=customer, kind=kind, token=token)

    def addon(self, addon_id: str, name: str, expires_on: str, *, paid_from: str = "credit", **columns: str) -> None:
        """Write down an add-on of a box, by default 1 GB of extra inbox."""
        row = {
            "addon_id": addon_id,
            "address": address(name),
            "kind": "extra_inbox",
            "quantity": "1",
            "unit_price": "2.50",
            "paid_from": paid_from,
            "status": "active",
            "expires_on": expires_on,
        }
        self._add("addons.csv", **row | columns)

    def bring_in(self, *options: str) -> Answer:
        """Import what was written down."""
        folder = self._fresh_folder("import")
        for name, rows in self._files.items():
            if rows:
                _write(folder / name, rows)
        self._files = {name: [] for name in INPUT_FILES}
        return self.command("import", str(folder), *options)

    def correct(self, file: str, key: Mapping[str, str], **values: str) -> None:
        """Do what a clerk does: export, alter one row of a file, and import it all again with --overwrite."""
        folder = self.export()
        for exported in list(folder.iterdir()):
            if exported.name not in INPUT_FILES:
                exported.unlink()
        rows = read(folder / file)
        (row,) = [row for row in rows if key.items() <= row.items()]
        row |= values
        _write(folder / file, rows)
        answer = self.command("import", str(folder), "--overwrite")
        assert answer.code == 0, answer.err

    def correct_box(self, name: str, **values: str) -> None:
        self.correct("boxes.csv", {"address": address(name), "deleted_on": ""}, **values)

    def at(self, moment: str) -> None:
        """Set the clock, in UTC."""
        self._clock.move_to(moment)

    def run(self, on: str, *options: str) -> Answer:
        """Type `run` at five or six in the morning of a date."""
        self.at(f"{on}T04:00:00Z")
        return self.command("run", *options)

    def run_daily(self, first: str, last: str) -> None:
        """Run every date from the first to the last; each run must end well."""
        self.run_on(*days(first, last))

    def run_on(self, *dates: str) -> None:
        """Run these dates; each run must end well."""
        for on in dates:
            answer = self.run(on)
            assert answer.code == 0, f"{on}: {answer.out}{answer.err}"

    def command(self, *arguments: str) -> Answer:
        """Type a command."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["lifecycle-jobs", *arguments])
            for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        return Answer(code, out.getvalue(), err.getvalue())

    def export(self) -> Path:
        """Export everything into a fresh folder."""
        folder = self._fresh_folder("export")
        answer = self.command("export", str(folder))
        assert answer.code == 0, answer.err
        return folder

    def books(self) -> Books:
        """Everything that the exported files say."""
        return Books({file.name: read(file) for file in self.export().iterdir()})

    def _add(self, file: str, **row: str) -> None:
        self._files[file].append(row)

    def _fresh_folder(self, what: str) -> Path:
        self._exports += 1
        folder = self.folder / f"{what}-{self._exports}"
        folder.mkdir()
        return folder


class Books:
    """The exported files, and the life of each box in them, a line an entry."""

    def __init__(self, files: Mapping[str, list[Row]]) -> None:
        self.files = files

    def box(self, name: str) -> Row:
        """The box of this name; the last one, if the address was sold again."""
        return [row for row in self.files["boxes.csv"] if row["address"] == address(name)][-1]

    def addon(self, addon_id: str) -> Row:
        (row,) = [row for row in self.files["addons.csv"] if row["addon_id"] == addon_id]
        return row

    def credit(self, customer: str) -> str:
        (row,) = [row for row in self.files["customers.csv"] if row["customer_id"] == customer]
        return row["credit"]

    def events(self, name: str) -> list[Row]:
        return [row for row in self.files["events.csv"] if row["address"] == address(name)]

    def life(self, name: str) -> list[str]:
        """Every event of a box: `2027-03-24 box.renewed until 2028-03-31, 12.08 by card`."""
        return [_told(event) for event in self.events(name)]

    def charges(self, name: str) -> list[str]:
        """Every charge of a box, in the order of slots and attempts: `slot 7 #1 declined generic_decline 12.08`."""
        found = [row for row in self.files["charges.csv"] if row["address"] == address(name)]
        found.sort(key=lambda row: (-int(row["slot"]), _attempt(row)))
        return [
            " ".join(
                part
                for part in (
                    f"slot {row['slot']}",
                    f"#{_attempt(row)}",
                    row["status"],
                    row["decline_code"],
                    row["amount"],
                )
                if part
            )
            for row in found
        ]

    def orders(self, name: str) -> list[str]:
        """Every order of a box: `2027-03-24 renewal 9.90 + 2.18 = 12.08 paid 2027-03-24`."""
        found = [row for row in self.files["orders.csv"] if row["address"] == address(name)]
        found.sort(key=lambda row: (row["placed_on"], row["kind"] != "renewal", row["order_number"]))
        return [
            f"{row['placed_on']} {row['kind']} {row['net']} + {row['vat']} = {row['gross']} "
            f"{row['status']} {row['paid_on']}".rstrip()
            for row in found
        ]

    def ledger(self, customer: str) -> list[str]:
        """Every entry of a customer after the opening one: `2027-03-24 addon -3.05, 5.43 left`."""
        return [
            f"{row['occurred_on']} {row['reason']} {row['amount']}, {row['balance_after']} left"
            for row in self.files["credit_entries.csv"]
            if row["customer_id"] == customer and row["reason"] != "opening"
        ]

    def messages(self, customer: str) -> list[str]:
        """Every message to a customer: `2027-03-24 box.renewed sent`."""
        found = [row for row in self.files["messages.csv"] if row["customer_id"] == customer]
        return [f"{row['created_on']} {row['kind']} {row['status']}" for row in found]

    def kinds_on(self, on: str) -> list[str]:
        """What happened on a date: `box.renewed mario.rossi`."""
        return [
            f"{row['kind']} {row['address'].partition('@')[0]}"
            for row in self.files["events.csv"]
            if row["occurred_on"] == on
        ]


def address(name: str) -> str:
    """The address of a box; a name that is an address already stays one."""
    return name if "@" in name else f"{name}@{DOMAIN}"


def days(first: str, last: str) -> list[str]:
    """Every date from the first to the last."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=number)).isoformat() for number in range((end - start).days + 1)]


def read(file: Path) -> list[Row]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, byte by byte."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _write(file: Path, rows: list[Row]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(columns), restval="")
        writer.writeheader()
        writer.writerows(rows)


def _attempt(charge: Row) -> int:
    return int(charge["idempotency_key"].rsplit("-", 1)[1])


def _told(event: Row) -> str:
    kind, detail = event["kind"], json.loads(event["detail"])
    words = _WORDS[kind](detail)
    return " ".join(part for part in (event["occurred_on"], kind, event["addon_id"], words) if part)


def _milestone(detail: Mapping[str, Any]) -> str:
    early = detail["milestone"] == detail["days_left"]
    return f"{detail['milestone']}" if early else f"{detail['milestone']} ({detail['days_left']} left)"


def _next_attempt(detail: Mapping[str, Any]) -> str:
    assert detail["final"] == (detail["next_attempt_on"] is None)
    return "final" if detail["final"] else f"next {detail['next_attempt_on']}"


def _reason(detail: Mapping[str, Any]) -> str:
    return f"{detail['reason']}, {detail['shortfall']} short" if "shortfall" in detail else str(detail["reason"])


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "box.expiry_alert": _milestone,
    "box.renewal_notice": _milestone,
    "box.renewed": lambda d: f"until {d['new_expires_on']}, {d['gross']} by {d['method']}",
    "charge.declined": lambda d: f"{d['code']} in slot {d['slot']}, {_next_attempt(d)}",
    "box.suspended": lambda d: str(d["reason"]),
    "box.deletion_warning": lambda d: f"{_milestone(d)} before {d['deletes_on']}",
    "box.deleted": lambda _: "",
    "addon.renewed": lambda d: f"until {d['new_expires_on']}, {d['cost']}, {d['balance']} left",
    "addon.credit_short": lambda d: f"{d['shortfall']} short",
    "addon.disabled": _reason,
    "deletion.approved": lambda _: "",
    "order.placed": lambda d: f"{d['plan']} until {d['renews_until']}, {d['gross']} by {d['pay_by']}",
    "order.cancelled": lambda d: str(d["order_number"]),
    "payment.registered": lambda d: f"{d['amount']} applied",
    "payment.unapplied": lambda d: f"{d['amount']} {d['unapplied_because']}",
    "box.changed": lambda d: f"{d['plan']}, {d['inbox_gb']} + {d['archive_gb']} GB, {d['archive_lost_mb']} MB lost",
    "autorenew.switched_off": lambda _: "",
    "method.replaced": lambda d: str(d["charge_on"]),
    "method.removed": lambda _: "",
    "addon.bought": lambda d: f"{d['quantity']} GB until {d['paid_until']}, {d['cost']}, {d['balance']} left",
    "addon.cancelled": lambda d: f"ends {d['ends_on']}",
    "autorenew.switched_on": lambda d: f"{d['payment_method_id']}, {d['years']} years",
}
