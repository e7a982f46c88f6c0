"""Letters are the same wherever they are written, and the process that writes them is nobody's burden."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import pytest

from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.mail.addresses import NotAnAddress
from lifecycle_jobs.mail.contents import LOCALES, MESSAGE_KINDS, Locale, MessageKind
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.samples import SAMPLES
from lifecycle_jobs.mail.scribe import Draft, Scribe, ScribeProcess
from lifecycle_jobs.settings import Settings
from tests.mail.office import settings_for

MOMENT = datetime(2027, 3, 24, 4, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def draft(kind: str, locale: Locale, *, recipient: str = "mario.rossi@example.it") -> Draft:
    content = SAMPLES[cast("MessageKind", kind)][0]
    return Draft(f"2027-03-24/1/c1/{kind}", kind, "c1", date(2027, 3, 24), recipient, locale, content)


def test_another_process_writes_the_same_bytes(settings: Settings) -> None:
    some = [draft(kind, locale) for kind in MESSAGE_KINDS for locale in LOCALES]
    here = Scribe(settings, Renderer())
    here.give(some, MOMENT)
    with ScribeProcess(settings) as there:
        there.give(some, MOMENT)

        assert there.take() == here.take()


def test_what_was_given_first_is_taken_first(settings: Settings) -> None:
    with ScribeProcess(settings) as there:
        for kind in ("box.suspended", "box.deleted"):
            there.give([draft(kind, "it")], MOMENT)

        kinds = [getattr(there.take()[0], "kind", None) for _ in range(2)]

    assert kinds == ["box.suspended", "box.deleted"]


@pytest.mark.timeout(60)
def test_very_long_letters_can_be_given_while_very_long_ones_are_being_written(settings: Settings) -> None:
    alert = draft("box.expiry_alert", "it")
    (line,) = alert.content.lines
    lines = tuple(dataclasses.replace(line, address=f"casella-{number}@pec.example") for number in range(2_000))
    long = alert._replace(content=dataclasses.replace(alert.content, lines=lines))
    with ScribeProcess(settings) as there:
        for _ in range(3):
            there.give([long, long], MOMENT)

        assert [len(there.take()) for _ in range(3)] == [2, 2, 2]


def test_one_that_cannot_be_written_comes_back_as_its_error_and_the_others_are_written(settings: Settings) -> None:
    some = [draft("box.suspended", "it"), draft("box.suspended", "it", recipient="nobody"), draft("box.deleted", "en")]
    with ScribeProcess(settings) as there:
        there.give(some, MOMENT)
        first, second, third = there.take()

    assert isinstance(second, NotAnAddress)
    assert not isinstance(first, Exception)
    assert not isinstance(third, Exception)


def test_a_process_that_is_gone_stops_the_delivery_with_a_sentence(settings: Settings) -> None:
    with ScribeProcess(settings) as there:
        assert there._process is not None
        there._process.kill()
        there._process.wait()

        with pytest.raises(RunStopped, match="stays in the queue"):
            _give_and_take(there)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_goes_on_when_everybody_is_asked_to_stop_and_ends_when_it_is_needed_no_more(
    settings: Settings, number: signal.Signals
) -> None:
    with ScribeProcess(settings) as there:
        process = there._process
        assert process is not None
        there.give([draft("box.suspended", "it")], MOMENT)
        there.take()
        os.kill(process.pid, number)
        there.give([draft("box.suspended", "it")], MOMENT)

        assert len(there.take()) == 1

    assert process.returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nothing_of_a_letter_is_lost_when_it_is_paused_while_it_hands_letters_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    some = [draft("box.suspended", "it")] * 100  # far more than a pipe holds
    with ScribeProcess(settings) as there:
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
from lifecycle_jobs.settings import load_settings
from datetime import UTC, datetime
there = ScribeProcess(load_settings()).__enter__()
there.give([], datetime(2027, 3, 24, tzinfo=UTC))
there.take()
print(there._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _give_and_take(there: ScribeProcess) -> None:
    there.give([draft("box.suspended", "it")], MOMENT)
    there.take()


def _lives(pid: int) -> bool:
    """Whether the process still runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
