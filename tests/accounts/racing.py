"""An operation beside a job, on one and the same box: what may come of it, and what does.

What may come out of an overlap is what comes out of the two one after the other, in either order, and, where the job
asks the gateway, of the operation done while it asks. Anything else is a fault, however clean the books.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from unittest.mock import patch

from sqlalchemy import select, text

from lifecycle_jobs.db import tables
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Gateway,
    LookUpOutcome,
    RefundOutcome,
    RefundRequest,
)
from tests.accounts.operations import Operation, accepted
from tests.accounts.situations import Situation
from tests.jobs.running import Office
from tests.properties.comparing import seen
from tests.properties.provider import Registry

PATIENCE = 30.0

First = Literal["operation", "job", "chance"]
Outcome = tuple[str, dict[str, Any]]
"""Whether the operation was accepted, and how everything stands."""


def possible(office: Office, operation: Operation, situation: Situation) -> dict[str, Outcome]:
    """What comes out of the two where they do not overlap by chance, by how they were done."""
    told: list[str] = []

    def operate() -> None:
        if not told:
            told.append(accepted(office, operation, situation.on))

    def asking() -> None:
        office_with = replace(office, gateway=_Asked(office.gateway, operate))
        office_with.job(situation.job, situation.on)

    def begun() -> None:
        start = Collector._start

        def after_the_operation(*arguments: Any) -> None:
            operate()
            start(*arguments)

        with patch.object(Collector, "_start", after_the_operation):
            office.job(situation.job, situation.on)

    def work() -> None:
        office.job(situation.job, situation.on)

    ways: dict[str, tuple[Callable[[], None], ...]] = {"operation first": (operate, work), "job first": (work, operate)}
    if situation.job in {"reconcile_charges", "auto_renew"}:
        ways |= {"while the bank is asked": (asking, operate), "before the bank is asked": (begun, operate)}
    ways |= _left_for_the_next_run(operation, situation, operate)

    def come_out(steps: Sequence[Callable[[], None]]) -> Outcome:
        _arrange(office, operation, situation)
        told.clear()
        for step in steps:
            step()
        return told[0], _stands(office)

    return {name: come_out(steps) for name, steps in ways.items()}


def _left_for_the_next_run(
    operation: Operation, situation: Situation, operate: Callable[[], None]
) -> dict[str, tuple[Callable[[], None], ...]]:
    if situation.job == "auto_renew" and operation.next_run:
        return {"left for the next run": (operate,)}
    return {}


def race(office: Office, operation: Operation, situation: Situation, first: First) -> Outcome:
    """Both at once: `first` waits first for the box, which is held until both are there; or let chance decide."""
    _arrange(office, operation, situation)
    told: list[str] = []
    wrong: list[Exception] = []
    together = threading.Barrier(2, timeout=PATIENCE)

    def operate() -> None:
        told.append(accepted(office, operation, situation.on))

    def work() -> None:
        office.job(situation.job, situation.on)

    def run(doing: Callable[[], None]) -> None:
        try:
            if first == "chance":
                together.wait()
            doing()
        except Exception as error:  # noqa: BLE001 -- told below
            wrong.append(error)

    order = (work, operate) if first == "job" else (operate, work)
    threads = [threading.Thread(target=run, args=(each,)) for each in order]
    _start(office, threads, one_after_the_other=first != "chance")
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    return told[0], _stands(office)


def _start(office: Office, threads: Sequence[threading.Thread], *, one_after_the_other: bool) -> None:
    if not one_after_the_other:
        for thread in threads:
            thread.start()
        return
    with _held(office):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            _until_they_wait(office, threads[:number])


def _arrange(office: Office, operation: Operation, situation: Situation) -> None:
    situation.arrange(office)
    operation.prepare(office, situation)


@contextmanager
def _held(office: Office) -> Iterator[None]:
    """Nobody else changes a box or a holder for the length of the block."""
    with office.store.write() as connection:
        connection.execute(select(tables.boxes.c.id).with_for_update(key_share=True))
        connection.execute(select(tables.customers.c.customer_id).with_for_update(key_share=True))
        yield


def _until_they_wait(office: Office, threads: Sequence[threading.Thread]) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        alive = sum(thread.is_alive() for thread in threads)
        with office.store.read() as connection:
            if connection.scalar(waiting) == alive:
                return
        time.sleep(0.005)
    raise AssertionError("somebody neither waits nor ends")


def _stands(office: Office) -> dict[str, Any]:
    picture = seen(Registry(office.store, office.settings).rows())
    # The number of an order has the box's id in it, which is another each time.
    return picture | {"unapplied": [(kind, cents) for kind, _, cents in picture["unapplied"]]}


@dataclass
class _Asked:
    """A bank that is told of every question before it answers."""

    bank: Gateway
    operate: Callable[[], None]
    lag: timedelta = timedelta(0)
    memory: timedelta | None = None
    parallel: bool = False

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        self.operate()
        return self.bank.charge(request)

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        self.operate()
        return self.bank.look_up(request)

    def refund(self, request: RefundRequest) -> RefundOutcome:
        return self.bank.refund(request)

    def rehearse(self) -> Gateway:
        return self.bank.rehearse()
