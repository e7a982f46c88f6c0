"""DKIM: what receivers verify with the key in the DNS, and keys that cannot be used."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import dkim
import pytest
from pydantic import SecretStr

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.mail.outbox import deliver, open_transport
from lifecycle_jobs.settings import Settings
from tests.mail.keys import private_key, public_key
from tests.mail.mail_server import HOST, mail_server
from tests.mail.office import ON, queue_alerts, settings_for


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSA key in PEM."""
    return private_key(tmp_path_factory.mktemp("dkim") / "private.pem")


def signing(tmp_path: Path, key: str, **mail: Any) -> Settings:
    return settings_for(
        tmp_path, dkim_domain="example.it", dkim_selector="2027", dkim_private_key=SecretStr(key), **mail
    )


def in_the_dns(key: Path) -> Any:
    """What looks up the public key, as a receiver does."""
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public_key(key))
    return lambda name, timeout=5: record if name == b"2027._domainkey.example.it." else None  # noqa: ARG005 -- dkimpy's


def test_a_receiver_can_verify_what_was_signed(store: Store, tmp_path: Path, key: Path) -> None:
    queue_alerts(store, "a@example.it")
    with mail_server() as server:
        settings = signing(
            tmp_path, key.read_text(), transport="smtp", host=HOST, port=server.port, list_id="scadenze.example.it"
        )
        assert deliver(store, settings, on=ON).sent == 1

    (delivered,) = server.delivered
    assert dkim.verify(delivered.content, dnsfunc=in_the_dns(key))
    signature = str(delivered.message["DKIM-Signature"])
    assert "c=relaxed/relaxed" in signature
    for header in ("from", "to", "subject", "date", "message-id", "reply-to", "list-id", "auto-submitted"):
        assert header in signature


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"Subject: ", b"Subject: Re: "),
        (b"\r\nDate:", b"\r\nReply-To: evil@example.org\r\nDate:"),
        (b"\r\nFrom: ", b"\r\nFrom: evil@example.org\r\nFrom: "),
        (b"quoted-printable\r\n\r\n", b"quoted-printable\r\n\r\nPay here. "),
    ],
)
def test_what_was_changed_on_the_way_is_found_out(
    sqlite_store: Store, tmp_path: Path, key: Path, was: bytes, becomes: bytes
) -> None:
    queue_alerts(sqlite_store, "a@example.it")
    deliver(sqlite_store, signing(tmp_path, key.read_text()), on=ON)
    (file,) = (tmp_path / "mail").rglob("*.eml")
    content = file.read_bytes()
    assert dkim.verify(content, dnsfunc=in_the_dns(key))

    changed = content.replace(was, becomes, 1)

    assert changed != content
    assert not dkim.verify(changed, dnsfunc=in_the_dns(key))


@pytest.mark.parametrize(
    "useless",
    [
        "swordfish",
        "-----BEGIN RSA PRIVATE KEY-----\nc3dvcmRmaXNo\n-----END RSA PRIVATE KEY-----\n",
        "sẃordfish",
    ],
)
def test_a_key_that_cannot_sign_is_refused_before_anything_leaves_and_not_quoted(
    sqlite_store: Store, tmp_path: Path, useless: str
) -> None:
    queue_alerts(sqlite_store, "a@example.it")
    settings = signing(tmp_path, useless)

    for attempt in (lambda: open_transport(sqlite_store, settings), lambda: deliver(sqlite_store, settings, on=ON)):
        with pytest.raises(ConfigurationError, match="LIFECYCLE_MAIL__DKIM_PRIVATE_KEY") as caught:
            attempt()
        assert "ordfish" not in str(caught.value)
        assert "c3dvcmRmaXNo" not in str(caught.value)
    assert not (tmp_path / "mail").exists()


def test_without_a_domain_nothing_is_signed(sqlite_store: Store, tmp_path: Path) -> None:
    queue_alerts(sqlite_store, "a@example.it")
    settings = settings_for(tmp_path)

    assert isinstance(open_transport(sqlite_store, settings), EmlFiles)
    deliver(sqlite_store, settings, on=ON)

    (file,) = (tmp_path / "mail").rglob("*.eml")
    assert b"DKIM-Signature" not in file.read_bytes()
