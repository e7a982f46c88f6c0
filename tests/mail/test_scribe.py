"""Letters are the same wherever they are written, and the process that writes them is nobody's burden."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.mail import scribe
from lifecycle_jobs.mail.addresses import NotAnAddress
from lifecycle_jobs.mail.contents import LOCALES
from lifecycle_jobs.mail.gather import Pointless, Unfit
from lifecycle_jobs.mail.scribe import Desk, Draft, Found, HereAtFirst, Scribe, ScribeProcess, Written
from lifecycle_jobs.mail.transports import Outgoing
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.mail.office import ON, alert, queue_alerts, queued, settings_for

MOMENT = datetime(2027, 3, 24, 4, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def a_message_of_every_fate(store: Store) -> list[int]:
    """Alerts and news of deletions in both languages, one that is pointless by now, and one that makes no sense."""
    ids = []
    with store.write() as connection:
        factories.customer(connection)
        due = factories.box(connection, "due@pec.it")
        renewed = factories.box(connection, "renewed@pec.it", expires_on=factories.EXPIRES_ON.replace(year=2030))
        gone = factories.box(connection, "gone@pec.it", status="deleted")
        for number, locale in enumerate(LOCALES):
            ids.append(
                queued(connection, alert(connection, due, milestone=number), locale=locale, created_on=day(number))
            )
            deleted = factories.event(connection, "box.deleted", occurred_on=ON, box_id=gone)
            kind = "box.deleted"
            ids.append(queued(connection, deleted, kind=kind, locale=locale, created_on=day(number)))
        ids.append(queued(connection, alert(connection, renewed, milestone=9), created_on=day(3)))
        ids.append(queued(connection, alert(connection, due, milestone=10), locale="xx", created_on=day(4)))
    return ids


def day(number: int) -> date:
    return ON.replace(day=number + 1)


def test_another_process_finds_and_writes_the_same(store: Store, settings: Settings) -> None:
    ids = a_message_of_every_fate(store)
    here = Scribe(store, settings, ON)
    here.give(ids, MOMENT)
    with ScribeProcess(store, settings, ON) as there:
        there.give(ids, MOMENT)
        found = there.take()

    expected = [
        Written(each.message, each.marks, each.write(), 0.0) if isinstance(each, Draft) else each
        for each in here.take()
    ]
    assert [type(each) for each in found] == [Written, Written, Written, Written, Pointless, Unfit]
    assert [each._replace(read_at=0.0) if isinstance(each, Written) else each for each in found[:5]] == expected[:5]
    assert repr(found[5]) == repr(expected[5])  # errors are equal to themselves only


def test_what_was_given_first_is_taken_first(store: Store, settings: Settings) -> None:
    ids = queue_alerts(store, "a@example.it", "b@example.it")
    with ScribeProcess(store, settings, ON) as there:
        for each in ids:
            there.give([each], MOMENT)

        assert [recipients(there.take()) for _ in ids] == [["a@example.it"], ["b@example.it"]]


def test_nobody_waits_for_the_other_process_to_start_and_the_order_is_kept(store: Store, settings: Settings) -> None:
    first, second, third = queue_alerts(store, "a@example.it", "b@example.it", "c@example.it")
    with ScribeProcess(store, settings, ON) as there:
        desk = HereAtFirst(Scribe(store, settings, ON), there)
        assert not there.up
        desk.give([first], MOMENT)
        desk.give([second], MOMENT)
        assert desk.ready
        assert recipients(desk.take()) == ["a@example.it"]
        until(lambda: there.up)

        desk.give([third], MOMENT)

        assert recipients(desk.take()) == ["b@example.it"]
        assert recipients(desk.take()) == ["c@example.it"]
        assert desk.ready


def test_a_process_that_ended_at_its_start_stops_the_delivery_too(store: Store, settings: Settings) -> None:
    with ScribeProcess(store, settings, ON) as there:
        desk = HereAtFirst(Scribe(store, settings, ON), there)
        there._process.kill()
        until(lambda: there.up)

        with pytest.raises(RunStopped, match="stays in the queue"):
            _give_and_take(desk)


def test_a_message_says_what_is_so_when_it_is_written(store: Store, settings: Settings) -> None:
    (late,) = queue_alerts(store, "a@example.it")
    with ScribeProcess(store, settings, ON) as there:
        with store.write() as connection:
            connection.execute(boxes.update().values(expires_on=ON.replace(year=2030)))
        there.give([late], MOMENT)

        assert [type(each) for each in there.take()] == [Pointless]


@pytest.mark.timeout(60)
def test_very_long_letters_can_be_given_while_very_long_ones_are_being_written(
    store: Store, settings: Settings
) -> None:
    with store.write() as connection:
        factories.customer(connection)
        events = [
            alert(connection, factories.box(connection, f"casella-{number}@pec.example")) for number in range(1_000)
        ]
        long = queued(connection, *events)
    with ScribeProcess(store, settings, ON) as there:
        for _ in range(3):
            there.give([long], MOMENT)

        assert [len(there.take()) for _ in range(3)] == [1, 1, 1]


def test_one_that_cannot_be_written_comes_back_as_its_error_and_the_others_are_written(
    store: Store, settings: Settings
) -> None:
    ids = queue_alerts(store, "a@example.it", "nobody", "c@example.it")
    with ScribeProcess(store, settings, ON) as there:
        there.give(ids, MOMENT)
        envelopes = [each.envelope for each in there.take() if isinstance(each, Written)]

    assert [type(each) for each in envelopes] == [Outgoing, NotAnAddress, Outgoing]


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/nobody", "sqlite:///{folder}/missing/lifecycle.db"])
def test_a_database_that_cannot_be_read_is_no_fault_of_the_messages(
    settings: Settings, tmp_path: Path, url: str
) -> None:
    with ScribeProcess(open_store(url.format(folder=tmp_path)), settings, ON) as there:
        there.give([1, 2], MOMENT)

        with pytest.raises(OperationalError):
            there.take()


def test_a_process_that_is_gone_stops_the_delivery_with_a_sentence(store: Store, settings: Settings) -> None:
    with ScribeProcess(store, settings, ON) as there:
        assert there._process is not None
        there._process.kill()
        there._process.wait()

        with pytest.raises(RunStopped, match="stays in the queue"):
            _give_and_take(there)


def test_a_process_that_stands_still_is_not_waited_for_without_end(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribe, "_AT_LEAST", 0.2)
    impatient = settings.model_copy(update={"workers": settings.workers.model_copy(update={"time_out": 1})})
    some = queue_alerts(store, "a@example.it")
    with ScribeProcess(store, impatient, ON) as there:
        until(lambda: there.up)
        there._process.send_signal(signal.SIGSTOP)
        there.give(some, MOMENT)
        assert not there.ready
        until(lambda: there.ready)  # who waits for that goes on, and is told

        with pytest.raises(RunStopped, match=r"not answered within workers\.time_out = 1 seconds"):
            there.take()

    assert there._process.returncode == -signal.SIGKILL


def test_its_time_begins_anew_with_each_answer(
    sqlite_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, passed = clock.running, [0.0]
    monkeypatch.setattr(clock, "running", lambda: running() + passed[0])
    first, second = queue_alerts(sqlite_store, "a@example.it", "b@example.it")
    with ScribeProcess(sqlite_store, settings, ON) as there:
        there.give([first], MOMENT)
        until(lambda: there.ready)
        there._process.send_signal(signal.SIGSTOP)
        there.give([second], MOMENT)

        passed[0] += settings.workers.time_out - 1
        assert recipients(there.take()) == ["a@example.it"]
        passed[0] += settings.workers.time_out - 1
        assert not there.ready

        there._process.send_signal(signal.SIGCONT)
        assert recipients(there.take()) == ["b@example.it"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_goes_on_when_everybody_is_asked_to_stop_and_ends_when_it_is_needed_no_more(
    sqlite_store: Store, settings: Settings, number: signal.Signals
) -> None:
    ids = queue_alerts(sqlite_store, "a@example.it")
    with ScribeProcess(sqlite_store, settings, ON) as there:
        process = there._process
        assert process is not None
        there.give(ids, MOMENT)
        there.take()
        os.kill(process.pid, number)
        there.give(ids, MOMENT)

        assert len(there.take()) == 1

    assert process.returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nothing_of_a_letter_is_lost_when_it_is_paused_while_it_hands_letters_back(
    sqlite_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    some = queue_alerts(sqlite_store, *(f"r{number}@example.it" for number in range(100)))  # more than a pipe holds
    with ScribeProcess(sqlite_store, settings, ON) as there:
        assert there._process is not None
        there.give(some, MOMENT)
        for _ in range(5):
            time.sleep(0.4)
            there._process.send_signal(signal.SIGSTOP)
            time.sleep(0.05)
            there._process.send_signal(signal.SIGCONT)

        assert len(there.take()) == 100
        there.give(some, MOMENT)
        assert len(there.take()) == 100


def test_it_ends_by_itself_when_the_one_it_writes_for_is_killed() -> None:
    writes_for_it = subprocess.run(
        [sys.executable, "-c", _KILLED_WITH_A_SCRIBE], check=False, capture_output=True, text=True, cwd=_ROOT
    )
    assert writes_for_it.returncode == -signal.SIGKILL, writes_for_it.stderr

    deadline = time.monotonic() + 30
    while _lives(int(writes_for_it.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


_ROOT = Path(__file__).parents[2]
_KILLED_WITH_A_SCRIBE = """
import os, signal
from lifecycle_jobs.mail.scribe import ScribeProcess
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.settings import load_settings
from contextlib import suppress
from datetime import UTC, date, datetime
from sqlalchemy.exc import OperationalError
there = ScribeProcess(open_store("sqlite:///:memory:"), load_settings(), date(2027, 3, 24)).__enter__()
there.give([], datetime(2027, 3, 24, tzinfo=UTC))
with suppress(OperationalError):  # there is no such database
    there.take()
print(there._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def until(happens: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if happens():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within half a minute")


def _give_and_take(there: Desk) -> None:
    there.give([1], MOMENT)
    there.take()


def recipients(found: Sequence[Found]) -> list[str]:
    return [each.message.recipient for each in found if isinstance(each, (Written, Draft))]


def _lives(pid: int) -> bool:
    """Whether the process still runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
