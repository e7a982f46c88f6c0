"""The figures: each says what it means, comes from an index, and tells the truth."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import freezegun
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from sqlalchemy import Connection, event, insert, text, update

from lifecycle_jobs import __version__, lease, runs
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.monitoring import Vitals
from lifecycle_jobs.monitoring.figures import Figures, read_figures
from lifecycle_jobs.operators import Operator, stop_everything
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import read_status
from lifecycle_jobs.watching.noticing import Unusual, record
from tests import factories
from tests.monitoring.watching import Watched, no_database, silent_database, watched

ON = date(2027, 3, 24)
NOW = datetime(2027, 3, 24, 9, tzinfo=UTC)
E = factories.EXPIRES_ON


def figures(store: Store, settings: Settings, vitals: Vitals | None = None) -> dict[str, float]:
    """Every sample: `name`, or `name{value, value}`."""
    found = {}
    with freezegun.freeze_time(NOW):
        told = list(Figures(read_figures(store, settings), vitals or Vitals()).collect())
    for family in told:
        for sample in family.samples:
            labels = f"{{{', '.join(sample.labels.values())}}}" if sample.labels else ""
            found[sample.name.removeprefix("lifecycle_") + labels] = sample.value
    return found


@pytest.fixture
def box(store: Store) -> int:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        return factories.box(connection, payment_method_id="pm1")


def with_webhooks(settings: Settings) -> Settings:
    webhooks = settings.webhooks.model_copy(update={"url": "https://platform.example.it/hook"})
    return settings.model_copy(update={"webhooks": webhooks})


def charge(connection: Connection, box_id: int, key: str, **values: Any) -> int:
    term = values.pop("term_expires_on", E)
    order = factories.order(connection, f"R-{key}", box_id=box_id, term_expires_on=term)
    return factories.charge(connection, key, order_id=order, box_id=box_id, term_expires_on=term, **values)


def notice(connection: Connection, number: str, kind: str, concerns: str, **values: Any) -> None:
    told = {"received_at": NOW - timedelta(hours=2), "state": "waiting", "gateway_reference": "pi_1"}
    connection.execute(
        insert(tables.gateway_notices).values(notice_id=number, kind=kind, concerns=concerns, **told | values)
    )


def test_every_figure_says_what_it_means_in_both_formats(sqlite_watch: Watched) -> None:
    plain = sqlite_watch.families()
    asked = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = sqlite_watch.get("/metrics", **asked)
    parse: Any = openmetrics.text_string_to_metric_families
    modern = {family.name: family for family in parse(answer.text)}

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert len(plain) == len(modern) > 25
    for name, family in {**plain, **modern}.items():
        assert re.fullmatch(r"lifecycle_[a-z_]+", name)
        assert family.documentation.endswith((".", ":", "list.")), name
        assert "_created" not in name


@pytest.mark.parametrize("accept", ["text/plain; version=abc", "application/openmetrics-text; version=x", ";;,", ""])
def test_whoever_asks_for_an_odd_format_gets_the_plain_one(sqlite_watch: Watched, accept: str) -> None:
    answer = sqlite_watch.get("/metrics", accept=accept)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_new_provider_has_no_dates_and_nothing_waits(store: Store, settings: Settings) -> None:
    assert figures(store, settings) == {
        f"build_info{{{__version__}}}": 1,
        "database_up": 1,
        "leader": 0,
        "emergency_stop": 0,
        "gap_suspected": 0,
        "oldest_unsent_message_age_days": 0,
        "messages_failed": 0,
        "messages_parked": 0,
        "unresolved_charges": 0,
        "unresolved_charge_oldest_age_seconds": 0,
        "refunds_due": 0,
        "disputes_open": 0,
        "gateway_contradictions": 0,
        "webhooks_waiting": 0,
        "webhook_oldest_age_seconds": 0,
        "gateway_notices_waiting": 0,
        "gateway_notice_oldest_age_seconds": 0,
    }


def test_the_last_completed_date_is_told_with_its_lag_and_what_its_jobs_did(store: Store, settings: Settings) -> None:
    with freezegun.freeze_time(NOW - timedelta(days=1)) as moment:
        for on in (ON - timedelta(days=2), ON - timedelta(days=1)):
            run = runs.begin(store, on)
            assert run is not None
            runs.job_began(store, run, "suspend")
            report = JobReport("suspend", {"box.suspended": 3}, {"on_hold": 2}, seconds=1.5)
            runs.job_finished(store, run, report)
            runs.job_began(store, run, "delete")
            runs.job_finished(store, run, JobReport("delete", refused="too many"))
            moment.tick(60)
            runs.finish(store, run, 2)
    runs.begin(store, ON)  # not finished

    found = figures(store, settings)

    assert found["last_completed_business_date_seconds"] == datetime(2027, 3, 23, tzinfo=UTC).timestamp()
    assert found["business_date_lag_days"] == 1
    assert found["last_run_failures"] == 2
    assert found["last_run_seconds"] == 60
    assert found["last_run_finished_timestamp_seconds"] == (NOW - timedelta(days=1)).timestamp() + 120
    assert found["job_seconds{suspend}"] == 1.5
    assert found["job_done{suspend, box.suspended}"] == 3
    assert found["job_left_alone{suspend, on_hold}"] == 2
    assert (found["job_refused{suspend}"], found["job_refused{delete}"]) == (0, 1)


def test_what_is_unusual_is_told_by_job_and_kind_with_what_an_import_noticed_since(
    store: Store, settings: Settings
) -> None:
    run = runs.begin(store, ON - timedelta(days=1))
    assert run is not None
    runs.finish(store, run, 0)
    with store.write() as connection:
        record(connection, Unusual(run.on, "delete", "box.deleted", 4250, usual=425.0), run_on=run.on)
        record(connection, Unusual(ON, "import", "moved_expiries", 12_000, out_of=100_000), run_on=None)

    found = figures(store, settings)

    assert {name: value for name, value in found.items() if name.startswith("unusual")} == {
        "unusual{delete, box.deleted}": 1,
        "unusual{import, moved_expiries}": 1,
    }


def test_a_date_in_the_future_is_a_gap_and_a_lag_below_zero(store: Store, settings: Settings) -> None:
    run = runs.begin(store, ON + timedelta(days=400))
    assert run is not None
    runs.finish(store, run, 0)

    found = figures(store, settings)

    assert (found["business_date_lag_days"], found["gap_suspected"]) == (-400, 1)


@pytest.mark.usefixtures("box")
def test_messages_that_wait_are_counted_by_urgency_with_the_age_of_the_oldest(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        for number, (urgency, days) in enumerate([(3, 1), (0, 0), (3, 4), (3, 0), (4, 2)]):
            waiting = factories.message(connection, str(number), created_on=ON - timedelta(days=days))
            connection.execute(update(tables.messages).where(tables.messages.c.id == waiting).values(urgency=urgency))
        for number, status in enumerate(("sent", "moot", "failed", "failed", "parked")):
            factories.message(connection, f"not-{number}", status=status)

    found = figures(store, settings)

    assert {name: value for name, value in found.items() if "message" in name} == {
        "messages_waiting{0}": 1,
        "messages_waiting{3}": 3,
        "messages_waiting{4}": 1,
        "oldest_unsent_message_age_days": 2,  # of those composed first for each urgency
        "messages_failed": 2,
        "messages_parked": 1,
    }


def test_unresolved_charges_and_refunds_due_are_counted(store: Store, settings: Settings, box: int) -> None:
    with store.write() as connection:
        other = factories.box(connection, "b@pec.example.it")
        charge(connection, box, "k1", status="unknown", attempted_at=NOW - timedelta(hours=5))
        charge(connection, other, "k2", status="pending", attempted_at=NOW - timedelta(minutes=5))
        paid = charge(connection, other, "k3", status="succeeded", term_expires_on=E - timedelta(days=365))
        connection.execute(update(tables.charges).where(tables.charges.c.id == paid).values(unapplied=True))
        late = factories.order(connection, "R-late", box_id=box, term_expires_on=E - timedelta(days=365))
        factories.registered_payment(connection, "bank-1", order_id=late, effective=False)
        factories.registered_payment(connection, "bank-2", order_id=late)

    found = figures(store, settings)

    assert found["unresolved_charges"] == 2
    assert found["unresolved_charge_oldest_age_seconds"] == 5 * 3600
    assert found["refunds_due"] == 2


def test_parked_rows_are_counted_by_job_until_they_are_resolved(store: Store, settings: Settings, box: int) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    for job, subject in (("suspend", "box:1"), ("suspend", "box:2"), ("compose", "customer:c1")):
        runs.park(store, run, job, subject, ValueError("no"), box_id=box)
    with store.write() as connection:
        connection.execute(
            update(tables.parked_rows).where(tables.parked_rows.c.subject == "box:2").values(state="resolved")
        )

    found = figures(store, settings)

    assert (found["parked_rows{suspend}"], found["parked_rows{compose}"]) == (1, 1)


def test_a_lease_is_told_with_the_name_of_the_machine_and_no_more(store: Store, settings: Settings) -> None:
    with lease.hold(store, "delivery", 60):
        pass
    with store.write() as connection:
        holder = str(lease.Process("mail-2/boot/namespace", 4711, "99"))
        connection.execute(
            insert(tables.leases).values(name="run", token=1, holder=holder, expires_at=NOW + timedelta(minutes=1))
        )

    found = figures(store, settings)

    assert {name: value for name, value in found.items() if name.startswith("lease")} == {
        "lease_held{delivery, }": 0,
        "lease_held{run, mail-2}": 1,
    }


def test_the_emergency_stop_is_told(store: Store, settings: Settings) -> None:
    stop_everything(store, Operator("anna", None, ON), "look")

    assert figures(store, settings)["emergency_stop"] == 1


@pytest.mark.usefixtures("box")
def test_webhooks_that_wait_are_counted_with_the_age_of_the_oldest_as_status_tells_them(
    store: Store, settings: Settings
) -> None:
    with store.write() as connection:
        delivered, again, first, _not_taken_up = (
            factories.event(connection, "box.suspended", occurred_on=ON) for _ in range(4)
        )
        connection.execute(insert(tables.webhook_marks).values(event_id=first, seen_at=NOW - timedelta(hours=2)))
        for values in (
            {"event_id": delivered, "status": "delivered", "delivered_at": NOW, "replayed_at": None},
            {"event_id": again, "status": "pending", "delivered_at": None, "replayed_at": NOW - timedelta(hours=1)},
            {"event_id": first, "status": "pending", "delivered_at": None, "replayed_at": None},
        ):
            queued = NOW - timedelta(hours=2) if values["event_id"] == first else NOW - timedelta(days=30)
            connection.execute(insert(tables.webhook_deliveries).values(**values, queued_at=queued))
    told, nobody = with_webhooks(settings), figures(store, settings)

    found = figures(store, told)

    assert (found["webhooks_waiting"], found["webhook_oldest_age_seconds"]) == (3, 2 * 3600)
    with freezegun.freeze_time(NOW):
        status = read_status(store, told, ON)
    assert (status.webhooks_waiting, status.webhooks_waiting_since) == (3, NOW - timedelta(hours=2))
    assert (nobody["webhooks_waiting"], nobody["webhook_oldest_age_seconds"]) == (0, 0)


def test_what_the_gateway_told_is_counted(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        notice(connection, "1", "payment_intent.succeeded", "outcome")
        notice(connection, "2", "payment_intent.succeeded", "outcome", state="handled", for_staff=True)
        for number, (reference, kind) in enumerate(
            [("a", "created"), ("a", "updated"), ("b", "created"), ("b", "closed"), ("c", "funds_withdrawn")]
        ):
            notice(
                connection,
                f"d{number}",
                f"charge.dispute.{kind}",
                "dispute",
                gateway_reference=reference,
                state="handled",
                for_staff=True,
            )
        long_ago = {"state": "handled", "for_staff": True, "received_at": NOW - timedelta(days=91)}
        notice(connection, "e", "charge.dispute.created", "dispute", gateway_reference="d", **long_ago)

    found = figures(store, settings)

    assert found["gateway_notices_waiting"] == 1
    assert found["gateway_notice_oldest_age_seconds"] == 2 * 3600
    assert found["gateway_contradictions"] == 1
    assert found["disputes_open"] == 2


def test_how_the_duties_fare_is_told(sqlite_store: Store, settings: Settings) -> None:
    vitals = Vitals("leader")
    with freezegun.freeze_time(NOW), vitals.at("deliver"):
        pass
    with pytest.raises(ValueError, match="no"), vitals.at("report"):
        raise ValueError("no")
    with vitals.at("day"):
        time.sleep(0.01)
        found = figures(sqlite_store, settings, vitals)

    assert found["leader"] == 1
    assert {name: value for name, value in found.items() if name.startswith("duty") and "way" not in name} == {
        "duty_last_success_timestamp_seconds{deliver}": NOW.timestamp(),
        "duty_failing{deliver}": 0,
        "duty_failing{report}": 1,
        "duty_failing{day}": 0,
    }
    assert found["duty_under_way_seconds{deliver}"] == 0
    assert found["duty_under_way_seconds{day}"] > 0


def test_without_a_database_the_rest_is_told_all_the_same(settings: Settings) -> None:
    with no_database() as store, watched(store, settings) as watch:
        answer = watch.get("/metrics")
        found = watch.figures()

    assert answer.status_code == 200
    assert found == {f"build_info{{{__version__}}}": 1, "database_up": 0, "leader": 0}


def test_a_database_that_says_nothing_is_given_up_before_prometheus_gives_us_up(settings: Settings) -> None:
    with silent_database() as store, watched(store, settings) as watch:
        began = time.monotonic()
        found = watch.figures()
        took = time.monotonic() - began

    assert found["database_up"] == 0
    assert took < 8  # Prometheus waits for ten seconds


def test_two_servers_that_scrape_at_once_cost_what_one_does(store: Store, settings: Settings) -> None:
    with watched(store, settings) as watch:
        with counted(watch.server._store) as first:
            watch.figures()
        with counted(watch.server._store) as others:
            for _ in range(5):
                watch.figures()

    assert len(first) > 10
    assert others == []


def test_a_charge_for_credit_of_which_nobody_knows_counts_as_unresolved_too(
    store: Store, settings: Settings, box: int
) -> None:
    with store.write() as connection:
        charge(connection, box, "k1", status="unknown", attempted_at=NOW - timedelta(hours=5))
        ordered = factories.order(connection, "C-1", kind="topup", term_expires_on=None, years=None, vat=0)
        factories.top_up_charge(connection, "t1", order_id=ordered, attempted_on=(NOW - timedelta(days=4)).date())

    found = figures(store, settings)

    assert found["unresolved_charges"] == 2
    assert found["unresolved_charge_oldest_age_seconds"] > 3 * 86_400


def test_every_query_goes_by_an_index_of_what_waits_or_reads_a_small_table(
    store: Store, settings: Settings, box: int
) -> None:
    with store.write() as connection:
        factories.message(connection, "1")
        charge(connection, box, "k1", status="unknown")
        happened = factories.event(connection, "box.suspended", occurred_on=ON)
        connection.execute(insert(tables.webhook_marks).values(event_id=happened, seen_at=NOW))
    small = re.compile(
        r".*(runs|run_jobs|leases|emergency_stops|gap_confirmations|webhook_marks|unusual_figures)(_\d+)?"
    )
    of_what_is_new = {"pk_events", "pk_webhook_deliveries"}
    of_what_waits = {
        index.name
        for table in tables.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options[store.dialect]["where"] is not None
    }

    with counted(store) as statements:
        read_figures(store, with_webhooks(settings))
    read = {name for statement in statements for name in read_through(store, *statement)}

    assert len(statements) > 15
    assert {name for name in read - of_what_waits - of_what_is_new if not small.fullmatch(name)} == set()
    assert {"ix_messages_queued", "ix_messages_failed", "uq_charges_unresolved_of_box"} <= read


class counted(list[tuple[str, Any]]):  # noqa: N801 -- reads as what it does in a `with`
    """The statements that a store executes in the block, with their parameters."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._engine = store.engine

    def __enter__(self) -> Self:
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_args: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        self.append((statement, parameters))


def read_through(store: Store, statement: str, parameters: Any) -> Iterator[str]:
    """The indexes that a statement goes by, and the tables that it reads from end to end without one."""
    names = r"SCAN (\w+)$|INDEX (\w+)|Seq Scan on (\w+)|Index Scan on (\w+)|Scan (?:Backward )?using (\w+)"
    with store.read() as connection:
        if store.dialect == "sqlite":
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        else:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)]
    for line in plan:
        for found in re.finditer(names, line):
            yield next(name for name in found.groups() if name)
