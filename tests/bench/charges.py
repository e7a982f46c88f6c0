"""`python -m tests.bench.charges`: thousands of charges through a gateway that takes its time to answer.

A provider whose boxes are all due to be charged today, a server that behaves like Stripe and answers after 300 ms, and
the program as an operator runs it, on SQLite and on PostgreSQL. Every charge is counted afterwards: in the server's own
journal, and by `lifecycle-jobs audit`. The exit code is 1 if one is missing or made twice.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import servers
from tests.bench import bare_charges, databases
from tests.bench.measure import COMMAND, Measured, environment_of, replay
from tests.stripe_servers import StripeServer

ON = date(2026, 3, 24)
"""A day in the past, so that the program does not ask whether it is meant."""

_ADDONS = ("addon_id", "address", "kind", "quantity", "unit_price", "paid_from", "status", "expires_on", "cancelled_on")


@dataclass(frozen=True, slots=True)
class Figure:
    """Charging on one database: seconds of the job, of the same calls without books, and of the gateway alone."""

    database: str
    charges: int
    seconds: float
    bare: float
    ideal: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Charges a second."""
        return self.charges / self.seconds


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _options()
    console = Console()
    table = Table(title=f"{options.charges:,} charges, {options.concurrency} at a time, {options.delay} s each")
    for heading in ("database", "auto_renew, seconds", "without books", "ideal", "charges a second", "peak MiB"):
        table.add_column(heading, justify="right")
    wrong: list[str] = []
    servers.begin()
    try:
        for kind in options.databases:
            found = figure(kind, options.charges, options.concurrency, options.delay, wrong)
            seconds = (f"{found.seconds:.1f}", f"{found.bare:.1f}", f"{found.ideal:.1f}")
            table.add_row(found.database, *seconds, f"{found.rate:.0f}", f"{found.peak_mib:.0f}")
    finally:
        servers.end()
    console.print(table)
    for line in wrong:
        console.print(f"[red]wrong[/red]: {line}")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.charges", description="Measure charging many boxes.")
    parser.add_argument("--charges", type=int, default=10_000, help="how many boxes are due")
    parser.add_argument("--concurrency", type=int, default=64, help="calls in flight")
    parser.add_argument("--delay", type=float, default=0.3, help="seconds that the gateway takes to answer")
    parser.add_argument("--databases", nargs="+", choices=databases.KINDS, default=databases.KINDS)
    return parser.parse_args()


def figure(kind: str, charges: int, concurrency: int, delay: float, wrong: list[str]) -> Figure:
    """Measure so many charges, so many at a time; `wrong` gets a sentence for what is missing or was made twice."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder:
        bare = bare_charges.seconds(Path(folder), charges, concurrency, delay, ON)
        measured, database = _bench(kind, Path(folder), charges, concurrency, delay, wrong)
    seconds = next(job.seconds for job in measured.jobs if job.job == "auto_renew")
    return Figure(database, charges, seconds, bare, charges * delay / concurrency, measured.peak_mib)


def _bench(
    kind: str, folder: Path, charges: int, concurrency: int, delay: float, wrong: list[str]
) -> tuple[Measured, str]:
    with (
        databases.fresh(kind, folder) as (url, database),
        StripeServer(folder / "stripe.jsonl", delay=delay) as bank,
    ):
        chosen = bank.environment | {
            "LIFECYCLE_GATEWAY__CONCURRENCY": str(concurrency),
            "LIFECYCLE_GATEWAY__REQUESTS_PER_SECOND": "1000",
        }
        environment = environment_of(url, folder) | chosen
        write_provider(folder / "provider", charges)
        for command in (["db", "upgrade"], ["import", str(folder / "provider")]):
            _typed(environment, *command)
        measured = replay(url, ON, folder, chosen)
        audited = _typed(environment, "audit", check=False)
        keys = [charge.key for charge in bank.charges()]
    if (len(keys), len(set(keys))) != (charges, charges):
        wrong.append(f"{database}: {len(keys)} charges with {len(set(keys))} keys at the bank")
    if audited.returncode:
        wrong.append(f"{database}: {audited.stdout}")
    return measured, database


def _typed(environment: Mapping[str, str], *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env=environment, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def write_provider(folder: Path, boxes: int) -> None:
    """The files of a provider of so many boxes, each of a customer of its own, with a card that pays."""
    folder.mkdir()
    number = range(boxes)
    _csv(
        folder / "customers.csv",
        ({"customer_id": f"c{n}", "name": f"Holder {n}", "email": f"h{n}@example.it", "locale": "it",
          "gateway_customer_id": f"cus_{n}", "credit": "0.00"} for n in number),
    )  # fmt: skip
    _csv(
        folder / "payment_methods.csv",
        ({"payment_method_id": f"m{n}", "customer_id": f"c{n}", "kind": "card", "token": "pm_card_visa"}
         for n in number),
    )  # fmt: skip
    _csv(
        folder / "boxes.csv",
        ({"address": f"b{n}@pec.example.it", "customer_id": f"c{n}", "plan": "standard", "status": "active",
          "expires_on": (ON + timedelta(days=7)).isoformat(), "renewal_years": "1", "auto_renew": "true",
          "payment_method_id": f"m{n}"} for n in number),
    )  # fmt: skip
    (folder / "addons.csv").write_text(",".join(_ADDONS) + "\n")


def _csv(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with file.open("w", newline="") as written:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(written, list(row))
                writer.writeheader()
            writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
