"""What holds for every answer of the console, whatever page it is.

Only requests for this console's own host are answered: a page elsewhere may have a name of its own point to this
machine, and then it would be let in as the visitor's browser is. Forms that come from another site are refused. And
browsers are told to load nothing from elsewhere, to run no script but ours, and to show the pages in no frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

LETTER_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; form-action 'none'; "
    "base-uri 'none'; sandbox"
)
"""For an e-mail as its reader sees it, in a frame: it has styles of its own, and may do nothing."""

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}

_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})


class Guard:
    """Looks at every request before anybody else does, and puts the headers on every answer.

    `hosts` are the names that are ours, as they stand in the header Host, without a port.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        refused = self._refused(Headers(scope=scope), scope["method"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if refused is not None:
            log.warning("console_request_refused", why=refused)
            await PlainTextResponse(refused, 403)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refused(self, headers: Headers, method: str) -> str | None:
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return "This console is not served under this name; see console.public_url."
        if method in {"GET", "HEAD"}:
            return None
        origin = headers.get("origin")
        elsewhere = origin is not None and _name_of(_netloc_of(origin)) not in self._hosts
        if elsewhere or headers.get("sec-fetch-site") in _OTHER_SITES:
            return "This form comes from another site."
        return None


def hosts_of(listen: str, public_url: str) -> frozenset[str]:
    """Under which names a console is asked for that listens on HOST:PORT."""
    here = {"localhost", "127.0.0.1", "[::1]"}
    return frozenset({*here, _name_of(listen), _name_of(urlsplit(public_url).netloc)} - {""})


def _netloc_of(origin: str) -> str:
    """Host and port of an origin; nothing if it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """A host without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
