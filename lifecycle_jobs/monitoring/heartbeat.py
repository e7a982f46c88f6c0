"""The heartbeat: an address that is called at the end of a good day, so that somebody notices when it is not.

The whole address is a secret: with it anybody could say that all is well. Only its host is ever logged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import requests
import structlog

log = structlog.get_logger()

_TIMEOUT = 10
_TRIES = 3
_PAUSE = 1.0


def ping(url: str, go_on: Callable[[], bool] = lambda: True) -> bool:
    """Call the address, three times if need be, each for ten seconds at most; whether it was taken. Never raises.

    `go_on` is asked before another try: false, and it is left at that.
    """
    for remaining in reversed(range(_TRIES)):
        trouble = _tried(url)
        if trouble is None:
            return True
        log.warning("heartbeat_failed", host=_host(url), error=trouble, tries_left=remaining)
        if not remaining or not go_on():
            break
        time.sleep(_PAUSE)
    return False


def _tried(url: str) -> str | None:
    """What went wrong, if anything did."""
    try:
        # The answer's text means nothing, and is not waited for.
        with requests.get(url, timeout=_TIMEOUT, stream=True) as response:
            return None if response.ok else f"status {response.status_code}"
    except Exception as error:  # noqa: BLE001 -- whatever it is, the day was done; its text would name the address
        return type(error).__name__


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
