"""What is filled in, and the token that proves that it was filled in on a page of this session."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

_LONGEST_FORM: Final = 64 * 1024
_MOST_FIELDS: Final = 100
_SENT_WITHIN: Final = 10.0
"""Seconds for all of a form: whoever opens many and sends them byte by byte would leave no room for anybody else."""


async def read_form(request: Request) -> Mapping[str, str] | None:
    """What was filled in; none if it is no form of ours."""
    try:
        async with asyncio.timeout(_SENT_WITHIN):
            body = await _body(request)
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except (TimeoutError, ValueError):
        return None


async def _body(request: Request) -> bytearray:
    """All that was sent. Raises ValueError for more than any form of ours is."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            raise ValueError
    return body


def token_of(request: Request) -> str:
    """What a form of this session carries."""
    token = request.session.get("token")
    if not isinstance(token, str):
        token = request.session["token"] = secrets.token_urlsafe(24)
    return token


def token_fits(request: Request, form: Mapping[str, str]) -> bool:
    """Whether a form carries what only a page of this session can have given it."""
    kept = request.session.get("token")
    return isinstance(kept, str) and hmac.compare_digest(kept.encode(), form.get("token", "").encode())
