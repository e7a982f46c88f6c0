"""`explain`: the answer to "why was this box suspended?"."""

from __future__ import annotations

import json
from datetime import timedelta

from lifecycle_jobs.db.session import open_store
from tests import factories
from tests.cli.conftest import Type

E = factories.EXPIRES_ON


def test_a_box_is_explained_to_a_person_and_to_a_machine(lifecycle: Type, sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "unpaid@pec.it")
    store.engine.dispose()
    suspended_on = (E + timedelta(days=1)).isoformat()
    assert lifecycle("replay", suspended_on).code == 0

    shown = lifecycle("explain", "unpaid@pec.it", "--on", suspended_on)
    document = json.loads(lifecycle("explain", "unpaid@pec.it", "--on", suspended_on, "--json").out)

    assert shown.code == 0
    for told in (
        "unpaid@pec.it: suspended since 1 April 2027 (unpaid).",
        "What has happened",
        "box.suspended",
        "What a run of 1 April 2027 would do",
        "What lies ahead, if nobody does anything",
        "2027-06-30",
    ):
        assert told in shown.out
    assert document["past"][0]["told"] == "not paid: the last paid day was 31 March 2027"
    assert [each["reason"] for each in document["verdicts"]] == ["not_due"] * 6


def test_a_box_is_explained_in_italian_with_codes_in_words(lifecycle: Type, sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "unpaid@pec.it")
    store.engine.dispose()
    suspended_on = (E + timedelta(days=1)).isoformat()
    assert lifecycle("replay", suspended_on).code == 0

    shown = lifecycle("explain", "unpaid@pec.it", "--on", suspended_on, "--locale", "it")
    document = json.loads(lifecycle("explain", "unpaid@pec.it", "--on", suspended_on, "--locale", "it", "--json").out)

    for told in (
        "unpaid@pec.it: sospesa dal 1º aprile 2027 (non pagata).",
        "Si rinnova manualmente.",
        "Che cosa è successo",
        "Che cosa farebbe ora l’elaborazione del 1º aprile 2027",
        "verifica degli addebiti",
        "preavviso di cancellazione",
    ):
        assert told in shown.out
    assert (document["past"][0]["what"], document["past"][0]["told"]) == (
        "box.suspended",
        "non pagata: è scaduta il 31 marzo 2027",
    )


def test_an_address_that_never_was_is_refused(lifecycle: Type) -> None:
    refused = lifecycle("explain", "nobody@pec.it")

    assert (refused.code, "There is no box nobody@pec.it" in refused.err) == (2, True)
