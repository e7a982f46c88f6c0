"""Who is let in, and how often somebody may try."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from lifecycle_jobs.console import Console, visitors
from lifecycle_jobs.console.visitors import FAILURES_ALLOWED, Refusal, Visitor, Visitors, hash_password
from lifecycle_jobs.db.session import Store
from tests.console.browsing import PASSWORD, Browser, accounts, console_settings, served


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Visitors:
    return Visitors(console_settings(tmp_path, sqlite_store).console, key=None, owner="root")


def test_the_right_password_lets_in_with_the_role_of_the_account(desk: Visitors) -> None:
    assert desk.sign_in("vera", PASSWORD, "10.0.0.1") == Visitor("vera", "viewer")
    assert desk.sign_in("olga", PASSWORD, "10.0.0.1") == Visitor("olga", "operator")


@pytest.mark.parametrize(("name", "password"), [("vera", "wrong"), ("nobody", PASSWORD), ("", ""), ("Vera", PASSWORD)])
def test_anything_else_is_refused_without_saying_which_was_wrong(desk: Visitors, name: str, password: str) -> None:
    assert desk.sign_in(name, password, "10.0.0.1") == Refusal("wrong")


def test_an_account_without_a_password_cannot_sign_in_here(sqlite_store: Store, tmp_path: Path) -> None:
    by_proxy = accounts(olga="operator")["olga"].model_copy(update={"password": type(_SECRET)("")})
    settings = console_settings(tmp_path, sqlite_store, accounts={"olga": by_proxy})

    assert Visitors(settings.console, key=None, owner="root").sign_in("olga", "", "10.0.0.1") == Refusal("wrong")


_SECRET = accounts(olga="operator")["olga"].password


def test_after_five_failures_a_name_is_held_off_even_with_the_right_password(desk: Visitors) -> None:
    for attempt in range(FAILURES_ALLOWED):
        desk.sign_in("vera", "wrong", f"10.0.0.{attempt}")

    held_off = desk.sign_in("vera", PASSWORD, "10.0.1.1")

    assert isinstance(held_off, Refusal)
    assert held_off.wait is not None
    assert 800 < held_off.wait <= 901
    assert desk.sign_in("olga", PASSWORD, "10.0.1.1") == Visitor("olga", "operator")


def test_after_five_failures_a_place_is_held_off_whatever_name_it_tries(desk: Visitors) -> None:
    for attempt in range(FAILURES_ALLOWED):
        desk.sign_in(f"name{attempt}", "wrong", "10.0.0.1")

    assert isinstance(desk.sign_in("vera", PASSWORD, "10.0.0.1"), Refusal)
    assert isinstance(desk.sign_in("vera", PASSWORD, "10.0.0.2"), Visitor)


def test_no_more_are_tried_at_the_same_moment_than_one_after_the_other(
    desk: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = count_checks(monkeypatch)
    with ThreadPoolExecutor(20) as crowd:
        said = list(crowd.map(lambda number: desk.sign_in("vera", f"wrong {number}", "10.0.0.1"), range(20)))

    assert len(tried) == FAILURES_ALLOWED
    assert sum(isinstance(each, Refusal) and each.wait is not None for each in said) == 20 - FAILURES_ALLOWED


def count_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are checked, each a moment longer than it takes, as with hashes that are dear."""
    tried: list[str] = []
    check = visitors._fits

    def slowly(stored: str, password: str) -> bool:
        tried.append(password)
        time.sleep(0.02)
        return check(stored, password)

    monkeypatch.setattr(visitors, "_fits", slowly)
    return tried


def test_who_signs_in_often_is_not_held_off(desk: Visitors) -> None:
    for _ in range(FAILURES_ALLOWED + 1):
        assert desk.sign_in("vera", PASSWORD, "10.0.0.1") == Visitor("vera", "viewer")


def test_the_right_password_does_not_make_a_place_forget_its_failures(desk: Visitors) -> None:
    for attempt in range(FAILURES_ALLOWED - 1):
        desk.sign_in(f"name{attempt}", "wrong", "10.0.0.1")
    assert isinstance(desk.sign_in("vera", PASSWORD, "10.0.0.1"), Visitor)
    desk.sign_in("another", "wrong", "10.0.0.1")

    assert isinstance(desk.sign_in("vera", PASSWORD, "10.0.0.1"), Refusal)


def test_failures_are_forgotten_after_a_while(desk: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(FAILURES_ALLOWED):
        desk.sign_in("vera", "wrong", "10.0.0.1")
    monkeypatch.setattr(visitors, "FORGOTTEN_AFTER", 0.0)

    assert desk.sign_in("vera", PASSWORD, "10.0.0.1") == Visitor("vera", "viewer")


def test_what_is_typed_as_a_name_is_not_logged_unless_it_is_one(desk: Visitors) -> None:
    with capture_logs() as lines:
        desk.sign_in("my secret password", "x", "10.0.0.1")
        desk.sign_in("vera", "wrong", "10.0.0.1")

    assert [line["account"] for line in lines] == [None, "vera"]


def test_a_password_is_kept_as_an_argon2_hash() -> None:
    assert hash_password(PASSWORD).startswith("$argon2id$")
    assert hash_password(PASSWORD) != hash_password(PASSWORD)


class TestWithoutAccounts:
    def test_only_whoever_has_the_key_of_this_start_comes_in_and_acts_as_its_owner(
        self, sqlite_store: Store, tmp_path: Path
    ) -> None:
        settings = console_settings(tmp_path, sqlite_store, accounts={})
        with Console(settings, owner="root") as console:
            address, _, key = console.url.partition("/enter?key=")
            stranger, owner = Browser(address), Browser(address)

            assert stranger.get("/enter?key=guessed").status_code == 403
            assert stranger.get("/").url == f"{address}/sign-in?next=/"
            assert stranger.sign_in("root", "").status_code == 403
            assert "Signed in as root (operator)." in owner.read(f"/enter?key={key}")

    def test_whoever_came_in_by_the_key_is_out_after_the_next_start(self, sqlite_store: Store, tmp_path: Path) -> None:
        secret = type(_SECRET)("a secret that both starts share, long enough")
        settings = console_settings(tmp_path, sqlite_store, accounts={}, secret=secret)
        with Console(settings, owner="root") as console:
            address, _, key = console.url.partition("/enter?key=")
            before = Browser(address)
            before.get(f"/enter?key={key}")
        with Console(settings, owner="root") as console:
            after = Browser(console.url.partition("/enter?key=")[0])
            after.session.cookies.update(before.session.cookies)

            assert after.get("/").url.endswith("/sign-in?next=/")


class TestBehindAProxy:
    @pytest.fixture
    def proxied(self, sqlite_store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
        chosen = {"trusted_header": "X-Remote-User", **getattr(request, "param", {})}
        with served(console_settings(tmp_path, sqlite_store, **chosen)) as address:
            yield address

    def test_who_the_proxy_names_is_in_with_the_role_of_the_account(self, proxied: str) -> None:
        assert "Signed in as vera (viewer)." in Browser(proxied).get("/", **{"X-Remote-User": "vera"}).text

    @pytest.mark.parametrize("named", [{}, {"X-Remote-User": "nobody"}, {"X-Remote-User": ""}])
    def test_nobody_else_is(self, proxied: str, named: dict[str, str]) -> None:
        assert Browser(proxied).get("/", **named).status_code == 403

    def test_a_header_that_comes_twice_names_nobody(self, sqlite_store: Store, tmp_path: Path) -> None:
        # A proxy that adds its header and leaves the visitor's own there: nobody can tell which is which.
        settings = console_settings(tmp_path, sqlite_store, trusted_header="X-Remote-User").console
        sent = [(b"x-remote-user", b"olga"), (b"x-remote-user", b"vera")]
        request = Request({"type": "http", "headers": sent, "client": ("127.0.0.1", 5)})

        assert Visitors(settings, key=None, owner="root").who(request) is None

    @pytest.mark.parametrize("proxied", [{"trusted_proxies": ("10.0.0.7",)}], indirect=True)
    def test_the_header_is_believed_from_the_proxy_only(self, proxied: str) -> None:
        assert Browser(proxied).get("/", **{"X-Remote-User": "olga"}).status_code == 403

    def test_a_password_helps_nothing_there(self, proxied: str) -> None:
        browser = Browser(proxied)
        browser.sign_in("olga")

        assert browser.get("/").status_code == 403


def test_an_account_that_is_gone_is_out_at_once(sqlite_store: Store, tmp_path: Path) -> None:
    secret = type(_SECRET)("a secret that both starts share, long enough")
    with served(console_settings(tmp_path, sqlite_store, secret=secret)) as address:
        browser = Browser(address)
        browser.sign_in("vera")
    changed = console_settings(tmp_path, sqlite_store, secret=secret, accounts=accounts(olga="operator"))
    with served(changed) as address:
        again = Browser(address)
        again.session.cookies.update(browser.session.cookies)

        assert again.get("/").url.endswith("/sign-in?next=/")


def test_a_new_password_ends_the_sessions_that_the_old_one_began(sqlite_store: Store, tmp_path: Path) -> None:
    secret = type(_SECRET)("a secret that both starts share, long enough")
    both = accounts(vera="viewer", olga="operator")
    with served(console_settings(tmp_path, sqlite_store, secret=secret, accounts=both)) as address:
        vera, olga = Browser(address), Browser(address)
        vera.sign_in("vera")
        olga.sign_in("olga")
    changed = {**both, "vera": both["vera"].model_copy(update={"password": type(_SECRET)(hash_password("new"))})}
    with served(console_settings(tmp_path, sqlite_store, secret=secret, accounts=changed)) as address:
        vera.url = olga.url = address

        assert vera.get("/").url.endswith("/sign-in?next=/")
        assert "Signed in as olga (operator)." in olga.read("/")


@pytest.mark.parametrize(
    ("sender", "named", "origin"),
    [
        ("192.0.2.9", [], "192.0.2.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.9"], "192.0.2.9"),
        ("127.0.0.1", ["198.51.100.1, 192.0.2.9"], "192.0.2.9"),
        ("127.0.0.1", ["192.0.2.9, 10.0.0.7, ::1"], "192.0.2.9"),
        ("127.0.0.1", ["198.51.100.1", "192.0.2.9"], "192.0.2.9"),
        ("127.0.0.1", ["192.0.2.9, somebody"], "127.0.0.1"),
        ("192.0.2.9", ["198.51.100.1"], "192.0.2.9"),
    ],
    ids=[
        "directly",
        "by a proxy that says nothing",
        "by a proxy",
        "by a proxy, and the sender said something too",
        "by two proxies",
        "in two headers",
        "no address",
        "not by a proxy of ours",
    ],
)
def test_a_visitor_comes_from_where_a_trusted_proxy_says(
    sqlite_store: Store, tmp_path: Path, sender: str, named: list[str], origin: str
) -> None:
    proxies = ("127.0.0.1", "::1", "10.0.0.7")
    behind = {"trusted_proxies": proxies, "public_url": "https://console.example.it"}
    desk = Visitors(console_settings(tmp_path, sqlite_store, **behind).console, key=None, owner="root")
    headers = [(b"x-forwarded-for", each.encode()) for each in named]

    assert desk.origin_of(Request({"type": "http", "headers": headers, "client": (sender, 5)})) == origin


def test_where_there_is_no_proxy_nobody_names_a_place(desk: Visitors) -> None:
    request = Request({"type": "http", "headers": [(b"x-forwarded-for", b"192.0.2.9")], "client": ("127.0.0.1", 5)})

    assert desk.origin_of(request) == "127.0.0.1"


def test_behind_a_proxy_only_the_place_that_failed_is_held_off(sqlite_store: Store, tmp_path: Path) -> None:
    settings = console_settings(tmp_path, sqlite_store, public_url="http://localhost:8470")
    with capture_logs() as lines, served(settings):
        address = f"http://127.0.0.1:{lines[0]['port']}"
        guesser, olga = Browser(address), Browser(address)
        for attempt in range(FAILURES_ALLOWED):
            sent = {"name": f"name{attempt}", "password": "wrong"}
            guesser.fill_in("/sign-in", sent, headers={"X-Forwarded-For": "192.0.2.9"})
        right = {"name": "olga", "password": PASSWORD}

        assert guesser.fill_in("/sign-in", right, headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 429
        assert olga.fill_in("/sign-in", right, headers={"X-Forwarded-For": "192.0.2.10"}).status_code == 200
