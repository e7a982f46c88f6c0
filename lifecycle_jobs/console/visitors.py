"""Who is asking: signed in here by password, named by a trusted proxy, or let in by the key of this start.

Passwords are argon2 hashes. Whoever fails too often waits: by name, so that one account is not tried out, and by where
the requests come from, so that one password is not tried on all. What is typed as a name is logged only if there is
such an account: people type their password there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.requests import Request

from lifecycle_jobs.settings.console import ConsoleSettings, Role

log = structlog.get_logger()

FAILURES_ALLOWED: Final = 5
FORGOTTEN_AFTER: Final = 900.0
"""Seconds after which a failed attempt counts no more."""

_AT_ONCE: Final = 2
"""Each check takes 64 MiB for a moment: that is what makes guessing dear."""

_NOBODYS_PASSWORD: Final = PasswordHasher().hash(secrets.token_hex())
"""Checked where there is no such account, so that how long it takes does not tell whether there is one."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may look."""

    name: str
    role: Role

    @property
    def may_act(self) -> bool:
        """Whether this is somebody who decides."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody was signed in; with the seconds to wait, where that is why."""

    why: str
    wait: int | None = None


class Visitors:
    """Tells who is asking. `key` lets its owner in without an account; none where there are accounts."""

    def __init__(self, settings: ConsoleSettings, *, key: str | None, owner: str) -> None:
        self._settings = settings
        self._key = key
        self._owner = owner
        self._failures: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._checking = threading.Semaphore(_AT_ONCE)

    @property
    def sign_in_here(self) -> bool:
        """Whether people have passwords here, and are not sent by a proxy."""
        return not self._settings.trusted_header

    def who(self, request: Request) -> Visitor | None:
        """The visitor of a request; asked anew each time, as an account may be gone or have another role."""
        if self._settings.trusted_header:
            return self._sent_by_proxy(request)
        name, mark = request.session.get("name"), request.session.get("mark")
        if not isinstance(name, str) or not isinstance(mark, str) or not hmac.compare_digest(mark, self._mark(name)):
            return None
        if self._key is not None:
            return Visitor(name, "operator") if name == self._owner else None
        return self._visitor(name)

    def session_of(self, visitor: Visitor) -> Mapping[str, str]:
        """What a session says of whoever has come in. It ends with the password that began it, or the key."""
        return {"name": visitor.name, "mark": self._mark(visitor.name)}

    def origin_of(self, request: Request) -> str:
        """Where a request comes from: its sender, or whom a trusted proxy names as that.

        Of several names, the last that is no proxy of ours: those before it the sender may have made up. Without a
        `public_url` there is no proxy, and whoever is on this machine could name a new place for each attempt.
        """
        sender = "" if request.client is None else request.client.host
        proxies = self._settings.trusted_proxies
        if sender not in proxies or not self._settings.public_url:
            return sender
        named = [name.strip() for each in request.headers.getlist("x-forwarded-for") for name in each.split(",")]
        last = next((name for name in reversed(named) if name not in proxies), sender)
        return last if _is_address(last) else sender

    def enter(self, key: str) -> Visitor | None:
        """Whoever has the key that was printed at the start of the console."""
        if self._key is None or not hmac.compare_digest(key.encode(), self._key.encode()):
            return None
        return Visitor(self._owner, "operator")

    def sign_in(self, name: str, password: str, origin: str) -> Visitor | Refusal:
        """Check a password. Takes a twentieth of a second, whether there is such an account or not."""
        marks = (f"name {name.lower()}", f"from {origin}")
        wait = self._begin_attempt(marks)
        if wait:
            log.warning("console_sign_in_held_off", account=name if name in self._settings.accounts else None)
            return Refusal("too often", wait)
        account = self._settings.accounts.get(name)
        stored = "" if account is None else account.password.get_secret_value()
        with self._checking:
            right = _fits(stored or _NOBODYS_PASSWORD, password) and bool(stored)
        if account is None or not right:
            log.warning("console_sign_in_refused", account=None if account is None else name)
            return Refusal("wrong")
        self._succeeded(marks)
        log.info("console_signed_in", account=name)
        return Visitor(name, account.role)

    def _mark(self, name: str) -> str:
        account = self._settings.accounts.get(name)
        began_by = self._key or ("" if account is None else account.password.get_secret_value())
        return hashlib.sha256(began_by.encode()).hexdigest()

    def _sent_by_proxy(self, request: Request) -> Visitor | None:
        sender = None if request.client is None else request.client.host
        if sender not in self._settings.trusted_proxies:
            return None
        # One that the visitor sent himself may stand beside the proxy's, and nobody can tell which is which.
        named = request.headers.getlist(self._settings.trusted_header)
        return self._visitor(named[0]) if len(named) == 1 else None

    def _visitor(self, name: str) -> Visitor | None:
        account = self._settings.accounts.get(name)
        return None if account is None else Visitor(name, account.role)

    def _begin_attempt(self, marks: tuple[str, ...]) -> int:
        """The seconds to wait; if none, the attempt counts as failed until it has succeeded.

        Were it counted only when its password is found wrong, any number could be tried at the same moment.
        """
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            waits = [
                FORGOTTEN_AFTER - (now - failures[0])
                for mark in marks
                if len(failures := self._failures.get(mark, deque[float]())) >= FAILURES_ALLOWED
            ]
            if not waits:
                for mark in marks:
                    self._failures[mark].append(now)
        return max((int(wait) + 1 for wait in waits), default=0)

    def _succeeded(self, marks: tuple[str, ...]) -> None:
        name, origin = marks
        with self._lock:
            self._failures.pop(name, None)
            if self._failures.get(origin):
                self._failures[origin].pop()

    def _forget(self, now: float) -> None:
        for mark in list(self._failures):
            failures = self._failures[mark]
            while failures and now - failures[0] >= FORGOTTEN_AFTER:
                failures.popleft()
            if not failures:
                del self._failures[mark]


def hash_password(password: str) -> str:
    """What is written into the configuration."""
    return PasswordHasher().hash(password)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _fits(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
