"""What is filled in arrives whole and in time, or is not taken."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import pytest

from lifecycle_jobs import web_server
from lifecycle_jobs.console import forms
from tests.console.browsing import Browser


def test_a_form_that_does_not_come_to_its_end_is_given_up(stranger: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "_SENT_WITHIN", 0.2)
    port = urlsplit(stranger.url).port

    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(
            b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 100\r\n\r\nname=olga"
        )
        answer = slow.makefile("rb").readline()

    assert answer.startswith(b"HTTP/1.1 403 ")


def test_whoever_goes_on_sending_byte_by_byte_is_not_kept(stranger: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_ASKED_WITHIN", 0.3)
    port = urlsplit(stranger.url).port

    def go_on(slow: socket.socket) -> None:
        for _ in range(200):
            slow.sendall(b"x")
            time.sleep(0.05)

    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            go_on(slow)


def test_a_form_longer_than_any_of_ours_is_not_taken(stranger: Browser) -> None:
    answer = stranger.fill_in("/sign-in", {"name": "olga", "password": "x" * 65_536})

    assert answer.status_code == 403
    assert "too old" in answer.text
