"""As much of HTTP/1.1 as Stripe's client speaks, on asyncio: persistent connections and bodies of a known length."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def fields(self) -> dict[str, str]:
        """The query and the form, names as they were sent: `metadata[order]`."""
        query = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        return dict(query + parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content: dict[str, Any] | bytes
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        is_json = isinstance(self.content, dict)
        body = json.dumps(self.content).encode() if isinstance(self.content, dict) else self.content
        kind = "application/json" if is_json else "text/html"
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Request-Id": "req_test", **self.headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


def problem(status: int, kind: str, code: str | None = None, **more: Any) -> Response:
    """An error as Stripe words it, https://docs.stripe.com/api/errors."""
    message = f"This is what {code or kind} says to a developer."
    error = {"type": kind, "message": message, **({"code": code} if code else {}), **more}
    return Response(status, {"error": error})


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    if first.count(" ") != 2:
        return None  # somebody speaks TLS to a server that does not
    method, target, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


async def ask(port: int, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
    """One request to another server on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = {**headers, "Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body))}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    received = await reader.read()
    writer.close()
    head, _, content = received.partition(b"\r\n\r\n")
    return Response(int(head.split()[1]), json.loads(content) if content else {})
