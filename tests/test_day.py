"""The day as a whole: what a completed, interrupted, repeated or rehearsed date does (SPEC §5)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from lifecycle_jobs import clock, day, lease, runs
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import boxes, deletion_approvals, events, leases, messages
from lifecycle_jobs.errors import ConfigurationError, LeaseHeld
from lifecycle_jobs.jobs import delete, send_alerts, suspend
from lifecycle_jobs.lease import Process
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.crash.provider import ON, settle
from tests.crash.trial import Server
from tests.crash.trial import trial as crash_trial
from tests.daily import all_rows, failing, rehearse, run, settings_for

E = factories.EXPIRES_ON
SUSPENDED_ON = E + timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def two_boxes(store: Store) -> list[int]:
    """Two boxes of one customer that nobody has paid."""
    with store.write() as connection:
        factories.customer(connection)
        return [factories.box(connection, f"box{number}@pec.example.it") for number in (1, 2)]


def statuses(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(select(boxes.c.status).order_by(boxes.c.id)))


def kinds(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(select(events.c.kind).order_by(events.c.id)))


def sent(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [
            (row.kind, row.status)
            for row in connection.execute(select(messages.c.kind, messages.c.status).order_by(messages.c.id))
        ]


@pytest.mark.usefixtures("two_boxes")
def test_a_completed_date_does_nothing(store: Store, settings: Settings) -> None:
    run(store, settings, SUSPENDED_ON)
    before = all_rows(store, but=("leases",))

    report = run(store, settings, SUSPENDED_ON)

    assert report.run_pass is None
    assert report.jobs == []
    assert all_rows(store, but=("leases",)) == before


@pytest.mark.usefixtures("two_boxes")
def test_again_finds_what_was_imported_since(store: Store, settings: Settings) -> None:
    run(store, settings, SUSPENDED_ON)
    with store.write() as connection:
        factories.box(connection, "late@pec.example.it")

    report = run(store, settings, SUSPENDED_ON, again=True)

    assert report.run_pass == 2
    assert statuses(store) == ["suspended"] * 3
    assert sent(store) == [("box.suspended", "sent")] * 2  # one for each pass


def test_a_row_that_fails_is_parked_and_the_others_go_on(
    store: Store, settings: Settings, two_boxes: list[int]
) -> None:
    with failing(store, "boxes", "UPDATE", f"NEW.id = {two_boxes[0]}"):
        report = run(store, settings, SUSPENDED_ON)

    assert statuses(store) == ["active", "suspended"]
    assert report.failures == ["1 rows are parked because they failed. See: lifecycle-jobs status"]
    with store.read() as connection:
        (parked,) = runs.open_parked(connection)
    assert (parked["job"], parked["subject"]) == ("suspend", f"box:{two_boxes[0]}")
    assert "refused by the test" in parked["error"]


def test_a_completed_date_takes_up_its_parked_rows_and_only_those(
    store: Store, settings: Settings, two_boxes: list[int]
) -> None:
    with failing(store, "boxes", "UPDATE", f"NEW.id = {two_boxes[0]}"):
        run(store, settings, SUSPENDED_ON)
    with store.write() as connection:
        factories.box(connection, "late@pec.example.it")

    report = run(store, settings, SUSPENDED_ON)

    assert report.run_pass == 2
    assert report.failures == []
    assert statuses(store) == ["suspended", "suspended", "active"]
    assert run(store, settings, SUSPENDED_ON).run_pass is None


def test_the_next_date_takes_up_what_the_one_before_parked(
    store: Store, settings: Settings, two_boxes: list[int]
) -> None:
    with failing(store, "boxes", "UPDATE", f"NEW.id = {two_boxes[0]}"):
        run(store, settings, SUSPENDED_ON)

    report = run(store, settings, SUSPENDED_ON + timedelta(days=1))

    assert report.failures == []
    assert statuses(store) == ["suspended", "suspended"]
    with store.read() as connection:
        assert runs.open_parked(connection) == []


def test_too_many_deletions_are_refused_and_the_approved_number_lets_them_go_once(store: Store, tmp_path: Path) -> None:
    strict = settings_for(tmp_path, deletion={"always_allowed": 2})
    with store.write() as connection:
        factories.customer(connection)
        for number in range(3):
            factories.box(connection, f"box{number}@pec.example.it", status="suspended")
    gone_on = E + timedelta(days=91)

    refused = run(store, strict, gone_on)
    wrong = run(store, strict, gone_on, approve_deletions=2)
    still_there = statuses(store)
    right = run(store, strict, gone_on, approve_deletions=3)

    assert len(refused.failures) == 1
    assert "3 boxes are due for deletion" in refused.failures[0]
    assert "--approve-deletions 3" in refused.failures[0]
    assert "2 were approved, which is another number" in wrong.failures[0]
    assert still_there == ["suspended"] * 3
    assert right.failures == []
    assert statuses(store) == ["deleted"] * 3
    with store.read() as connection:
        assert set(connection.scalars(select(deletion_approvals.c.used))) == {True}
    assert kinds(store).count("deletions.approved") == 2
    assert run(store, strict, gone_on).run_pass is None


@pytest.mark.usefixtures("two_boxes")
def test_the_messages_of_an_interrupted_run_are_composed_by_the_next(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(day, "compose", _breaks_off)
        with pytest.raises(KeyboardInterrupt):
            run(store, settings, SUSPENDED_ON)
    assert sent(store) == []

    run(store, settings, SUSPENDED_ON + timedelta(days=1))

    assert sent(store) == [("box.suspended", "sent")]
    with store.read() as connection:
        assert connection.scalar(select(messages.c.created_on)) == SUSPENDED_ON
        assert runs.interrupted_before(connection, SUSPENDED_ON + timedelta(days=9)) == []


def _breaks_off(*_args: Any, **_kwargs: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("two_boxes")
def test_an_interrupted_run_keeps_its_w_and_does_not_repeat_what_is_finished(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, settings, E - timedelta(days=40))
    on = E - timedelta(days=20)
    with monkeypatch.context() as patch:
        patch.setattr(send_alerts, "run", _breaks_off)
        with pytest.raises(KeyboardInterrupt):
            run(store, settings, on)

    with monkeypatch.context() as patch:
        patch.setattr(suspend, "run", _must_not_be_called)
        report = run(store, settings, on)

    assert report.run_pass == 1
    assert [job.job for job in report.jobs] == [name for name, _ in day.JOBS]
    assert kinds(store) == ["box.expiry_alert"] * 2  # E − 30, after W = E − 40
    with store.read() as connection:
        assert list(connection.scalars(select(events.c.milestone))) == [30, 30]


def _must_not_be_called(*_args: Any, **_kwargs: Any) -> Any:
    raise AssertionError("a finished job was repeated")


@pytest.mark.usefixtures("two_boxes")
def test_a_database_that_fails_stops_the_run_and_it_is_continued(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loses_the_connection(*_args: Any, **_kwargs: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(delete, "run", loses_the_connection)
        with pytest.raises(Exception, match="server closed the connection"):
            run(store, settings, SUSPENDED_ON)
    assert statuses(store) == ["suspended"] * 2

    assert run(store, settings, SUSPENDED_ON).failures == []
    assert kinds(store) == ["box.suspended"] * 2


@pytest.fixture
def busy(store: Store, tmp_path: Path) -> tuple[Store, Settings]:
    """A provider with work for every job."""
    settings = settings_for(tmp_path, gateway={"outage_limit": 2})
    settle(store, settings.sandbox.journal)
    return store, settings


def test_a_dry_run_writes_nothing_anywhere(busy: tuple[Store, Settings]) -> None:
    store, settings = busy
    before = all_rows(store)
    journal = settings.sandbox.journal.read_bytes()

    rehearse(store, settings, ON)

    assert all_rows(store) == before
    assert settings.sandbox.journal.read_bytes() == journal
    assert not settings.mail.directory.exists()


def test_a_dry_run_says_what_the_run_then_does(busy: tuple[Store, Settings]) -> None:
    store, settings = busy

    rehearsed = rehearse(store, settings, ON)
    done = run(store, settings, ON)

    assert [(job.job, job.done, job.skipped, job.failures) for job in rehearsed.jobs] == [
        (job.job, job.done, job.skipped, job.failures) for job in done.jobs
    ]
    assert rehearsed.queued == done.queued
    assert rehearsed.failures == done.failures
    assert rehearsed.would_do is not None
    told = [action.what for action in rehearsed.would_do]
    assert told[: len(kinds(store))] == kinds(store)
    assert sorted(told[len(kinds(store)) :]) == ["charge.not_attempted"] * 4 + ["charge.unknown"]


def test_a_dry_run_of_a_completed_date_says_that_nothing_would_happen(busy: tuple[Store, Settings]) -> None:
    store, settings = busy
    run(store, settings, ON)

    assert rehearse(store, settings, ON).would_do == []


def test_a_plan_that_is_not_in_the_configuration_is_refused_before_anything_is_done(
    store: Store, settings: Settings, two_boxes: list[int]
) -> None:
    with store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.id == two_boxes[0]).values(plan="gold"))

    with pytest.raises(ConfigurationError, match=r"plans\.gold"):
        run(store, settings, SUSPENDED_ON)

    assert statuses(store) == ["active", "active"]


def test_the_plan_of_a_box_that_is_gone_may_be_gone_too(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, plan="gold", status="deleted")

    assert run(store, settings, SUSPENDED_ON).failures == []


def test_workers_that_were_given_up_in_delivery_are_for_a_person_to_look_at(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = DeliveryReport(failures=["1 of the workers was given up."])
    monkeypatch.setattr(delivery, "deliver_all", lambda *_: given_up)

    assert run(store, settings, SUSPENDED_ON).failures == ["1 of the workers was given up."]


def test_a_mail_server_that_takes_too_long_is_for_a_person_to_look_at(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "deliver_all", lambda *_: DeliveryReport(sent=2, more=True))

    assert run(store, settings, SUSPENDED_ON).failures == [
        "The mail server takes too long: messages still wait. Later: lifecycle-jobs deliver"
    ]


@pytest.mark.usefixtures("two_boxes")
def test_delivery_that_had_to_stop_is_reported_and_later_runs_deliver_the_rest(store: Store, tmp_path: Path) -> None:
    in_the_way = tmp_path / "in-the-way"
    in_the_way.write_text("a file where the folder should be")

    report = run(store, settings_for(tmp_path, mail={"directory": in_the_way}), SUSPENDED_ON)

    assert report.failures == [f"Delivery stopped early: {report.delivery.stopped}. Later: lifecycle-jobs deliver"]
    assert sent(store) == [("box.suspended", "queued")]


@pytest.mark.usefixtures("two_boxes")
def test_messages_that_somebody_else_is_delivering_are_left_to_them(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        connection.execute(
            insert(leases).values(
                name="delivery",
                token=1,
                holder=str(Process("server-2/boot/pid:[1]", 4711, "1")),
                expires_at=clock.now() + timedelta(minutes=1),
            )
        )

    report = run(store, settings, SUSPENDED_ON)

    assert (report.delivery.elsewhere, report.failures) == (True, [])
    assert sent(store) == [("box.suspended", "queued")]


@pytest.mark.usefixtures("two_boxes")
def test_a_message_that_cannot_be_put_together_is_parked_and_taken_up_later(store: Store, tmp_path: Path) -> None:
    broken = tmp_path / "templates"
    (broken / "box.suspended" / "it").mkdir(parents=True)
    (broken / "box.suspended" / "it" / "body.txt").write_text("{{ nobody_knows }}", encoding="utf-8")

    report = run(store, settings_for(tmp_path, templates={"directory": broken}), SUSPENDED_ON)
    shutil.rmtree(broken)
    mended = run(store, settings_for(tmp_path), SUSPENDED_ON)

    assert report.delivery.parked == 1
    assert report.failures == ["1 rows are parked because they failed. See: lifecycle-jobs status"]
    assert mended.failures == []
    assert sent(store) == [("box.suspended", "sent")]


@pytest.mark.usefixtures("two_boxes")
def test_a_run_while_another_is_under_way_does_nothing(store: Store, settings: Settings) -> None:
    with lease.hold(store, "run", 60), pytest.raises(LeaseHeld):
        run(store, settings, SUSPENDED_ON)

    assert statuses(store) == ["active", "active"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_exit_codes_tell_how_the_day_ended(server: Server, database: str) -> None:
    with crash_trial(server, database) as trial:
        assert trial.run() == 1, "the gateway of this provider is out"
        assert trial.run() == 0, "a completed date"
        assert f"{ON} is completed already: nothing to do" in trial.output()
        held = open_store(trial.url)
        with lease.hold(held, "run", 60):
            assert trial.run() == 3
        assert "Another run is under way" in trial.output()
        with held.write() as connection:
            connection.execute(update(boxes).values(plan="gold"))
        held.engine.dispose()
        trial.environment["LIFECYCLE_LEASE__SECONDS"] = "1"
        assert trial.run() == 2
        assert "lease.seconds" in trial.output()
