"""Who may look at the console, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from lifecycle_jobs.settings.values import LOCAL_HOSTS, Line, Positive, Section, Wrong, names, web_address

Role = Literal["viewer", "operator"]

_LISTEN: Final = re.compile(r"(?:\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")
_HIGHEST_PORT: Final = 65_535
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_ARGON2: Final = re.compile(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_SHORTEST_SECRET: Final = 32


class AccountSettings(Section):
    """A person. `password` is an argon2 hash; empty for somebody who only comes through the proxy."""

    role: Role
    password: SecretStr = SecretStr("")

    def contradictions(self) -> Iterator[Wrong]:
        """A password that was written down as it is typed."""
        password = self.password.get_secret_value()
        if password and not _ARGON2.fullmatch(password):
            yield Wrong(("password",), "must be an argon2 hash, as lifecycle-jobs console password prints it")


class ConsoleSettings(Section):
    """Where the console is, and who may do what there. An empty `listen`: the daemon does not serve it."""

    listen: Line
    public_url: Line
    secret: SecretStr
    trusted_header: Line
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(names)]
    session_hours: Annotated[Positive, Field(le=24 * 7)]
    accounts: dict[str, AccountSettings]

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return not self.listen or self.listen.rpartition(":")[0].strip("[]") in LOCAL_HOSTS

    def contradictions(self) -> Iterator[Wrong]:
        """An address that lets in more people than there are accounts for, or passwords that travel in the clear."""
        if self.listen and not (
            _LISTEN.fullmatch(self.listen) and int(self.listen.rpartition(":")[2]) <= _HIGHEST_PORT
        ):
            yield Wrong(("listen",), "must be HOST:PORT such as 127.0.0.1:8470, or empty")
            return
        if self.listen and not self.accounts:
            yield Wrong(("listen",), "needs console.accounts: without them nobody, or everybody, would be let in")
        if not self.local and not self.public_url:
            yield Wrong(
                ("listen",),
                "needs console.public_url, the address with https that a proxy before it has: on another address than "
                "127.0.0.1 passwords would travel in the clear",
            )
        if self.public_url:
            yield from self._public_url_contradictions()
        if self.secret.get_secret_value() and len(self.secret.get_secret_value()) < _SHORTEST_SECRET:
            yield Wrong(("secret",), f"must have at least {_SHORTEST_SECRET} characters")
        yield from self._header_contradictions()
        for name in self.accounts:
            if not _NAME.fullmatch(name):
                yield Wrong(("accounts", name), "is no name: letters, digits and . _ @ - make one")

    def _public_url_contradictions(self) -> Iterator[Wrong]:
        wrong = list(web_address("public_url", self.public_url))
        yield from wrong
        if wrong:
            return
        parts = urlsplit(self.public_url)
        if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
            yield Wrong(("public_url",), "must begin with https://: passwords would travel in the clear")
        if parts.path.strip("/") or parts.query or parts.fragment:
            yield Wrong(("public_url",), "must have no path: the console is at the root of its own host")

    def _header_contradictions(self) -> Iterator[Wrong]:
        if self.trusted_header and not _HEADER.fullmatch(self.trusted_header):
            yield Wrong(("trusted_header",), "must be the name of a header such as X-Remote-User, or empty")
        if self.trusted_header and not self.trusted_proxies:
            yield Wrong(("trusted_proxies",), "must name the proxy: anybody else could send the header too")
        for proxy in self.trusted_proxies:
            try:
                ip_address(proxy)
            except ValueError:
                yield Wrong(("trusted_proxies",), f"{proxy} is no IP address")
