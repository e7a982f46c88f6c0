"""Asking a gateway that is somebody else's code: one that raises, which it must not, has not answered."""

from __future__ import annotations

from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Gateway,
    LookUpOutcome,
    NoAnswer,
    RefundOutcome,
    RefundRequest,
    Unknown,
)


def charge(gateway: Gateway, request: ChargeRequest) -> ChargeOutcome:
    """Ask for the money, once."""
    try:
        return gateway.charge(request)
    except Exception as error:  # noqa: BLE001 -- a gateway is a plug-in and may raise anything; the money may have moved
        return Unknown(_failed(error))


def look_up(gateway: Gateway, request: ChargeRequest) -> LookUpOutcome:
    """Ask what became of it."""
    try:
        return gateway.look_up(request)
    except Exception as error:  # noqa: BLE001 -- a gateway is a plug-in and may raise anything; nothing is known then
        return NoAnswer(_failed(error))


def refund(gateway: Gateway, request: RefundRequest) -> RefundOutcome:
    """Ask it to give the money back, once."""
    try:
        return gateway.refund(request)
    except Exception as error:  # noqa: BLE001 -- a gateway is a plug-in and may raise anything; it may have given it back
        return Unknown(_failed(error))


def _failed(error: Exception) -> str:
    return f"the gateway's client failed: {type(error).__name__}"
