"""One message per customer, kind and run, however many boxes it is about."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from lifecycle_jobs import testing
from tests.scenarios.provider import Provider, address

ON = "2027-03-01"


def test_a_customer_with_300_boxes_gets_one_message_that_lists_them_nearest_expiry_first(provider: Provider) -> None:
    provider.at(f"{ON}T03:00:00Z")
    provider.customer("comune")
    # Written down by number, so that their order by expiry is another one: 30, 15 and 7 days from 1 March.
    expiries = ("2027-03-31", "2027-03-16", "2027-03-08")
    for number in range(300):
        provider.box(f"office-{number:03}", expiries[number % 3], customer="comune")
    assert provider.bring_in().code == 0

    assert provider.run(ON).code == 0

    by_expiry = [address(f"office-{number:03}") for rest in (2, 1, 0) for number in range(rest, 300, 3)]
    (row,) = provider.books().files["messages.csv"]
    assert (row["kind"], row["recipient"], row["status"]) == ("box.expiry_alert", "comune@example.it", "sent")
    assert row["addresses"].split() == by_expiry
    (mail,) = _mails(provider)
    assert mail["Message-ID"] == row["message_id"]
    assert mail["To"].addresses[0].addr_spec == "comune@example.it"
    for part in ("plain", "html"):
        body = _text(mail, part)
        assert all(body.count(one) for one in by_expiry)
        assert sorted(by_expiry, key=body.index) == by_expiry


def test_each_kind_of_event_has_a_message_of_its_own(provider: Provider) -> None:
    provider.at(f"{ON}T03:00:00Z")
    provider.customer("studio", credit="3.05")
    for name in ("ending-1", "ending-2"):
        provider.box(name, "2027-03-31", customer="studio")
    for name in ("renewing-1", "renewing-2"):
        provider.box(name, "2027-03-08", customer="studio", token="pm_card_visa")
        provider.addon(f"{name}-gb", name, "2027-03-08")
    provider.box("declining", "2027-03-08", customer="studio", token="pm_card_visa_chargeDeclined")
    provider.box("expired", "2027-02-28", customer="studio")
    assert provider.bring_in().code == 0

    assert provider.run(ON).code == 0

    sent = {row["kind"]: row["addresses"].split() for row in provider.books().files["messages.csv"]}
    assert sent == {
        "box.renewed": [address("renewing-1"), address("renewing-2")],
        "charge.declined": [address("declining")],
        "addon.renewed": [address("renewing-1")],
        "addon.credit_short": [address("renewing-2")],
        "box.suspended": [address("expired")],
        "box.expiry_alert": [address("ending-1"), address("ending-2")],
    }
    assert len(_mails(provider)) == 6


@pytest.mark.lifecycle(today=ON)
def test_each_customer_is_written_to_in_their_own_language(lifecycle: testing.Provider) -> None:
    lifecycle.box(expires_on="2027-03-31", customer=lifecycle.customer("italian", locale="it"))
    lifecycle.box(expires_on="2027-03-31", customer=lifecycle.customer("english", locale="en"))

    lifecycle.travel_to(ON)

    english, italian = lifecycle.sent
    assert (italian.recipient, english.recipient) == ("italian@example.it", "english@example.it")
    assert "31 marzo 2027" in italian.text
    assert "31 March 2027" in english.text
    assert italian.subject != english.subject


def test_a_second_pass_sends_a_second_message_only_about_what_is_new(embedded: Provider) -> None:
    embedded.at(f"{ON}T03:00:00Z")
    embedded.customer("studio")
    embedded.box("first", "2027-03-31", customer="studio")
    assert embedded.bring_in().code == 0
    assert embedded.run(ON).code == 0
    embedded.box("second", "2027-03-31", customer="studio")
    assert embedded.bring_in().code == 0

    assert embedded.run(ON, "--again").code == 0

    rows = embedded.books().files["messages.csv"]
    assert [row["addresses"] for row in rows] == [address("first"), address("second")]
    assert len({row["message_id"] for row in rows}) == 2


def _mails(provider: Provider) -> list[EmailMessage]:
    files = sorted(provider.mail.rglob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def _text(mail: EmailMessage, subtype: str) -> str:
    body = mail.get_body((subtype,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())
