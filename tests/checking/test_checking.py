"""`config check`: real servers that are right or wrong in one thing, and what is said about it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from lifecycle_jobs.checking.check import Check
from lifecycle_jobs.checking.database import check_database
from lifecycle_jobs.checking.mail import check_dkim, check_mail
from lifecycle_jobs.checking.services import (
    check_gateway,
    check_heartbeat,
    check_monitoring,
    check_webhooks,
    check_workers,
)
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import leases
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.daily import settings_for
from tests.dask_cluster import DaskCluster
from tests.mail.mail_server import HOST, free_port, mail_server
from tests.stripe_servers import API_KEY, StripeServer


def verdicts(checks: Iterator[Check]) -> list[str]:
    return [check.verdict for check in checks]


def relay(tmp_path: Path, port: int, **mail: Any) -> Settings:
    return settings_for(
        tmp_path,
        mail={"transport": "smtp", "host": HOST, "port": port, "timeout": 5, **mail},
        deletion={"require_delivered_warning": True},
    )


@contextmanager
def listening() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


# The database


def test_a_database_that_is_ready_is_written_to_and_nothing_stays(store: Store, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, database={"url": store.engine.url.render_as_string(hide_password=False)})

    found = list(check_database(settings))

    assert found[0].verdict == "ok"
    assert "can be written to" in found[0].found
    assert "wrong" not in [check.verdict for check in found]
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(leases)) == 0


def test_a_database_without_tables_is_wrong(empty_postgresql_url: str, tmp_path: Path) -> None:
    (found,) = check_database(settings_for(tmp_path, database={"url": empty_postgresql_url}))

    assert (found.verdict, found.advice) == ("wrong", "Run: lifecycle-jobs db upgrade")


def test_a_file_that_is_not_there_yet_is_not_made_by_looking(tmp_path: Path) -> None:
    file = tmp_path / "lifecycle.db"

    there, _ = check_database(settings_for(tmp_path, database={"url": f"sqlite:///{file}"}))
    nowhere, _ = check_database(settings_for(tmp_path, database={"url": f"sqlite:///{tmp_path}/no/lifecycle.db"}))

    assert (there.verdict, nowhere.verdict, file.exists()) == ("ok", "wrong", False)


def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://lifecycle:secret@{HOST}:{free_port()}/lifecycle"

    (found,) = check_database(settings_for(tmp_path, database={"url": url}))

    assert found.verdict == "wrong"
    assert "secret" not in found.found


def test_a_plan_that_is_not_in_the_configuration_is_wrong(sqlite_store: Store, tmp_path: Path) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, plan="forgotten")
    url = sqlite_store.engine.url.render_as_string()

    found = list(check_database(settings_for(tmp_path, database={"url": url})))

    assert ["plans.forgotten" in check.found for check in found if check.verdict == "wrong"] == [True]


# Mail


def test_a_mail_server_is_greeted_and_gets_no_message(tmp_path: Path) -> None:
    with mail_server() as server:
        (found,) = check_mail(relay(tmp_path, server.port))

    assert found.verdict == "ok"
    assert (server.sessions, server.delivered) == (1, [])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the server's remark, on loopback
@pytest.mark.parametrize(("password", "verdict"), [("right", "ok"), ("wrong", "wrong")])
def test_the_password_is_tried(tmp_path: Path, password: str, verdict: str) -> None:
    settings_with = {"username": "lifecycle", "password": SecretStr(password)}
    with mail_server(password="right") as server:
        (found,) = check_mail(relay(tmp_path, server.port, **settings_with))

    assert found.verdict == verdict
    assert password == "right" or ("AUTH" in found.found and "right" not in found.found)


@pytest.mark.parametrize(("tls", "step"), [("none", "connecting"), ("starttls", "STARTTLS")])
def test_the_step_that_fails_is_named(tmp_path: Path, tls: str, step: str) -> None:
    with mail_server() as server:
        (found,) = check_mail(relay(tmp_path, free_port() if tls == "none" else server.port, tls=tls))

    assert found.verdict == "wrong"
    assert step in found.found


def test_mail_that_goes_astray_in_production_is_warned_of(tmp_path: Path) -> None:
    with mail_server() as server:
        settings = relay(tmp_path, server.port, redirect_to="prova@example.it")
        loose = settings.deletion.model_copy(update={"require_delivered_warning": False})
        found = list(check_mail(settings.model_copy(update={"deletion": loose})))

    assert [check.verdict for check in found] == ["ok", "warning", "warning"]


def test_a_folder_for_messages_must_be_writable_but_need_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert verdicts(check_mail(settings_for(tmp_path))) == ["ok"]
    assert verdicts(check_mail(settings_for(tmp_path, mail={"directory": tmp_path / "file" / "mail"}))) == ["wrong"]
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


KEY = """\
-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQDA5A1NZrB1QiNO4E/ISH6GblE2WlE9zs+E1ejAdUjd4i8poARR
LigFdNramb3d4yyNW/Qo8ASl/NrXQOS1obSFJrBwAteDQGUKySBPrRSjUYpBtX/9
i9CfXAuqOTa06hLjTNReMToIrgXqb2mre90x4ssWDWFd73NqxzFp12QUxQIDAQAB
AoGAI+kRFOzeQyZJ/oBCOi5M5+gX1H+iCli7R6avS01KgIyAbUZuJ1LpfoKP0Ay5
TVriy3poDUsKAoD9mP9q1OnC+ohIeO3hM/XMLiZB0Pk9Y2kAIpC5UhDcjhvzwxQa
jcsIHw/oUi3VSVUOEjQti12M6k7mQrP0MdNJMtyru5BY5oECQQDfNHYU8LtW+YOF
SdVFN0gNbDasHgAMRTXAqVgP1quOEmWPQj1SuZPIatARcPHPeebvwYnx8B6GESQX
J1sxomKlAkEA3TteXLmcOj1DsbMea4IHmmeH4cAZMMP69XZGKa01yWc8zQwi4VMX
HyaVzFzRhx4+jY6Ury2QlJsnqH6LMbzvoQJAXPUeUG5Jt1lHGxW6yo7RZTWyN1Bv
OK0CS/C7Ci2fWRX0UguGOpOrJobFjN369yuPsD5sUuRr8e3ll/b+FdfJOQJBALeD
8/a/EVVOVMUnbGiJ6HywvQsLKtpE9/x+LB2OTTvQo6MEGjsHjfqNK13m8PhAomsS
h0v5ZCGhwvgGYLjVnYECQHh2UopvH189nuvCfeb6usFoKMF3kaEwmk1TMfvt8f8J
N/2ksGTwrQOm59Kg4U5ti7zFqvMnjF2MsxdJV0yv1ts=
-----END RSA PRIVATE KEY-----
"""
"""Made for this test: it signs for nobody."""


def test_the_key_that_signs_is_tried(tmp_path: Path) -> None:
    key = {"dkim_selector": "s1", "dkim_private_key": SecretStr(KEY)}
    own, foreign = (
        settings_for(tmp_path, mail={"sender": "a@mail.example.it", "dkim_domain": domain, **key}).mail
        for domain in ("example.it", "example.org")
    )
    (bad,) = check_dkim(own.model_copy(update={"dkim_private_key": SecretStr("no key")}))

    assert verdicts(check_dkim(own)) == ["ok"]
    assert verdicts(check_dkim(foreign)) == ["warning"]
    assert bad.verdict == "wrong"
    assert "no key" not in bad.found


# The gateway and the rest


def test_stripe_is_asked_with_the_key(tmp_path: Path) -> None:
    with StripeServer(tmp_path / "stripe.jsonl") as bank:

        def check(**gateway: Any) -> list[Check]:
            base = {"kind": "stripe", "api_base": bank.url, "api_key": SecretStr(API_KEY)}
            return list(check_gateway(settings_for(tmp_path, gateway={**base, **gateway})))

        right, refused = check(), check(api_key=SecretStr("sk_live_of_another"))
        down = check(api_base=f"http://{HOST}:{free_port()}")
        bank.fail("forbidden", call="look_up")
        forbidden = check()

        assert (bank.charges(), bank.statistics()["calls"]) == ([], {"look_up": 3})
    assert [found.verdict for (found,) in (right, refused, down, forbidden)] == ["ok", "wrong", "wrong", "wrong"]
    assert "sk_live" not in refused[0].found


def test_the_sandbox_needs_a_place_for_its_journal(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    (tmp_path / "file").touch()
    wrong = settings_for(tmp_path, sandbox={"journal": tmp_path / "file" / "journal.jsonl"})

    assert (verdicts(check_gateway(settings)), verdicts(check_gateway(wrong))) == (["ok"], ["wrong"])
    assert not settings.sandbox.journal.exists()


def test_payments_that_are_played_and_mail_that_is_not_are_warned_of(tmp_path: Path) -> None:
    assert verdicts(check_gateway(relay(tmp_path, 25))) == ["ok", "warning"]


def test_the_mail_platform_must_take_a_connection(tmp_path: Path) -> None:
    def check(url: str) -> list[str]:
        return verdicts(check_webhooks(settings_for(tmp_path, webhooks={"url": url}).webhooks))

    with listening() as port:
        assert check(f"http://{HOST}:{port}/hook") == ["ok"]
    assert check(f"http://{HOST}:{port}/hook") == ["wrong"]
    assert check("https://no-such-host.invalid/hook") == ["wrong"]
    assert check("https://a..b/hook") == ["wrong"]
    assert check("") == ["warning"]


def test_the_scheduler_of_workers_is_tried_if_there_is_one(tmp_path: Path) -> None:
    def check(**workers: Any) -> list[str]:
        return verdicts(check_workers(settings_for(tmp_path, workers=workers).workers))

    assert check() == []
    assert check(count=2) == ["ok"]
    assert check(engine="dask", scheduler=f"tcp://{HOST}:{free_port()}") == ["wrong"]
    with DaskCluster(tmp_path, 1) as cluster:
        cluster.wait_for_workers()
        assert check(engine="dask", scheduler=cluster.address) == ["ok"]


def test_the_heartbeat_must_take_a_connection_if_there_is_one(tmp_path: Path) -> None:
    def check(url: str) -> list[str]:
        return verdicts(check_heartbeat(settings_for(tmp_path, monitoring={"heartbeat_url": url}).monitoring))

    with listening() as port:
        assert check(f"http://{HOST}:{port}/ping") == ["ok"]
    assert (check(f"http://{HOST}:{port}/ping"), check("")) == (["wrong"], [])
    assert check("https://a..b/ping") == ["wrong"]


def test_an_address_to_listen_on_is_free_or_the_daemons(tmp_path: Path) -> None:
    def check(listen: str) -> list[str]:
        return verdicts(check_monitoring(settings_for(tmp_path, monitoring={"listen": listen}).monitoring))

    with _watched() as port:
        assert check(f"{HOST}:{port}") == ["ok"]
    assert check(f"{HOST}:{free_port()}") == ["ok"]
    assert check("192.0.2.1:9464") == ["wrong"]
    assert check("a..b:9464") == ["wrong"]
    assert check("") == ["warning"]


def test_an_address_that_somebody_else_listens_on_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle_jobs.checking.services._PATIENCE", 0.2)
    with listening() as port:
        settings = settings_for(tmp_path, monitoring={"listen": f"{HOST}:{port}"})
        assert verdicts(check_monitoring(settings.monitoring)) == ["wrong"]


@contextmanager
def _watched() -> Iterator[int]:
    """Something that answers /healthz, in a process of its own."""
    port = free_port()
    code = (
        "import http.server, sys\n"
        "class Health(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/healthz' else 404)\n"
        "        self.end_headers()\n"
        f"server = http.server.HTTPServer(('{HOST}', {port}), Health)\n"
        "print('ready', flush=True)\n"
        "server.serve_forever()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield port
    finally:
        process.terminate()
        process.communicate()
