"""The stand-in for the bank: what it answers, and what it still knows after a crash (SPEC §7)."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.sandbox import SandboxGateway, bookings
from lifecycle_jobs.payments.sandbox_journal import read_lines
from tests import factories

SLOT = date(2027, 3, 24)
REQUEST = factories.charge_request(slot_on=SLOT)
PAID = Succeeded("sandbox_cc60f26b3ea4c54a")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "var" / "sandbox.jsonl"


def paying_with(token: str) -> ChargeRequest:
    return replace(REQUEST, token=token)


@pytest.mark.parametrize(
    ("token", "answer", "looked_up"),
    [
        ("pm_card_visa", PAID, PAID),
        ("pm_card_visa_chargeDeclined", *[Declined("generic_decline", hard=False)] * 2),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", *[Declined("insufficient_funds", hard=False)] * 2),
        ("pm_card_chargeDeclinedExpiredCard", *[Declined("expired_card", hard=True)] * 2),
        ("pm_card_visa_chargeDeclinedStolenCard", *[Declined("stolen_card", hard=True)] * 2),
        ("sandbox_lost_answer_paid", Unknown("timed out"), PAID),
        ("sandbox_lost_answer_never_seen", Unknown("timed out"), NeverSeen()),
        ("sandbox_unavailable", NotAttempted("connection refused"), NeverSeen()),
        ("sandbox_paid_from:2027-03-25", *[Declined("insufficient_funds", hard=False)] * 2),
        ("sandbox_paid_from:2027-03-24", PAID, PAID),
        ("sandbox_paid_from:20270324", *[Declined("unknown_token", hard=True)] * 2),
        ("sandbox_paid_from:2027-02-30", *[Declined("unknown_token", hard=True)] * 2),
        ("sandbox_paid_from:", *[Declined("unknown_token", hard=True)] * 2),
        ("pm_1NvLqX2eZvKYlo2C", *[Declined("unknown_token", hard=True)] * 2),
    ],
)
def test_each_token_has_one_answer(journal: Path, token: str, answer: ChargeOutcome, looked_up: LookUpOutcome) -> None:
    gateway = SandboxGateway(journal)

    first = gateway.charge(paying_with(token))
    again = gateway.charge(paying_with(token))

    assert (first, again) == (answer, answer)
    assert gateway.look_up(REQUEST) == looked_up
    assert SandboxGateway(journal).look_up(REQUEST) == looked_up
    assert len(bookings(journal)) == (looked_up == PAID)


def test_a_paid_from_token_goes_by_the_slot_and_not_by_the_day_of_the_call(journal: Path) -> None:
    gateway = SandboxGateway(journal)
    request = paying_with("sandbox_paid_from:2027-03-26")

    answers = [
        gateway.charge(replace(request, idempotency_key=f"slot-{days}", slot_on=SLOT + timedelta(days)))
        for days in (0, 1, 2, 3)
    ]

    assert [type(answer) for answer in answers] == [Declined, Declined, Succeeded, Succeeded]


def test_a_key_that_nobody_used_was_never_seen(journal: Path) -> None:
    assert SandboxGateway(journal).look_up(factories.charge_request("nobody")) == NeverSeen()


def test_it_forgets_nothing_and_shows_everything_at_once(journal: Path) -> None:
    gateway: Gateway = SandboxGateway(journal)

    assert (gateway.lag, gateway.memory) == (timedelta(0), None)


@pytest.mark.parametrize("changed", [{"amount_cents": 1209}, {"token": "pm_card_visa_chargeDeclined"}, {"token": "x"}])
def test_a_key_with_other_parameters_is_turned_away(journal: Path, changed: dict[str, object]) -> None:
    gateway = SandboxGateway(journal)
    gateway.charge(REQUEST)

    answer = gateway.charge(replace(REQUEST, **changed))  # type: ignore[arg-type]

    assert answer == Unknown("key was used with other parameters")
    assert [(line.key, line.amount_cents) for line in bookings(journal)] == [(REQUEST.idempotency_key, 1208)]


def test_the_journal_says_what_the_bank_saw(journal: Path) -> None:
    gateway = SandboxGateway(journal)
    for token in ("sandbox_unavailable", "sandbox_lost_answer_never_seen", "sandbox_lost_answer_paid"):
        gateway.charge(paying_with(token))
    gateway.charge(paying_with("sandbox_lost_answer_paid"))
    gateway.charge(paying_with("pm_card_visa"))

    assert [(line.outcome, line.answer_lost) for line in read_lines(journal)] == [
        ("refused", False),
        ("never_seen", True),
        ("succeeded", True),
        ("repeated", True),
        ("mismatched", False),
    ]
    booked = bookings(journal)[0]
    assert (booked.order_number, booked.slot_on, booked.reference) == ("R-17", "2027-03-24", PAID.reference)


def test_a_token_that_may_be_real_is_not_written_down(journal: Path) -> None:
    SandboxGateway(journal).charge(paying_with("pm_1NvLqX2eZvKYlo2C"))

    assert "NvLqX2eZvKYlo2C" not in journal.read_text()


def test_another_process_is_told_the_same(journal: Path) -> None:
    in_another_process(f"SandboxGateway(journal).charge({REQUEST!r})", journal)

    assert SandboxGateway(journal).charge(REQUEST) == PAID
    assert len(bookings(journal)) == 1


def test_it_reads_what_another_process_added_meanwhile(journal: Path) -> None:
    gateway = SandboxGateway(journal)
    assert gateway.look_up(REQUEST) == NeverSeen()

    in_another_process(f"SandboxGateway(journal).charge({REQUEST!r})", journal)

    assert gateway.look_up(REQUEST) == PAID


def test_killed_between_the_journal_and_the_answer_it_has_booked(journal: Path) -> None:
    journal.parent.mkdir()
    journal.touch()
    dies_after_its_first_write = (
        "to_disk = os.fsync\n"
        "os.fsync = lambda descriptor: (to_disk(descriptor), os.kill(os.getpid(), signal.SIGKILL))\n"
        f"SandboxGateway(journal).charge({REQUEST!r})"
    )

    assert in_another_process(dies_after_its_first_write, journal) == -signal.SIGKILL

    gateway = SandboxGateway(journal)
    assert gateway.look_up(REQUEST) == PAID
    assert gateway.charge(REQUEST) == PAID
    assert len(bookings(journal)) == 1


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_was_never_seen_and_is_repaired(journal: Path, kept: int) -> None:
    gateway = SandboxGateway(journal)
    gateway.charge(REQUEST)
    first = journal.read_bytes()
    gateway.charge(replace(REQUEST, idempotency_key="torn"))
    journal.write_bytes(first + journal.read_bytes()[len(first) :][:kept])

    assert len(bookings(journal)) == 1
    for reader in (gateway, SandboxGateway(journal), SandboxGateway(journal).rehearse()):
        assert reader.look_up(factories.charge_request("torn")) == NeverSeen()
    assert isinstance(gateway.charge(replace(REQUEST, idempotency_key="torn")), Succeeded)
    assert [line.key for line in bookings(journal)] == [REQUEST.idempotency_key, "torn"]
    written = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["key"] for line in written] == [REQUEST.idempotency_key, "torn"]


def test_what_a_power_cut_left_between_two_lines_is_passed_over(journal: Path) -> None:
    gateway = SandboxGateway(journal)
    gateway.charge(REQUEST)
    journal.write_bytes(journal.read_bytes() + b"\0" * 50 + b'\n{"key": "half"}\n\xff\n[]\n')
    gateway.charge(replace(REQUEST, idempotency_key="after"))

    fresh = SandboxGateway(journal)
    assert isinstance(fresh.look_up(factories.charge_request("after")), Succeeded)
    assert fresh.look_up(factories.charge_request("half")) == NeverSeen()
    assert len(bookings(journal)) == 2


def test_a_journal_that_was_removed_begins_anew(journal: Path) -> None:
    gateway = SandboxGateway(journal)
    gateway.charge(REQUEST)
    journal.unlink()

    assert gateway.look_up(REQUEST) == NeverSeen()


def test_two_processes_at_once_book_each_key_once(journal: Path) -> None:
    keys = 150
    barrier = multiprocessing.get_context("spawn").Barrier(3)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=charge_all, args=(journal, keys, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(line.key for line in bookings(journal)) == sorted(f"key-{n}" for n in range(keys))
    outcomes = [line.outcome for line in read_lines(journal)]
    assert (outcomes.count("succeeded"), outcomes.count("repeated")) == (keys, 2 * keys)


def charge_all(journal: Path, keys: int, barrier: object) -> None:
    gateway = SandboxGateway(journal)
    barrier.wait()  # type: ignore[attr-defined]
    for n in range(keys):
        answer = gateway.charge(replace(REQUEST, idempotency_key=f"key-{n}"))
        assert answer == gateway.look_up(factories.charge_request(f"key-{n}"))


def test_a_rehearsal_answers_the_same_and_writes_nothing(journal: Path) -> None:
    gateway = SandboxGateway(journal)
    gateway.charge(REQUEST)
    before = journal.read_bytes()
    rehearsal = gateway.rehearse()
    declined = replace(paying_with("pm_card_visa_chargeDeclined"), idempotency_key="other")

    assert rehearsal.charge(REQUEST) == PAID
    assert isinstance(rehearsal.charge(replace(REQUEST, amount_cents=1)), Unknown)
    assert rehearsal.charge(declined) == Declined("generic_decline", hard=False)
    assert rehearsal.look_up(factories.charge_request("other")) == Declined("generic_decline", hard=False)
    assert gateway.look_up(factories.charge_request("other")) == NeverSeen()
    assert journal.read_bytes() == before


def test_a_rehearsal_makes_no_file(journal: Path) -> None:
    assert SandboxGateway(journal).rehearse().charge(REQUEST) == PAID
    assert not journal.parent.exists()


def test_a_journal_that_cannot_be_used_charges_nothing(tmp_path: Path) -> None:
    gateway = SandboxGateway(tmp_path)

    assert isinstance(gateway.charge(REQUEST), NotAttempted)
    assert isinstance(gateway.look_up(REQUEST), NoAnswer)


def test_a_full_disk_leaves_the_charge_unknown(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = SandboxGateway(journal)

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert gateway.charge(REQUEST) == Unknown("the sandbox journal took no more: No space left on device")

    assert gateway.look_up(REQUEST) == NeverSeen()


def in_another_process(code: str, journal: Path) -> int:
    prelude = (
        "import datetime, os, signal\n"
        "from pathlib import Path\n"
        "from lifecycle_jobs.payments.gateway import ChargeRequest\n"
        "from lifecycle_jobs.payments.sandbox import SandboxGateway\n"
        f"journal = Path({str(journal)!r})\n"
    )
    return subprocess.run([sys.executable, "-c", prelude + code], check=False).returncode
