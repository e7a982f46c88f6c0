"""A backup is restored: what happened since is forgotten here, but not at the bank."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.provider import Provider


def test_a_payment_of_the_lost_days_is_found_at_the_bank_and_not_made_again(provider: Provider, tmp_path: Path) -> None:
    provider.box("paid", "2027-03-31", token="pm_card_visa")
    provider.box("stolen", "2027-03-31", token="pm_card_visa_chargeDeclinedStolenCard")
    provider.box("poor", "2027-03-31", token="sandbox_paid_from:2027-03-26")
    provider.box("not-yet", "2027-04-03", token="pm_card_visa")
    assert provider.bring_in().code == 0
    provider.run_daily("2027-03-20", "2027-03-23")
    backup = f"sqlite:///{tmp_path / 'backup.db'}"
    assert provider.command("db", "copy", "--to", backup).code == 0
    provider.run_daily("2027-03-24", "2027-03-25")
    told_by_the_bank = provider.journal.read_text(encoding="utf-8")

    provider.environment["LIFECYCLE_DATABASE__URL"] = backup
    assert provider.run("2027-03-26").code == 0

    books = provider.books()
    assert books.life("paid")[-1] == "2027-03-26 box.renewed until 2028-03-31, 12.08 by card"
    assert books.life("stolen")[-1] == "2027-03-26 charge.declined stolen_card in slot 5, final"
    assert books.life("poor")[-1] == "2027-03-26 box.renewed until 2028-03-31, 12.08 by card"
    new = provider.journal.read_text(encoding="utf-8").removeprefix(told_by_the_bank).splitlines()
    assert [json.loads(line)["key"].rsplit("-", 2)[1:] for line in new] == [["5", "1"]], "only the soft decline again"

    provider.run_daily("2027-03-27", "2027-03-31")
    assert provider.command("audit").code == 0
    assert provider.books().charges("not-yet") == ["slot 7 #1 succeeded 12.08"]
