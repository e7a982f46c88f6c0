"""A console of the test's own on a free port of loopback, and visitors who look at it as a browser does."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import requests
from argon2 import PasswordHasher
from pydantic import SecretStr

from lifecycle_jobs.console import Console
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.settings.console import AccountSettings, ConsoleSettings, Role
from tests.daily import settings_for

PASSWORD = "correct horse battery"
TIMEOUT = 30

_TOKEN = re.compile(r'name="token" value="([^"]+)"')


class Browser:
    """A visitor with a session of his own."""

    def __init__(self, url: str, language: str = "en") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Accept-Language"] = language

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(self.url + path, headers=headers, timeout=TIMEOUT)

    def read(self, path: str) -> str:
        """What a page says, as text; it must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return text_of(answer.text)

    def fill_in(
        self,
        form: str,
        fields: Mapping[str, str],
        *,
        token: str | None = None,
        stay: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a form, with the token that a page of this session carries unless another is given.

        `stay`: where the answer leads is not followed.
        """
        sent = {"token": self.token() if token is None else token, **fields}
        return self.session.post(self.url + form, data=sent, headers=headers, timeout=TIMEOUT, allow_redirects=not stay)

    def wait_for(self, part: str) -> None:
        """Ask for the part of a page that tells how far something is, until it tells the browser to look anew."""
        for _ in range(TIMEOUT * 20):
            if self.get(part).headers.get("HX-Refresh"):
                return
            time.sleep(0.05)
        raise TimeoutError(part)

    def token(self) -> str:
        found = _TOKEN.search(self.get("/sign-in").text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD) -> requests.Response:
        return self.fill_in("/sign-in", {"name": name, "password": password})


def text_of(page: str) -> str:
    """What a page says to whoever reads it, in one line."""
    reader = _Reader()
    reader.feed(page)
    return " ".join(" ".join(reader.said).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(unescape(data))


@cache
def hashed() -> str:
    """The password of every account here, as cheap to check as may be."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def accounts(**roles: Role) -> dict[str, AccountSettings]:
    """Accounts with that password."""
    return {name: AccountSettings(role=role, password=SecretStr(hashed())) for name, role in roles.items()}


def console_settings(folder: Path, store: Store, **changed: Any) -> Settings:
    """Settings with one viewer, vera, and one operator, olga, unless said."""
    url = store.engine.url.render_as_string(hide_password=False)
    settings = settings_for(folder, database={"url": url})
    console: ConsoleSettings = settings.console.model_copy(
        update={"listen": "127.0.0.1:0", "accounts": accounts(vera="viewer", olga="operator"), **changed}
    )
    return settings.model_copy(update={"console": console})


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The console's address, without a path."""
    with Console(settings, owner="root") as console:
        yield console.url.rpartition("/")[0]
