from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.errors import MessageDefect
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP, SMTPUTF8, compat32, default
from email.utils import parseaddr
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.mail import headers
from lifecycle_jobs.mail.addresses import NotAnAddress, WireAddress, wire_address
from lifecycle_jobs.mail.discretion import describe, without_addresses
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery, _shown
from lifecycle_jobs.mail.render import Rendered, one_line
from lifecycle_jobs.mail.smtp import SmtpRelay
from lifecycle_jobs.mail.transports import Accepted, Outgoing
from tests.mail.mail_server import HOST, mail_server
from tests.mail.office import ON, settings_for

MOMENT = datetime(2027, 3, 24, 4, 5, 6, tzinfo=UTC)
RENDERED = Rendered("La casella è in scadenza", "Gentile cliente,\nè ora.\n", "<p>Gentile cliente,<br>è ora.</p>\n")
HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "X-Lifecycle-Kind",
    "Content-Type", "MIME-Version",
}  # fmt: skip

ODD_NAMES = [
    "Mario Rossi",
    'Rossi, Mario "il Capo" & C. S.r.l.',
    "<script@evil.it>, Anna",
    "Mario\r\nBcc: victim@example.it",
    "Mario\n\n<html>",
    "Mario\u2028Subject: x\x0b\x85y\x00",
    "山田太郎株式会社東京支店第一営業部",
    "Ελληνική Εταιρεία, Α.Ε. <a@b.gr>",
    "شركة البريد",
    "Čeněk Žižka; ředitel: odd.",
    "(a comment) O'Brien \\ \"",
    "=?utf-8?q?Bank?= Ltd",
    "\x1b\rÀ \x1b b\u202e ",
    "😀" * 40,
    "x" * 2000,
    "à" * 200,
    "",
    ".",
    "@",
]


def write(tmp_path: Path, *, name: str = "Mario Rossi", to: str = "mario@example.it", **values: Any) -> bytes:
    keys = ("sender", "sender_name", "reply_to", "list_id", "redirect_to")
    mail = {key: values.pop(key) for key in keys if key in values}
    said: dict[str, Any] = {
        "rendered": RENDERED,
        "kind": "box.expiry_alert",
        "locale": "it",
        "message_id": message_id("2027-03-24/1/c1/box.expiry_alert", "lifecycle.example.it"),
        "moment": MOMENT,
    } | values
    return Stationery(settings_for(tmp_path, **mail)).write(name=name, recipient=wire_address(to), **said)


def parsed(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=default)


def shown_name(content: bytes) -> str:
    """The name of the recipient as RFC 2047 has it read; the newer parser puts blanks between encoded words."""
    header = BytesHeaderParser(policy=compat32).parsebytes(content)["To"]
    name, _ = parseaddr(header.replace("\r\n", ""))
    return str(make_header(decode_header(name)))


def bodies(message: EmailMessage) -> list[str]:
    parts = cast(list[EmailMessage], list(message.iter_parts()))
    return [part.get_content().replace("\r\n", "\n") for part in parts]


def defects(message: EmailMessage) -> list[MessageDefect]:
    return [*message.defects, *(d for part in message.walk() for value in part.values() for d in value.defects)]


def as_the_email_package_writes_it(name: str, to: str, rendered: Rendered) -> bytes:
    """The same content, by the library that knows all the rules and takes its time."""
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = Address("Posta Certificata Esempio", "scadenze", "example.it")
    message["To"] = Address(name, *to.split("@"))
    message["Subject"] = rendered.subject
    message["Date"] = MOMENT
    message["Message-ID"] = message_id("2027-03-24/1/c1/box.expiry_alert", "lifecycle.example.it")
    message["Auto-Submitted"] = "auto-generated"
    message["X-Lifecycle-Kind"] = "box.expiry_alert"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    message["Content-Language"] = "it"
    return message.as_bytes()


def header_texts(content: bytes) -> dict[str, str]:
    """Every header as RFC 2047 has it read."""
    headers = BytesHeaderParser(policy=compat32).parsebytes(content)
    return {name: str(make_header(decode_header(value.replace("\r\n", "")))) for name, value in headers.items()}


def without_blanks(texts: dict[str, str]) -> dict[str, str]:
    """The package loses some of the blanks between two encoded words."""
    return {name: "".join(text.split()) for name, text in texts.items()}


def compare(tmp_path: Path, name: str, rendered: Rendered) -> None:
    """What a reader gets is what he would get from the `email` package."""
    ours = write(tmp_path, name=name, rendered=rendered)
    theirs = as_the_email_package_writes_it(_shown(name)[:300], "mario@example.it", rendered)

    mine, expected = header_texts(ours), header_texts(theirs)
    for varying in ("Content-Type", "To"):
        del mine[varying], expected[varying]
    assert without_blanks(mine) == without_blanks(expected)
    assert mine["Subject"] == _shown(rendered.subject)
    assert shown_name(ours) == _shown(name)[:300].rstrip()
    one, other = parsed(ours), parsed(theirs)
    assert one.get_content_type() == other.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in one.iter_parts()] == [p.get_content_type() for p in other.iter_parts()]
    assert bodies(one) == bodies(other)
    assert defects(one) == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_reader_gets_what_the_email_package_would_have_written(tmp_path: Path, name: str) -> None:
    compare(tmp_path, name, RENDERED)


@given(
    name=st.text(max_size=120),
    subject=st.text(max_size=200).map(_shown),
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400),
)
@example(name="Rossi, Mario", subject="x" * 200, text="a\rb\r\nc\n\n.\n..\n")
@example(name="x" * 200, subject="a " * 90, text="trailing \t \n=\n=3D\nFrom me\n" + "è" * 200)
@example(
    name="-", subject="--", text="--=_0e044a333753a02720e17c2cff32a08f--\n\n--=_0e044a333753a02720e17c2cff32a08f\n"
)
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_does_so_for_anything_that_is_typed(tmp_path: Path, name: str, subject: str, text: str) -> None:
    compare(tmp_path, name, Rendered(subject, text, f"<p>{text}</p>\n"))


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n", "\r\nBcc: x@y.it", "\0", "\x1b", "\u2028", "\x85"])
def test_a_header_that_would_hold_a_line_break_is_refused_without_quoting_it(break_: str) -> None:
    value = f"Mario{break_}Rossi"
    attempts: list[Callable[[], bytes]] = [
        lambda: headers.text_header("Subject", value),
        lambda: headers.token_header("Message-ID", value),
        lambda: headers.mailbox_header("To", value, WireAddress("a", "b.it")),
        lambda: headers.mailbox_header("To", "Mario", WireAddress(value, "b.it")),
        lambda: headers.mailbox_header("To", "Mario", WireAddress("a", value)),
        lambda: headers.text_header(f"Subject{break_}", "x"),
    ]
    for attempt in attempts:
        with pytest.raises(headers.LineBreak) as caught:
            attempt()
        assert "Rossi" not in str(caught.value)


def test_lists_are_recognised_by_their_own_header(tmp_path: Path) -> None:
    message = parsed(write(tmp_path, list_id="scadenze.example.it"))

    assert message["List-Id"] == "<scadenze.example.it>"


def test_in_a_rehearsal_it_is_addressed_to_the_one_and_names_the_other(tmp_path: Path) -> None:
    message = parsed(write(tmp_path, redirect_to="test@example.org"))

    assert message["To"] == "Mario Rossi <test@example.org>"
    assert message["X-Lifecycle-Recipient"] == "mario@example.it"


def test_all_of_a_message(tmp_path: Path) -> None:
    message = parsed(write(tmp_path, reply_to="aiuto@example.it"))

    assert set(message.keys()) == HEADERS | {"Reply-To"}
    assert message["From"] == "Posta Certificata Esempio <scadenze@example.it>"
    assert message["To"] == "Mario Rossi <mario@example.it>"
    assert message["Reply-To"] == "aiuto@example.it"
    assert message["Subject"] == "La casella è in scadenza"
    assert message["Date"].datetime == MOMENT
    assert message["Message-ID"] == "<0e044a333753a02720e17c2cff32a08f@lifecycle.example.it>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "it"
    assert message["X-Lifecycle-Kind"] == "box.expiry_alert"
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert (text.get_content_charset(), html.get_content_charset()) == ("utf-8", "utf-8")
    assert bodies(message) == [RENDERED.text, RENDERED.html]
    assert defects(message) == []


def test_it_fits_servers_of_any_age(tmp_path: Path) -> None:
    long = Rendered("è" * 300, "à" * 5000 + "\n", "<p>" + "x" * 5000 + "</p>\n")

    content = write(tmp_path, name="é" * 300, rendered=long)

    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 78
    assert bodies(parsed(content)) == [long.text, long.html]


def test_the_same_message_has_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path) == write(tmp_path)


def test_who_writes_can_be_set(tmp_path: Path) -> None:
    message = parsed(write(tmp_path, sender="no-reply@pòsta.it", sender_name="Ufficio “Scadenze”, Roma"))
    assert message["From"].addresses[0].display_name == "Ufficio “Scadenze”, Roma"
    assert message["From"].addresses[0].addr_spec == "no-reply@xn--psta-lqa.it"

    assert parsed(write(tmp_path, sender=""))["From"].addresses[0].addr_spec == "assistenza@example.it"
    with pytest.raises(ConfigurationError, match=r"mail\.sender"):
        write(tmp_path, sender="nobody@-x-.it")


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("to", ["mario@example.it", "mario@münchen.example"])
def test_no_name_is_too_odd_for_a_real_mail_server(tmp_path: Path, name: str, to: str) -> None:
    settings = settings_for(tmp_path, transport="smtp", host=HOST, timeout=5)
    recipient = wire_address(to)
    content = write(tmp_path, name=name, to=to)
    with mail_server() as server:
        mail = settings.mail.model_copy(update={"port": server.port})
        with SmtpRelay(mail) as relay:
            letter = Outgoing("k", "box.deleted", "c1", ON, recipient, recipient, needs_smtputf8=False, content=content)
            assert isinstance(relay.send(letter), Accepted)

    (delivered,) = server.delivered
    assert delivered.content == content
    assert delivered.recipient == str(recipient)
    message = delivered.message
    assert set(message.keys()) == HEADERS
    (to_whom,) = message["To"].addresses
    assert to_whom.addr_spec == to.replace("münchen", "xn--mnchen-3ya")
    assert shown_name(content) == one_line(name).replace("=?", "= ?").strip()[:300]


def test_a_local_part_beyond_ascii_is_written_as_it_is(tmp_path: Path) -> None:
    content = write(tmp_path, to="josé@münchen.example")

    message = message_from_string(content.decode(), policy=SMTPUTF8)
    assert message["To"].addresses[0].addr_spec == "josé@xn--mnchen-3ya.example"
    assert bodies(message) == [RENDERED.text, RENDERED.html]


@given(name=st.text(max_size=200), subject=st.text(max_size=300))
@example(name="a\r\nBcc: x@y.z", subject="a\r\n\r\nbody")
@example(name="\ud800", subject="x")
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_typed_becomes_a_header(tmp_path: Path, name: str, subject: str) -> None:
    content = write(tmp_path, name=name, rendered=RENDERED._replace(subject=subject))

    message = parsed(content)
    assert set(message.keys()) == HEADERS
    assert len(message["To"].addresses) == 1
    assert message["To"].addresses[0].addr_spec == "mario@example.it"
    assert bodies(message) == [RENDERED.text, RENDERED.html]


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "wire"),
        [
            ("Mario.Rossi+pec@Example.IT", "Mario.Rossi+pec@Example.IT"),
            (" a@b.it ", "a@b.it"),
            ("o'brien_{x}@b.it", "o'brien_{x}@b.it"),
            ("a@münchen.example", "a@xn--mnchen-3ya.example"),
            ("a@STRAßE.de", "a@xn--strae-oqa.de"),
            ("a@パソコン。jp", "a@xn--tckta3d4g.jp"),
            ("a@МВД.рф", "a@xn--b1aew.xn--p1ai"),
            ("josé@b.it", "josé@b.it"),
        ],
    )
    def test_the_domain_goes_out_in_ascii(self, address: str, wire: str) -> None:
        assert str(wire_address(address)) == wire

    @pytest.mark.parametrize(
        "address",
        [
            "", "a", "@b.it", "a@", "a@@b.it", "a@b@c.it", "a b@c.it", "a@b c.it", ".a@b.it", "a..b@c.it", "a@.it",
            "a@b..it", "a@-b.it", "a@b-.it", '"a b"@c.it', "a@[127.0.0.1]", "a@b.it>", "<a@b.it>", "a\r\n@b.it",
            "a@b.it\r\nRCPT TO:<x@y.it>", "a\u2028b@c.it", "a@💩.it", "a@b\u200d.it", "a\0@b.it",
            "x" * 65 + "@b.it", "a@" + "x" * 64 + ".it", "a@" + "x." * 130 + "it", "à" * 33 + "@b.it",
        ],
    )  # fmt: skip
    def test_what_cannot_be_written_to(self, address: str) -> None:
        with pytest.raises(NotAnAddress) as caught:
            wire_address(address)
        assert len(address) < 3 or address not in str(caught.value)


def test_what_is_kept_of_an_error_names_nobody() -> None:
    assert without_addresses("550 <mario@x.it>: no\r\n 'a.b+c@d.e', x@y") == (
        "550 <(address)>: no '(address)', (address)"
    )
    assert describe(ValueError("first\nDETAIL: all of it")) == "ValueError: first"
    assert describe(ValueError()) == "ValueError:"
    assert len(without_addresses("x" * 10_000)) == 500
