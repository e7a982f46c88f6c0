"""`domain`: what is typed, what is shown, and what is refused."""

from __future__ import annotations

import json

import pytest

from lifecycle_jobs.db.session import Store
from tests import factories
from tests.cli.conftest import Type


@pytest.fixture(autouse=True)
def domain(sqlite_store: Store) -> None:
    """A box on a domain, and one that its holder has cancelled."""
    with sqlite_store.write() as connection:
        factories.customer(connection)
        for address, cancelled in (("uno@esempio.it", None), ("due@esempio.it", factories.LONG_AGO)):
            factories.box(connection, address, plan="domain", domain="esempio.it", cancelled_on=cancelled)


def test_a_domain_is_renewed_and_who_is_left_out_is_said(lifecycle: Type) -> None:
    typed = lifecycle("domain", "renew", "esempio.it", "--until", "2099-12-31")

    assert typed.code == 0, typed.err
    assert "1 boxes on esempio.it end on 2099-12-31 now." in typed.out
    assert "Left out: due@esempio.it was cancelled by its holder on 2020-01-01." in typed.out


def test_a_domain_is_let_go(lifecycle: Type) -> None:
    typed = lifecycle("domain", "release", "esempio.it", "--request-id", "r-1")
    again = lifecycle("domain", "release", "esempio.it", "--request-id", "r-1", "--json")

    assert typed.out == "1 boxes on esempio.it are cancelled with it; the last ends on 2027-03-31.\n"
    assert json.loads(again.out) == {
        "request_id": "r-1",
        "domain": "esempio.it",
        "boxes": ["uno@esempio.it"],
        "last_expires_on": "2027-03-31",
    }


@pytest.mark.parametrize("arguments", [("renew", "altro.it", "--until", "2099-12-31"), ("release", "altro.it")])
def test_a_domain_that_is_not_there_is_refused_with_2(lifecycle: Type, arguments: tuple[str, ...]) -> None:
    typed = lifecycle("domain", *arguments)

    assert (typed.code, typed.out, typed.err) == (2, "", "There is no box on the domain altro.it.\n")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("box.domain_renewed", "has been renewed"), ("domain.released", "is not renewed")],
)
def test_each_message_can_be_previewed(lifecycle: Type, kind: str, sentence: str) -> None:
    assert sentence in lifecycle("preview", kind, "--locale", "en", "--part", "text").out
