"""`run` and `replay` with workers, as it is typed: what they do, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.settings import Settings, WorkersSettings
from tests.cli.conftest import Type
from tests.workers import ON, as_left, do_day_in_processes, gate_in, in_a_thread, populate, settings_of, what_one_leaves

BOXES = 40


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--workers", "2"), "workers.count: SQLite lets one process write at a time, so nobody can help it"),
        (
            ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:8786"),
            "workers.engine: SQLite lets one process write at a time",
        ),
        (("--engine", "dask"), "workers.scheduler: must be the address of the Dask scheduler, like tcp://host:8786"),
        (
            ("--engine", "dask", "--scheduler", "127.0.0.1:8786"),
            "workers.scheduler: must be the address of the Dask scheduler",
        ),
        (
            ("--engine", "dask", "--scheduler", "tcp://h:8786", "--workers", "2"),
            "workers.count: is for processes of this machine",
        ),
        (("--scheduler", "tcp://h:8786"), "workers.scheduler: is for Dask: add --engine dask"),
        (("--workers", "0"), "--workers"),
        (("--engine", "celery"), "'celery' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    lifecycle: Type, options: tuple[str, ...], complaint: str
) -> None:
    typed = lifecycle("replay", "2027-03-31", *options)

    assert typed.code == 2
    assert complaint in typed.err
    assert json.loads(lifecycle("status", "--json").out)["runs"] == []


def test_run_is_refused_likewise(lifecycle: Type) -> None:
    typed = lifecycle("run", "--workers", "2")

    assert (typed.code, "workers.count: SQLite" in typed.err) == (2, True)


def test_delivering_is_refused_likewise(lifecycle: Type) -> None:
    typed = lifecycle("deliver", "--workers", "2")

    assert (typed.code, "workers.count: SQLite" in typed.err) == (2, True)


def test_a_queue_is_shared_here_whoever_shares_the_jobs_and_who_was_given_up_is_told(
    lifecycle: Type, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[WorkersSettings] = []

    def deliver_all(_store: Store, settings: Settings, *_others: object) -> DeliveryReport:
        asked.append(settings.workers)
        return DeliveryReport(sent=7, failures=["1 of the workers was given up."])

    monkeypatch.setattr(delivery, "deliver_all", deliver_all)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", postgresql_url)
    monkeypatch.setenv("LIFECYCLE_WORKERS__ENGINE", "dask")
    monkeypatch.setenv("LIFECYCLE_WORKERS__SCHEDULER", "tcp://10.0.0.7:8786")

    typed = lifecycle("deliver", "--workers", "3")

    assert [(workers.engine, workers.count) for workers in asked] == [("local", 3)]
    assert (typed.code, typed.out.strip(), typed.err.strip()) == (1, "sent 7", "1 of the workers was given up.")


def test_one_worker_is_what_there_is_without_asking(lifecycle: Type) -> None:
    assert lifecycle("replay", "2027-03-31", "--workers", "1", "--engine", "local").code == 0


def test_workers_do_the_day_and_another_run_is_refused_meanwhile(
    lifecycle: Type, postgresql_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql_store.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", url)
    monkeypatch.setenv("LIFECYCLE_DATABASE__CHUNK_SIZE", "2")
    populate(postgresql_store, BOXES)
    with gate_in(postgresql_store, "suspend") as gate:
        settings = settings_of(tmp_path, url, chunk_size=2, count=2)
        first = in_a_thread(lambda: do_day_in_processes(postgresql_store, settings))
        gate.wait_for(2, "suspend")

        second = lifecycle("replay", ON.isoformat(), "--workers", "2")

        gate.open("suspend")
        first()
    assert second.code == 3
    assert "Another run is under way" in second.err
    assert as_left(postgresql_store) == what_one_leaves(tmp_path, BOXES)


def test_a_dry_run_is_one_transaction_and_asks_nobody_to_help(
    lifecycle: Type, postgresql_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", postgresql_store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("LIFECYCLE_DATABASE__CHUNK_SIZE", "2")
    populate(postgresql_store, BOXES)

    typed = lifecycle("replay", ON.isoformat(), "--dry-run", "--json", "--engine", "dask", "--scheduler", "tcp://h:1")

    assert typed.code == 0, typed.err
    assert len(json.loads(typed.out)["would_do"]) > 10
