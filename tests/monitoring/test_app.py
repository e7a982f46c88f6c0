"""What is answered: health, readiness, and that what Stripe tells is written down before it is taken."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import insert, text

from lifecycle_jobs import clock, runs
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.operators import Operator, stop_everything
from lifecycle_jobs.settings import Settings
from tests import factories, servers
from tests.jobs.running import look
from tests.monitoring.watching import Watched, no_database, silent_database, watched, watched_settings
from tests.payments.stripe_posts import SECRET, event, payment, signed

SUCCEEDED = "payment_intent.succeeded"
KEY = "lifecycle-17-0a1b2c3d-20270331-7-1"


@pytest.fixture
def logged() -> io.StringIO:
    said = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(file=said),
    )
    return said


def recorded(store: Store) -> list[tuple[str, str]]:
    return [(row["notice_id"], row["state"]) for row in look(store, tables.gateway_notices)]


class TestHealth:
    def test_a_daemon_that_ticks_is_healthy(self, sqlite_watch: Watched) -> None:
        sqlite_watch.vitals.become("leader")

        answer = sqlite_watch.get("/healthz")

        assert (answer.status_code, answer.json()) == (200, {"healthy": True, "role": "leader"})

    def test_one_whose_scheduler_stands_still_for_five_checks_is_not(self, sqlite_store: Store, tmp_path: Path) -> None:
        settings = watched_settings(tmp_path, schedule={"check_every": 0.1})
        with watched(sqlite_store, settings) as watch:
            time.sleep(0.3)
            assert watch.get("/healthz").status_code == 200
            time.sleep(0.4)
            ill = watch.get("/healthz")
            watch.vitals.tick()
            assert watch.get("/healthz").status_code == 200

        assert ill.status_code == 503
        assert ill.json()["reasons"][0].startswith("the scheduler has not ticked for ")

    def test_it_needs_no_database(self, settings: Settings) -> None:
        with silent_database() as store, watched(store, settings) as watch:
            waiting = [threading.Thread(target=watch.get, args=("/readyz",)) for _ in range(30)]
            for thread in waiting:
                thread.start()
            began = time.monotonic()
            assert watch.get("/healthz").status_code == 200
            assert time.monotonic() - began < 1
            for thread in waiting:
                thread.join()

    def test_a_mistake_of_ours_is_logged_by_its_name_only(self, sqlite_watch: Watched, logged: io.StringIO) -> None:
        no_moment: Any = "mario.rossi@pec.example.it"
        sqlite_watch.vitals._ticked = no_moment

        answer = sqlite_watch.get("/healthz")

        assert (answer.status_code, answer.text) == (500, "")
        assert '"error": "TypeError"' in logged.getvalue()
        assert "mario" not in logged.getvalue()


class TestReadiness:
    def test_with_its_database_it_is_ready(self, watch: Watched) -> None:
        answer = watch.get("/readyz")

        assert answer.status_code == 200
        assert answer.json() == {
            "ready": True,
            "role": "standby",
            "emergency_stop": False,
            "gap_suspected": False,
        }

    def test_the_emergency_stop_and_a_suspected_gap_are_told_and_leave_it_ready(
        self, watch: Watched, store: Store
    ) -> None:
        stop_everything(store, Operator("anna", None, date(2027, 1, 1)), "anna@example.it says so")
        with store.write() as connection:
            connection.execute(insert(tables.runs).values(**_completed(date(2020, 1, 1))))

        answer = watch.get("/readyz")

        assert answer.status_code == 200
        assert answer.json() == {"ready": True, "role": "standby", "emergency_stop": True, "gap_suspected": True}

    def test_without_a_schema_it_is_not(self, empty_postgresql_url: str, settings: Settings) -> None:
        store = open_store(empty_postgresql_url)
        with watched(store, settings) as watch:
            answer = watch.get("/readyz")
        store.engine.dispose()

        assert answer.status_code == 503
        assert answer.json()["reason"] == "the schema is at version None, this program needs 0006"

    def test_with_another_programs_schema_it_is_not(self, watch: Watched, store: Store) -> None:
        with store.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        answer = watch.get("/readyz")

        assert (answer.status_code, answer.json()["reason"]) == (
            503,
            "the schema is at version 9999, this program needs 0006",
        )

    def test_with_a_database_that_was_stopped_it_is_not(self, settings: Settings) -> None:
        with no_database() as store, watched(store, settings) as watch:
            answer = watch.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["reason"] == "the database cannot be used: OperationalError"

    def test_with_one_that_says_nothing_it_is_not_and_says_so_within_two_seconds(self, settings: Settings) -> None:
        with silent_database() as store, watched(store, settings) as watch:
            began = time.monotonic()
            with ThreadPoolExecutor(20) as probes:
                answers = list(probes.map(watch.get, ["/readyz"] * 20))
            took = time.monotonic() - began

        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].json()["reason"] == "the database does not answer"
        assert took < 4

    def test_a_server_that_is_frozen_makes_it_unready_and_one_that_goes_on_makes_it_ready_again(
        self, settings: Settings
    ) -> None:
        with servers.own_postgresql() as server:
            store = open_store(server.database_url)
            postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
            with watched(store, settings) as watch:
                assert watch.get("/readyz").status_code == 200
                body = event(SUCCEEDED, payment(), number="evt_1")
                os.kill(postmaster, signal.SIGSTOP)
                try:
                    time.sleep(1.1)  # what was found is kept for a second
                    with ThreadPoolExecutor() as others:
                        told = others.submit(watch.post, body, signed(body))
                        figures = others.submit(watch.figures)
                        began = time.monotonic()
                        frozen = watch.get("/readyz")
                        took = time.monotonic() - began
                finally:
                    os.kill(postmaster, signal.SIGCONT)
                _until(lambda: watch.get("/readyz").status_code == 200)
                assert watch.post(body, signed(body)).status_code == 200
                assert recorded(store) == [("evt_1", "waiting")]
            store.engine.dispose()

        assert (frozen.status_code, frozen.json()["reason"]) == (503, "the database does not answer")
        assert took < 3
        assert told.result().status_code == 503
        assert figures.result()["database_up"] == 0


class TestStripe:
    def test_what_is_signed_is_written_down(self, watch: Watched, store: Store) -> None:
        body = event(SUCCEEDED, payment("pi_7", KEY), number="evt_1")
        before = clock.now()

        answer = watch.post(body, signed(body))

        assert answer.status_code == 200
        (row,) = look(store, tables.gateway_notices)
        assert before <= row.pop("received_at") <= clock.now()
        assert row == {
            "notice_id": "evt_1",
            "kind": SUCCEEDED,
            "concerns": "outcome",
            "idempotency_key": KEY,
            "gateway_reference": "pi_7",
            "amount_cents": 1208,
            "reason": None,
            "state": "waiting",
            "handled_at": None,
            "for_staff": False,
        }

    def test_told_again_it_is_taken_and_written_down_once(self, watch: Watched, store: Store) -> None:
        body = event(SUCCEEDED, payment(), number="evt_1")
        header = signed(body)

        assert [watch.post(body, header).status_code for _ in range(3)] == [200] * 3
        assert recorded(store) == [("evt_1", "waiting")]

    def test_told_by_eight_connections_at_once_it_is_written_down_once(self, watch: Watched, store: Store) -> None:
        body = event(SUCCEEDED, payment(), number="evt_1")
        header = signed(body)

        with ThreadPoolExecutor(8) as stripe:
            answers = list(stripe.map(lambda _: watch.post(body, header).status_code, range(8)))

        assert answers == [200] * 8
        assert recorded(store) == [("evt_1", "waiting")]

    @pytest.mark.parametrize("secret", ["whsec_of_another_endpoint", ""])
    def test_what_another_signed_is_refused(self, sqlite_watch: Watched, sqlite_store: Store, secret: str) -> None:
        body = event(SUCCEEDED, payment())

        assert sqlite_watch.post(body, signed(body, secret=secret)).status_code == 400
        assert sqlite_watch.post(body, None).status_code == 400
        assert recorded(sqlite_store) == []

    def test_what_was_signed_long_ago_is_refused(self, sqlite_watch: Watched, sqlite_store: Store) -> None:
        body = event(SUCCEEDED, payment())

        assert sqlite_watch.post(body, signed(body, age=301)).status_code == 400
        assert recorded(sqlite_store) == []

    def test_a_kind_that_does_not_concern_us_is_taken_and_forgotten(
        self, sqlite_watch: Watched, sqlite_store: Store
    ) -> None:
        body = event("customer.updated", {"id": "cus_1", "object": "customer"})

        assert sqlite_watch.post(body, signed(body)).status_code == 200
        assert recorded(sqlite_store) == []

    def test_a_body_of_more_than_a_mebibyte_is_refused(self, sqlite_watch: Watched, sqlite_store: Store) -> None:
        frame = event(SUCCEEDED, payment(statement_descriptor=""), number="evt_1")
        for excess, answer in ((0, 200), (1, 400), (20 << 20, 400)):
            filled = b"x" * ((1 << 20) - len(frame) + excess)
            body = frame.replace(b'"statement_descriptor": "', b'"statement_descriptor": "' + filled)
            assert len(body) == (1 << 20) + excess
            assert sqlite_watch.post(body, signed(body)).status_code == answer
        assert recorded(sqlite_store) == [("evt_1", "waiting")]

    def test_without_a_secret_nothing_is_taken_and_the_log_says_why(
        self, sqlite_store: Store, tmp_path: Path, logged: io.StringIO
    ) -> None:
        settings = watched_settings(tmp_path, gateway={"webhook_secret": SecretStr("")})
        body = event(SUCCEEDED, payment())
        with watched(sqlite_store, settings) as watch:
            answers = [watch.post(body, signed(body, secret=secret)).status_code for secret in ("", SECRET)]

        assert answers == [503, 503]
        assert "gateway.webhook_secret is not set" in logged.getvalue()
        assert recorded(sqlite_store) == []

    def test_while_the_database_is_down_stripe_is_asked_to_tell_it_again(
        self, settings: Settings, logged: io.StringIO
    ) -> None:
        body = event(SUCCEEDED, payment())
        with no_database() as store, watched(store, settings) as watch:
            assert watch.post(body, signed(body)).status_code == 503

        assert '"error": "OperationalError"' in logged.getvalue()

    def test_it_is_taken_only_once_it_is_committed(
        self, postgresql_store: Store, settings: Settings, logged: io.StringIO
    ) -> None:
        body = event(SUCCEEDED, payment(), number="evt_1")
        with watched(postgresql_store, settings) as watch, postgresql_store.write() as other:
            other.execute(text("LOCK TABLE gateway_notices IN EXCLUSIVE MODE"))
            answer = watch.post(body, signed(body))

        assert answer.status_code == 503  # nobody waits for ever
        assert "stripe_notice_not_recorded" in logged.getvalue()
        assert recorded(postgresql_store) == []

    def test_of_many_at_once_each_waits_for_its_turn_and_health_is_told_meanwhile(
        self, postgresql_store: Store, settings: Settings
    ) -> None:
        bodies = [event(SUCCEEDED, payment(), number=f"evt_{number:02}") for number in range(40)]
        with watched(postgresql_store, settings) as watch, ThreadPoolExecutor(40) as stripe:
            with postgresql_store.write() as other:
                other.execute(text("LOCK TABLE gateway_notices IN EXCLUSIVE MODE"))
                posts = [stripe.submit(watch.post, body, signed(body)) for body in bodies]
                time.sleep(0.5)
                assert watch.get("/healthz").status_code == 200
                assert not any(post.done() for post in posts)
            answers = [post.result().status_code for post in posts]

        assert answers == [200] * 40
        assert [number for number, _ in recorded(postgresql_store)] == [f"evt_{number:02}" for number in range(40)]

    def test_neither_body_nor_signature_stand_in_the_log(self, sqlite_watch: Watched, logged: io.StringIO) -> None:
        body = event(SUCCEEDED, payment("pi_7", KEY, receipt_email="mario.rossi@example.it"))
        for header in (signed(body), signed(body, secret="whsec_wrong"), "t=1,v1=0", None):
            sqlite_watch.post(body, header)

        said = logged.getvalue()
        assert said.count("\n") == 4
        for secret in (SECRET, "mario", signed(body)[-64:], "receipt_email"):
            assert secret not in said


def test_no_answer_holds_an_address_a_token_or_a_key(store: Store, tmp_path: Path, logged: io.StringIO) -> None:
    settings = watched_settings(
        tmp_path,
        gateway={"api_key": SecretStr("sk_live_secret1"), "webhook_secret": SecretStr("whsec_secret2")},
        mail={"password": SecretStr("secret3"), "dkim_private_key": SecretStr("secret4")},
        monitoring={"heartbeat_url": "https://example.it/secret5"},
        report={"to": "staff@example.it"},
    )
    _fill(store)
    with watched(store, settings) as watch:
        answers = [watch.get(path) for path in ("/healthz", "/readyz", "/metrics", "/elsewhere")]
        body = event(SUCCEEDED, payment())
        answers += [watch.post(body, signed(body)), watch.post(body, signed(body, secret="whsec_secret2"))]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 400, 200]
    for answer in answers:
        said = answer.text + str(answer.headers)
        for secret in ("secret", "@", "pm_card", KEY, "pi_1", "Rossi", "anna"):
            assert secret not in said
    assert "secret" not in logged.getvalue()


def _fill(store: Store) -> None:
    """Something of everything that the figures are read from."""
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(connection, payment_method_id="pm1")
        order = factories.order(connection, "R-1", box_id=box)
        factories.charge(connection, KEY, order_id=order, box_id=box, status="unknown")
        factories.message(connection, "queued")
        factories.message(connection, "failed", status="failed")
        connection.execute(insert(tables.runs).values(**_completed(date(2027, 1, 1))))
    run = runs.begin(store, date(2027, 1, 2))
    assert run is not None
    runs.park(store, run, "suspend", f"box:{box}", ValueError("mario.rossi@pec.example.it"), box_id=box)
    stop_everything(store, Operator("anna", None, date(2027, 1, 1)), "mario.rossi@pec.example.it")


def _completed(on: date) -> dict[str, Any]:
    return {
        "run_on": on,
        "run_pass": 1,
        "scope": "everything",
        "state": "completed",
        "since": on - timedelta(days=1),
        "started_at": clock.now(),
        "finished_at": clock.now(),
    }


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
