"""The server itself: where it listens, and that it comes and goes when it is told to."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from lifecycle_jobs import web_server
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.monitoring import Monitoring, Vitals
from lifecycle_jobs.settings import Settings
from tests.monitoring.watching import Watched, silent_database, watched, watched_settings


def test_it_answers_as_soon_as_it_was_started(sqlite_store: Store, settings: Settings) -> None:
    server = Monitoring(sqlite_store, settings, Vitals()).start()
    try:
        answer = requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=5)
    finally:
        server.stop()

    assert answer.status_code == 200


def test_an_address_that_is_taken_is_refused_by_the_name_of_its_key(sqlite_store: Store, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        server = Monitoring(sqlite_store, watched_settings(tmp_path, monitoring={"listen": taken}), Vitals())

        with pytest.raises(ConfigurationError, match=rf"^monitoring\.listen: cannot listen on {taken} \(.*in use"):
            server.start()


@pytest.mark.parametrize("listen", ["192.0.2.1:9464", "no host:1", "127.0.0.1:http"])
def test_an_address_that_is_not_ours_is_refused(sqlite_store: Store, tmp_path: Path, listen: str) -> None:
    server = Monitoring(sqlite_store, watched_settings(tmp_path, monitoring={"listen": listen}), Vitals())

    with pytest.raises(ConfigurationError, match=r"^monitoring\.listen: "):
        server.start()


def test_it_listens_on_version_6_of_the_protocol_too(sqlite_store: Store, tmp_path: Path) -> None:
    with Monitoring(sqlite_store, watched_settings(tmp_path, monitoring={"listen": "[::1]:0"}), Vitals()) as server:
        assert requests.get(f"http://[::1]:{server.port}/healthz", timeout=5).status_code == 200


def test_stopped_it_gives_the_port_back_at_once(sqlite_store: Store, tmp_path: Path, settings: Settings) -> None:
    with watched(sqlite_store, settings) as first, requests.Session() as kept:
        kept.get(first.url + "/healthz", timeout=5)  # a connection that stays open
        port = first.server.port
        began = time.monotonic()
        first.server.stop()
        assert time.monotonic() - began < 2

    again = watched_settings(tmp_path, monitoring={"listen": f"127.0.0.1:{port}"})
    with watched(sqlite_store, again) as second:
        assert second.get("/healthz").status_code == 200
    assert "monitoring.listen" not in {thread.name for thread in threading.enumerate()}


def test_a_request_that_hangs_does_not_keep_it_from_stopping(settings: Settings) -> None:
    with silent_database() as store, watched(store, settings) as watch:
        hanging = threading.Thread(target=_ignore_all_trouble, args=(watch, "/metrics"))
        hanging.start()
        time.sleep(0.3)
        began = time.monotonic()
        watch.server.stop()
        assert time.monotonic() - began < 2
        hanging.join()


def _ignore_all_trouble(watch: Watched, path: str) -> None:
    with suppress(requests.ConnectionError):
        watch.get(path)


def test_who_connects_and_asks_nothing_is_not_kept(sqlite_watch: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_ASKED_WITHIN", 0.5)
    address = ("127.0.0.1", sqlite_watch.server.port)
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(110)]
        silent[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")  # never finished
        assert [connection.recv(1) for connection in silent] == [b""] * 110

        assert sqlite_watch.get("/healthz").status_code == 200


def test_who_has_asked_may_wait_for_the_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_ASKED_WITHIN", 0.5)
    with silent_database() as store, watched(store, settings) as watch:
        assert watch.get("/readyz").status_code == 503  # after two seconds


def test_signals_are_left_to_the_daemon(sqlite_watch: Watched) -> None:
    sqlite_watch.get("/healthz")

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    # Ignored where the tests themselves were started in the background.
    assert signal.getsignal(signal.SIGINT) in {signal.default_int_handler, signal.SIG_IGN}


def test_it_does_not_say_what_it_is_made_of(sqlite_watch: Watched) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/", "/docs"):
        assert "server" not in sqlite_watch.get(path).headers


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/redoc", "/healthz/", "/webhooks", "/metrics.json"])
def test_nothing_else_is_there(sqlite_watch: Watched, path: str) -> None:
    assert requests.get(sqlite_watch.url + path, allow_redirects=False, timeout=5).status_code in {307, 404}


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path in ("/healthz", "/readyz", "/metrics") for method in ("POST", "PUT", "DELETE", "PATCH")]
    + [(method, "/webhooks/stripe") for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD")],
)
def test_each_path_takes_its_own_method_only(sqlite_watch: Watched, method: str, path: str) -> None:
    assert requests.request(method, sqlite_watch.url + path, timeout=5).status_code == 405
