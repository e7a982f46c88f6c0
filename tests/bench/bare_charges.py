"""The limit of charging: the same calls to the same server, as many at a time, and no books."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from pydantic import SecretStr

from lifecycle_jobs import clock
from lifecycle_jobs.payments.gateway import ChargeRequest, Succeeded
from lifecycle_jobs.payments.gateways import open_gateway
from tests.bench.catalog import shipped_settings
from tests.stripe_servers import API_KEY, StripeServer


def seconds(folder: Path, charges: int, concurrency: int, delay: float, on: date) -> float:
    """From the first call to the last answer. Raises RuntimeError if one did not succeed."""
    with StripeServer(folder / "bare.jsonl", delay=delay) as bank:
        settings = shipped_settings()
        there = {"kind": "stripe", "api_key": SecretStr(API_KEY), "api_base": bank.url}
        gateway = open_gateway(settings.model_copy(update={"gateway": settings.gateway.model_copy(update=there)}))
        requests = [_request(number, on) for number in range(charges)]
        with ThreadPoolExecutor(concurrency) as pool:
            began = time.perf_counter()
            outcomes = list(pool.map(gateway.charge, requests))
            took = time.perf_counter() - began
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Succeeded)]
    if failed:
        message = f"{len(failed):,} of {charges:,} calls did not succeed, the first with {failed[0]}"
        raise RuntimeError(message)
    return took


def _request(number: int, on: date) -> ChargeRequest:
    return ChargeRequest(
        idempotency_key=f"bare-{number}",
        amount_cents=1208,
        method_kind="card",
        token="pm_card_visa",
        gateway_customer_id=f"cus_{number}",
        order_number=f"R-{number}",
        box_address=f"b{number}@pec.example.it",
        slot_on=on,
        asked_at=clock.now(),
    )
