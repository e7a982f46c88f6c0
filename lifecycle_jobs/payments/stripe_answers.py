"""What Stripe's answers, and its client's errors, mean for a charge or a refund: one outcome for each.

The rule of the house: `NotAttempted` only where not a cent can move, now or later. That is certain when the request was
never sent, when Stripe turned it away before doing anything (429, 401, 403), and when it found it unfit (400, 404).
Everything else that is not a plain yes or no is `Unknown`.

| answer | outcome | source |
|---|---|---|
| 402 | declined, hard by `declines` | docs.stripe.com/error-codes, docs.stripe.com/declines/codes |
| 429, also `lock_timeout` | not attempted | docs.stripe.com/rate-limits |
| 401, 403 | not attempted, useless again | docs.stripe.com/api/errors |
| 400 and 404 with a decline code | declined | docs.stripe.com/error-codes |
| 400 and 404 that leave a payment under way | unknown | docs.stripe.com/payments/paymentintents/lifecycle |
| other 400 and 404 | not attempted, useless again: the mistake is ours | docs.stripe.com/api/errors |
| 400 `idempotency_error`, 409 | unknown: the key has been seen before | docs.stripe.com/api/idempotent_requests |
| 5xx, any other status, a body that is no answer | unknown | docs.stripe.com/error-low-level |
| connection refused, not found, timed out; handshake failed | not attempted, again at once | |
| connection lost, no answer in time, anything else | unknown | docs.stripe.com/error-low-level |

A key that is presented again is told what it was told the first time, errors included, for at least 24 hours.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import requests
import stripe
import structlog
import urllib3

from lifecycle_jobs.payments.declines import REASONS, reason_of
from lifecycle_jobs.payments.gateway import Declined, NotAttempted, Unknown

log = structlog.get_logger()

AUTHENTICATION = "authentication_required"
METHOD_GONE = "payment_method_gone"

_AT_ONCE = timedelta(0)
_NO_CODE = "generic_decline"
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,6}")

# Whatever was to be sent, there was no connection to send it through, or no request to send.
_NEVER_SENT = (
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ProxyError,
)

_UNDER_WAY = frozenset({"processing", "requires_capture", "requires_confirmation", "succeeded"})


def trouble(error: Exception) -> Unknown | NotAttempted:
    """What an error means that says nothing about the payment itself."""
    if isinstance(error, stripe.APIConnectionError):
        why = type(_root(error)).__name__
        return NotAttempted(why, _AT_ONCE) if _was_never_sent(error) else Unknown(why)
    if isinstance(error, stripe.RateLimitError):
        return NotAttempted(_code_of(error) or "rate_limit", _retry_after(error))
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.InvalidRequestError):
        return NotAttempted(_code_of(error) or f"{type(error).__name__} {error.http_status}")
    if isinstance(error, stripe.StripeError):
        return Unknown(_code_of(error) or f"{type(error).__name__} {error.http_status}")
    return Unknown(type(error).__name__)


def decline_in(error: Exception) -> Declined | None:
    """The decline that an error reports, if it is one. See `left_under_way` first."""
    if not isinstance(error, stripe.CardError | stripe.InvalidRequestError):
        return None
    told = error.error
    code = _code_of(error)
    if not isinstance(error, stripe.CardError) and code not in REASONS:
        return None
    return declined(told, reference=_text(_intent_in(error), "id"))


def declined(told: object, *, reference: str | None) -> Declined:
    """The decline that Stripe describes as `last_payment_error`, or as the body of an error."""
    code = _code(told, "decline_code") or _code(told, "code") or _NO_CODE
    if code not in REASONS:
        _report(code)
    if _code(told, "advice_code") == "do_not_try_again":
        # The networks' own word, which forbids another attempt whatever the reason was.
        code = code if reason_of(code).hard else "do_not_try_again"
    return Declined(code, hard=reason_of(code).hard, reference=reference)


def left_under_way(error: Exception) -> str | None:
    """The status of a payment that an error leaves behind, if money may still move."""
    status = _text(_intent_in(error), "status")
    return status if status in _UNDER_WAY else None


def left_to_the_holder(error: Exception) -> str | None:
    """The payment that an error leaves waiting for the holder, who could still complete it."""
    intent = _intent_in(error)
    return _text(intent, "id") if _text(intent, "status") == "requires_action" else None


def blames_the_method(error: Exception) -> bool:
    """Whether the payment method is what Stripe does not have, or may not use: `resource_missing`, or detached."""
    if not isinstance(error, stripe.InvalidRequestError):
        return False
    code = _code_of(error)
    return code == "payment_method_unexpected_state" or (
        error.param == "payment_method" and code in {None, "resource_missing"}
    )


def _intent_in(error: Exception) -> object:
    return getattr(getattr(error, "error", None), "payment_intent", None)


def _code_of(error: stripe.StripeError) -> str | None:
    # Not every error class of the client carries the code of its body.
    return _code(error.error, "code")


def _code(told: object, name: str) -> str | None:
    text = _text(told, name)
    return text if text is not None and _CODE.fullmatch(text) else None


def _text(told: object, name: str) -> str | None:
    value: Any = getattr(told, name, None)
    return value if isinstance(value, str) else None


def _retry_after(error: stripe.StripeError) -> timedelta:
    seconds = str((error.headers or {}).get("Retry-After", ""))
    return timedelta(seconds=int(seconds)) if _SECONDS.fullmatch(seconds) else _AT_ONCE


def _was_never_sent(error: stripe.APIConnectionError) -> bool:
    return any(isinstance(cause, _NEVER_SENT) or _broke_in_handshake(cause) for cause in _causes(error))


def _broke_in_handshake(cause: BaseException) -> bool:
    """Whether it was raised while the connection was being secured, before which nothing is sent.

    The type does not tell: the same errors are raised for an answer that breaks off.
    """
    traceback = cause.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code is ssl.SSLSocket.do_handshake.__code__:
            return True
        traceback = traceback.tb_next
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of.

    Not its `__context__`: that may be an error of another call, which somebody was handling when this one was made.
    """
    yield error
    within = [error.__cause__, getattr(error, "reason", None), *error.args]
    for cause in within:
        if isinstance(cause, BaseException):
            yield from _causes(cause)


def _root(error: BaseException) -> BaseException:
    return list(_causes(error))[-1]


@cache
def _report(code: str) -> None:
    log.warning("decline_code_unlisted", code=code)
