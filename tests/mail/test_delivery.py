"""A delivery goes by the day on which a letter leaves, and comes to an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.mail.delivery import deliver_all
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.mail.transports import MayHandOver, Outcome, Outgoing, at_once
from tests.mail.office import ON, E, message_row, queue_alerts, settings_for

LAST_MINUTE = datetime(2027, 3, 31, 21, 59, tzinfo=UTC)  # of E, in Rome


def silent(_name: str, _rows: int) -> None:
    pass


def test_after_midnight_what_is_left_goes_by_the_new_day(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert E.isoformat() == "2027-03-31"
    ids = queue_alerts(store, *(f"{name}@example.it" for name in "abcd"))
    write = EmlFiles.send

    with freeze_time(LAST_MINUTE) as frozen:

        def send(self: EmlFiles, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
            frozen.tick(120)
            return write(self, envelope, may_hand_over)

        monkeypatch.setattr(EmlFiles, "send", send)
        report = deliver_all(store, settings_for(tmp_path, batch_size=1), E, silent)

    # What was being written when the day ended had been judged a moment ago.
    assert [message_row(store, id_).status for id_ in ids] == ["sent", "sent", "moot", "moot"]
    assert (report.sent, report.moot, report.more) == (2, 2, False)


def test_a_replay_keeps_to_its_date(store: Store, tmp_path: Path) -> None:
    queue_alerts(store, "a@example.it", "b@example.it")

    with freeze_time(LAST_MINUTE + timedelta(days=1)):  # by that day they would be pointless
        report = deliver_all(store, settings_for(tmp_path, batch_size=1), ON, silent)

    assert (report.sent, report.more) == (2, False)


def test_passes_are_counted_together_and_end_when_nothing_leaves_any_more(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = [DeliveryReport(sent=3, more=True), DeliveryReport(failed=1, more=True), DeliveryReport(more=True)]
    monkeypatch.setattr(delivery, "deliver_now", lambda *_: passes.pop(0))

    assert deliver_all(store, settings_for(tmp_path), ON, silent) == DeliveryReport(sent=3, failed=1, more=True)
    assert passes == []


def test_who_finds_another_at_it_in_between_leaves_the_rest_to_that_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, passes = settings_for(tmp_path), [DeliveryReport(sent=3, more=True)]

    def deliver_now(*_: object) -> DeliveryReport:
        if not passes:
            raise LeaseHeld("Another delivery is under way.")
        return passes.pop()

    monkeypatch.setattr(delivery, "deliver_now", deliver_now)

    assert deliver_all(store, settings, ON, silent) == DeliveryReport(sent=3, elsewhere=True)
    with pytest.raises(LeaseHeld):  # nothing has left by this one
        deliver_all(store, settings, ON, silent)
