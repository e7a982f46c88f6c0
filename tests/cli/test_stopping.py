"""An orderly end on SIGTERM or Ctrl-C; a second Ctrl-C breaks off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from lifecycle_jobs import runs
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import StopRequested
from lifecycle_jobs.payments.gateway import ChargeOutcome, ChargeRequest
from lifecycle_jobs.payments.sandbox import SandboxGateway, bookings
from tests import factories
from tests.cli.conftest import Type
from tests.jobs.running import charged, expires_on, look, renewing_box

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
FIRST_SLOT = E - timedelta(days=7)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def advanced() -> list[tuple[str, int]]:
    """What the progress below `stoppable` was told."""
    return []


@pytest.fixture(autouse=True)
def _same_handlers_afterwards() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_without_a_signal_the_progress_goes_through(advanced: list[tuple[str, int]]) -> None:
    with stoppable(lambda name, rows: advanced.append((name, rows))) as progress:
        progress("suspend", 3)
        progress("delete", 1)

    assert advanced == [("suspend", 3), ("delete", 1)]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_leaves_a_note_that_the_work_finds_when_it_next_advances(
    advanced: list[tuple[str, int]], number: signal.Signals
) -> None:
    with stoppable(lambda name, rows: advanced.append((name, rows))) as progress:
        signal.raise_signal(number)
        advanced.append(("still in the middle of a transaction", 0))
        with pytest.raises(StopRequested, match=r"Stopped as asked, during suspend\. What was committed stays done"):
            progress("suspend", 1)

    assert advanced == [("still in the middle of a transaction", 0), ("suspend", 1)]


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_ctrl_c_breaks_off_at_once(first: signal.Signals) -> None:
    reached = []

    def work() -> None:
        with stoppable(lambda _name, _rows: None):
            signal.raise_signal(first)
            reached.append("after the first")
            signal.raise_signal(signal.SIGINT)
            reached.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert reached == ["after the first"]


def test_a_second_sigterm_changes_nothing() -> None:
    with stoppable(lambda _name, _rows: None) as progress:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopRequested):
            progress("suspend", 1)


@pytest.mark.parametrize("error", [RuntimeError, StopRequested, KeyboardInterrupt])
def test_the_handlers_of_before_are_there_again_however_it_ends(error: type[BaseException]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    def fail() -> None:
        with stoppable(lambda _name, _rows: None):
            assert [signal.getsignal(number) for number in SIGNALS] != before
            raise error

    with pytest.raises(error):
        fail()

    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_thread_that_may_not_handle_signals_works_on_without(advanced: list[tuple[str, int]]) -> None:
    def work() -> None:
        with stoppable(lambda name, rows: advanced.append((name, rows))) as progress:
            progress("suspend", 1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)

    assert advanced == [("suspend", 1)]


class TestARunThatIsAskedToStopDuringACall:
    @pytest.fixture(autouse=True)
    def _boxes(self, lifecycle: Type, sqlite_store: Store) -> None:
        del lifecycle
        with sqlite_store.write() as connection:
            for name in ("a", "b", "c"):
                renewing_box(connection, name)

    @pytest.fixture
    def signalled(self, monkeypatch: pytest.MonkeyPatch) -> list[signal.Signals]:
        """The signals that arrive during the first call of the bank."""
        arrive: list[signal.Signals] = []
        charge = SandboxGateway.charge

        def interrupted(gateway: SandboxGateway, request: ChargeRequest) -> ChargeOutcome:
            outcome = charge(gateway, request)
            while arrive:
                signal.raise_signal(arrive.pop(0))
            return outcome

        monkeypatch.setattr(SandboxGateway, "charge", interrupted)
        return arrive

    @pytest.mark.parametrize("number", SIGNALS)
    def test_records_the_answer_begins_nothing_more_and_is_continued_by_the_same_command(
        self, lifecycle: Type, sqlite_store: Store, signalled: list[signal.Signals], number: signal.Signals
    ) -> None:
        signalled.append(number)

        stopped = lifecycle("replay", FIRST_SLOT.isoformat())

        assert stopped.code == 143
        assert "Stopped as asked, during auto_renew. What was committed stays done" in stopped.err
        assert "Traceback" not in stopped.err
        assert charged(sqlite_store) == [(7, "succeeded")]
        assert [expires_on(sqlite_store, box) for box in (1, 2, 3)] == [NEXT_E, E, E]

        assert lifecycle("replay", FIRST_SLOT.isoformat()).code == 0
        assert [expires_on(sqlite_store, box) for box in (1, 2, 3)] == [NEXT_E] * 3
        assert [row["status"] for row in look(sqlite_store, tables.messages)] == ["sent"] * 3

    def test_and_then_broken_off_leaves_what_was_written_down_to_be_looked_up(
        self,
        lifecycle: Type,
        sqlite_store: Store,
        signalled: list[signal.Signals],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        monkeypatch.setenv("LIFECYCLE_SANDBOX__JOURNAL", str(tmp_path / "journal.jsonl"))
        signalled += [signal.SIGINT, signal.SIGINT]

        broken_off = lifecycle("replay", FIRST_SLOT.isoformat())

        assert broken_off.code == 130
        assert "Interrupted. What was committed stays done; the same command continues." in broken_off.err
        assert charged(sqlite_store) == [(7, "pending")] * 3

        assert lifecycle("replay", FIRST_SLOT.isoformat()).code == 0
        assert charged(sqlite_store) == [(7, "succeeded")] * 3
        assert len(bookings(tmp_path / "journal.jsonl")) == 3

    @pytest.fixture
    def _signalled_at_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        finish = runs.finish

        def finish_and_be_asked_to_stop(store: Store, run: runs.Run, failures: int) -> None:
            finish(store, run, failures)
            signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(runs, "finish", finish_and_be_asked_to_stop)

    @pytest.mark.usefixtures("_signalled_at_the_end")
    def test_or_between_two_dates_stops_before_the_second_does_anything(
        self, lifecycle: Type, sqlite_store: Store
    ) -> None:
        two = ("replay", FIRST_SLOT.isoformat(), "--until", (FIRST_SLOT + timedelta(days=1)).isoformat())

        assert lifecycle(*two).code == 143

        states = [(row["run_on"], row["state"]) for row in look(sqlite_store, tables.runs)]
        assert states[0] == (FIRST_SLOT, "completed")
        assert (FIRST_SLOT + timedelta(days=1), "completed") not in states

    @pytest.mark.usefixtures("_signalled_at_the_end")
    def test_or_after_the_last_date_has_nothing_left_to_stop(self, lifecycle: Type) -> None:
        assert lifecycle("replay", FIRST_SLOT.isoformat()).code == 0
