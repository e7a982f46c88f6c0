from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lifecycle_jobs.mail.addresses import WireAddress, wire_address
from lifecycle_jobs.mail.eml_files import EmlFiles, _name_of
from lifecycle_jobs.mail.smtp import SmtpRelay
from lifecycle_jobs.mail.transports import Accepted, Nowhere, Outgoing, PermanentFailure, TemporaryFailure
from tests.mail.keys import certificate
from tests.mail.mail_server import HOST, free_port, mail_server
from tests.mail.office import ON, settings_for

SENDER = WireAddress("from", "example.it")
CONTENT = b"Subject: x\r\n\r\n.a line that begins with a dot\r\n.\r\nend\r\n"


def letter(recipient: str = "a@example.it", **values: Any) -> Outgoing:
    to = wire_address(recipient)
    fields: dict[str, Any] = {
        "key": "2027-03-24/1/c1/box.expiry_alert",
        "kind": "box.expiry_alert",
        "customer_id": "c1",
        "created_on": ON,
        "sender": SENDER,
        "recipient": to,
        "needs_smtputf8": to.needs_smtputf8,
        "content": CONTENT,
    } | values
    return Outgoing(**fields)


class TestFiles:
    def test_one_file_a_message_in_a_folder_per_day(self, tmp_path: Path) -> None:
        with EmlFiles(tmp_path / "mail") as transport:
            outcome = transport.send(letter())

        assert outcome == Accepted("2027-03-24/2027-03-24-box.expiry_alert-c1-0e044a33.eml")
        assert (tmp_path / "mail" / outcome.response).read_bytes() == CONTENT

    def test_the_name_comes_from_what_never_changes(self) -> None:
        assert _name_of(letter()) == _name_of(letter("b@example.it", content=b"other"))
        assert _name_of(letter()) != _name_of(letter(key="2027-03-24/2/c1/box.expiry_alert"))

    @pytest.mark.parametrize("customer_id", ["../../etc/passwd", "a/b", "a\0b", "x" * 300, "ç ü\n", ""])
    def test_any_customer_id_makes_a_safe_name(self, tmp_path: Path, customer_id: str) -> None:
        outcome = EmlFiles(tmp_path).send(letter(customer_id=customer_id))

        assert isinstance(outcome, Accepted)
        assert (tmp_path / outcome.response).is_file()
        assert [path.name for path in tmp_path.iterdir()] == ["2027-03-24"]

    def test_writing_again_replaces(self, tmp_path: Path) -> None:
        transport = EmlFiles(tmp_path)
        assert transport.repeatable
        transport.send(letter(content=b"first"))
        outcome = transport.send(letter(content=b"second"))

        assert isinstance(outcome, Accepted)
        (folder,) = tmp_path.iterdir()
        (file,) = folder.iterdir()
        assert file.read_bytes() == b"second"

    def test_no_half_written_file_is_ever_seen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(path: Path, content: bytes) -> int:
            with path.open("wb") as file:
                file.write(content[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "write_bytes", full)
        outcome = EmlFiles(tmp_path).send(letter())

        assert outcome == TemporaryFailure("OSError: No space left on device", unavailable=True, attempted=False)
        assert list(tmp_path.rglob("*.eml")) == []

    def test_a_directory_that_cannot_be_written_is_temporary(self, tmp_path: Path) -> None:
        (tmp_path / "mail").write_text("in the way")

        outcome = EmlFiles(tmp_path / "mail").send(letter())

        assert isinstance(outcome, TemporaryFailure)
        assert outcome.unavailable

    def test_a_folder_that_was_cleared_away_comes_back(self, tmp_path: Path) -> None:
        transport = EmlFiles(tmp_path)
        transport.send(letter())
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()

        assert isinstance(transport.send(letter()), TemporaryFailure)
        assert isinstance(transport.send(letter()), Accepted)


def relay(tmp_path: Path, port: int, **mail: Any) -> SmtpRelay:
    chosen = {"host": HOST, "timeout": 5} | mail
    return SmtpRelay(settings_for(tmp_path, transport="smtp", port=port, **chosen).mail)


class TestSmtp:
    def test_many_messages_go_over_one_connection_unchanged(self, tmp_path: Path) -> None:
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            assert not transport.repeatable
            outcomes = [transport.send(letter(f"r{number}@example.it")) for number in range(5)]

        assert outcomes == [Accepted("250 2.0.0 Queued")] * 5
        assert [delivered.content for delivered in server.delivered] == [CONTENT] * 5
        assert server.sessions == 1

    def test_nothing_is_connected_before_there_is_something_to_send(self, tmp_path: Path) -> None:
        with relay(tmp_path, free_port()):
            pass

    @pytest.mark.parametrize(
        ("recipient", "outcome"),
        [
            ("later@example.it", TemporaryFailure("451 4.7.1 Greylisted, try again")),
            (
                "never@example.it",
                PermanentFailure("550 5.1.1 <never@example.it>: Recipient address rejected"),
            ),
            ("full@example.it", PermanentFailure("552 5.2.2 Mailbox full")),
            ("closing@example.it", TemporaryFailure("421 4.3.2 Shutting down", unavailable=True)),
            ("drop@example.it", TemporaryFailure("connection lost: Connection unexpectedly closed")),
        ],
    )
    def test_what_the_server_answers(
        self, tmp_path: Path, recipient: str, outcome: TemporaryFailure | PermanentFailure
    ) -> None:
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            assert transport.send(letter()) == Accepted("250 2.0.0 Queued")
            answer = transport.send(letter(recipient))
            assert transport.send(letter()) == Accepted("250 2.0.0 Queued")

        if recipient.startswith("drop@"):  # which words the loss is told in depends on the moment
            assert isinstance(answer, TemporaryFailure)
            assert not answer.unavailable
            assert answer.response.startswith("connection lost: ")
        else:
            assert answer == outcome

    def test_where_the_server_takes_commands_in_one_piece_the_answers_mean_the_same(self, tmp_path: Path) -> None:
        names = ["a", "later", "b", "never", "full", "c", "closing", "d"]
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            one_by_one = [transport.send(letter(f"{name}@example.it")) for name in names]
        with mail_server() as server:
            server.pipelining = True
            with relay(tmp_path, server.port) as transport:
                together = [transport.send(letter(f"{name}@example.it")) for name in names]

        assert together == one_by_one
        assert [type(outcome) for outcome in together].count(Accepted) == 4
        assert [delivered.recipient[0] for delivered in server.delivered] == ["a", "b", "c", "d"]

    def test_a_text_that_has_no_recipient_is_not_sent_though_the_server_waits_for_it(self, tmp_path: Path) -> None:
        said = iter([b"250 sender ok\r\n550 no such user\r\n354 go on\r\n", b"554 no valid recipients\r\n"])
        heard: list[bytes] = []
        with _talking(said, heard) as port, relay(tmp_path, port) as transport:
            outcome = transport.send(letter())

        assert outcome == PermanentFailure("550 no such user")
        assert heard[1] == b".\r\n"

    def test_a_server_that_loses_every_connection_is_given_a_rest(self, tmp_path: Path) -> None:
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            outcomes = [transport.send(letter("drop@example.it")) for _ in range(5)]

        assert [isinstance(o, TemporaryFailure) and o.unavailable for o in outcomes] == [False] * 4 + [True]

    def test_a_connection_closed_between_messages_is_opened_anew(self, tmp_path: Path) -> None:
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            server.close_after = 2
            outcomes = [transport.send(letter()) for _ in range(5)]

        assert outcomes == [Accepted("250 2.0.0 Queued")] * 5
        assert server.sessions == 3

    def test_a_server_that_is_down_is_unavailable(self, tmp_path: Path) -> None:
        with relay(tmp_path, free_port()) as transport:
            outcome = transport.send(letter())

        assert isinstance(outcome, TemporaryFailure)
        assert outcome.unavailable
        assert outcome.response.endswith(": Connection refused")

    def test_a_server_that_refuses_at_the_door_is_unavailable(self, tmp_path: Path) -> None:
        with _greeting(b"554 5.7.1 Go away\r\n") as port, relay(tmp_path, port) as transport:
            outcome = transport.send(letter())

        assert outcome == TemporaryFailure(f"{HOST}:{port}: 554 5.7.1 Go away", unavailable=True, attempted=False)

    def test_a_server_that_says_nothing_is_waited_for_as_long_as_set(self, tmp_path: Path) -> None:
        with (
            _greeting(b"") as port,
            SmtpRelay(settings_for(tmp_path, transport="smtp", host=HOST, port=port, timeout=1).mail) as transport,
        ):
            outcome = transport.send(letter())

        assert isinstance(outcome, TemporaryFailure)
        assert outcome.unavailable
        assert outcome.response.endswith("timed out")

    def test_a_refused_sender_costs_no_message_its_delivery(self, tmp_path: Path) -> None:
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            server.refuse_sender = "553 5.7.1 Sender address not allowed"
            outcome = transport.send(letter())

        assert outcome == TemporaryFailure(
            "sender refused: 553 5.7.1 Sender address not allowed", unavailable=True, attempted=False
        )

    @pytest.mark.parametrize("tls", ["starttls", "tls"])
    def test_without_the_encryption_that_is_asked_for_nothing_is_sent(self, tmp_path: Path, tls: str) -> None:
        with mail_server() as server, relay(tmp_path, server.port, tls=tls) as transport:
            outcome = transport.send(letter())

        assert isinstance(outcome, TemporaryFailure)
        assert outcome.unavailable
        assert server.delivered == []

    @pytest.mark.parametrize("tls", ["starttls", "tls"])
    def test_encrypted_and_with_a_password_many_messages_go_over_one_connection(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
    ) -> None:
        vouched_for = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(vouched_for))
        asked = {"tls": tls, "host": "localhost", "username": "u", "password": SecretStr("right")}
        if tls == "tls":  # the test's server does not count such a connection as safe for passwords
            asked |= {"username": "", "password": SecretStr("")}
        password = "right" if tls == "starttls" else None
        with (
            mail_server(password=password, certificate=vouched_for, tls=tls) as server,
            relay(tmp_path, server.port, **asked) as transport,
        ):
            outcomes = [transport.send(letter(f"r{number}@example.it")) for number in range(3)]

        assert outcomes == [Accepted("250 2.0.0 Queued")] * 3
        assert [delivered.content for delivered in server.delivered] == [CONTENT] * 3

    def test_a_certificate_that_nobody_vouches_for_is_refused(self, tmp_path: Path) -> None:
        with (
            mail_server(certificate=certificate(tmp_path)) as server,
            relay(tmp_path, server.port, tls="starttls", host="localhost") as transport,
        ):
            outcome = transport.send(letter())

        assert isinstance(outcome, TemporaryFailure)
        assert (outcome.unavailable, outcome.attempted) == (True, False)
        assert "certificate not accepted" in outcome.response
        assert server.delivered == []

    @pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
    def test_the_password_opens_the_server_and_a_wrong_one_ends_the_delivery(self, tmp_path: Path) -> None:
        with mail_server(password="right") as server:
            with relay(tmp_path, server.port, username="u", password=SecretStr("right")) as transport:
                assert isinstance(transport.send(letter()), Accepted)
            for wrong in ("wrong", "wröng"):
                with relay(tmp_path, server.port, username="u", password=SecretStr(wrong)) as transport:
                    outcome = transport.send(letter())
                assert isinstance(outcome, TemporaryFailure)
                assert outcome.unavailable
                assert "wr" not in outcome.response

        assert len(server.delivered) == 1

    def test_letters_beyond_ascii_before_the_at_need_a_server_that_takes_them(self, tmp_path: Path) -> None:
        with mail_server(utf8=False) as server, relay(tmp_path, server.port) as transport:
            assert isinstance(transport.send(letter("josé@example.it")), PermanentFailure)
            assert isinstance(transport.send(letter()), Accepted)
        with mail_server() as server, relay(tmp_path, server.port) as transport:
            assert isinstance(transport.send(letter("josé@example.it")), Accepted)
            assert isinstance(transport.send(letter()), Accepted)
        assert [delivered.recipient for delivered in server.delivered] == ["josé@example.it", "a@example.it"]


def test_nowhere_takes_everything() -> None:
    with Nowhere() as transport:
        assert transport.repeatable
        assert isinstance(transport.send(letter(created_on=date(2027, 1, 1))), Accepted)


@contextmanager
def _greeting(words: bytes) -> Iterator[int]:
    """A server that says only this to whoever connects, and nothing more."""
    with socket.create_server((HOST, 0)) as listener:
        held: list[socket.socket] = []

        def answer() -> None:
            connection, _ = listener.accept()
            held.append(connection)
            connection.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()
            for connection in held:
                connection.close()


@contextmanager
def _talking(said: Iterator[bytes], heard: list[bytes]) -> Iterator[int]:
    """A server that takes commands in one piece, and says these things one after the other, whatever it hears."""
    with socket.create_server((HOST, 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 ready\r\n")
                connection.recv(1000)
                connection.sendall(b"250-here\r\n250 PIPELINING\r\n")
                for words in said:
                    heard.append(connection.recv(1000))
                    connection.sendall(words)
                connection.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()
