"""An answer of the bank was lost, and then the bank cannot be asked for days."""

from __future__ import annotations

from tests.scenarios.provider import Provider, address


def test_while_nobody_knows_about_a_charge_its_box_is_left_alone_and_after_three_days_a_person_is_told(
    provider: Provider,
) -> None:
    provider.at("2027-03-30T03:00:00Z")
    provider.box("lost", "2027-03-31", token="sandbox_lost_answer_paid", credit="3.05")
    provider.addon("gb1", "lost", "2027-03-31")
    provider.box("unpaid", "2027-03-31")
    assert provider.bring_in().code == 0
    assert provider.run("2027-03-30").code == 0
    _silence(provider)

    answers = [provider.run(on) for on in ("2027-03-31", "2027-04-01", "2027-04-02", "2027-04-03")]

    assert [answer.code for answer in answers] == [0, 0, 1, 1]
    assert "1 charges have been unresolved for 3 days or more" in answers[2].err
    books = provider.books()
    assert books.charges("lost") == ["slot 1 #1 unknown 12.08"]
    assert books.life("lost") == []
    assert books.box("lost")["status"] == "active"
    assert books.addon("gb1")["status"] == "active"
    assert books.life("unpaid") == ["2027-03-30 box.expiry_alert 1", "2027-04-01 box.suspended unpaid"]
    unresolved = provider.command("status", "--json").json()["unresolved_charges"]["rows"]
    assert [(row["address"], row["days"]) for row in unresolved] == [(address("lost"), 4)]

    _let_speak(provider)
    assert provider.run("2027-04-04").code == 0

    books = provider.books()
    assert books.charges("lost") == ["slot 1 #1 succeeded 12.08"]
    assert books.life("lost") == [
        "2027-04-04 box.renewed until 2028-03-31, 12.08 by card",
        "2027-04-04 addon.renewed gb1 until 2028-03-31, 3.05, 0.00 left",
    ]


def _silence(provider: Provider) -> None:
    provider.journal.rename(provider.folder / "put-away.jsonl")
    provider.journal.mkdir()


def _let_speak(provider: Provider) -> None:
    provider.journal.rmdir()
    (provider.folder / "put-away.jsonl").rename(provider.journal)
