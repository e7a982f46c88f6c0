"""What is answered on `monitoring.listen`. Only `/webhooks/stripe` is meant for the outside: let a proxy pass no more.

- `GET /healthz`: 200 while the daemon is alive, whatever its database does; 503 with the reason if its scheduler
  stands still: then only a new process helps.
- `GET /readyz`: 200 with the role if the database answers within two seconds and its schema is ours, 503 with the
  reason otherwise. The emergency stop and a suspected gap are told and leave it ready: a person decided or must decide,
  no other instance would fare better, and what Stripe has to tell must be taken meanwhile above all.
- `GET /metrics`: for Prometheus, see `figures`.
- `POST /webhooks/stripe`: taken if Stripe signed it, answered once it is committed; 503 otherwise, so that Stripe tells
  it again. Nothing is settled here: `lifecycle_jobs.notices`.

No answer holds an address, a token or a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lifecycle_jobs import clock, stops
from lifecycle_jobs.db import schema
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.monitoring.figures import Figures, read_figures
from lifecycle_jobs.monitoring.vitals import Vitals
from lifecycle_jobs.monitoring.waiting import Crew, Shared
from lifecycle_jobs.payments.notices import record_notice
from lifecycle_jobs.payments.stripe_notices import NotFromStripe, read_notice
from lifecycle_jobs.settings import Settings

log = structlog.get_logger()

PATIENCE: Final = 5
"""Seconds for which a connection of the monitoring's own waits for the database."""

_TICKS_MISSED = 5
_READY_WITHIN = 2.0
_READY_KEPT = 1.0
_FIGURES_WITHIN = 5.0
_FIGURES_KEPT = 5.0
_REST = 3
"""The figures are kept for so many times as long as it took to read them: reading never takes more than a quarter."""
_RECORDED_WITHIN = 8.0
_RECORDING_AT_ONCE = 8
_BODY_WITHIN = 10.0
_LONGEST_BODY = 1 << 20


def make_app(store: Store, settings: Settings, vitals: Vitals) -> Starlette:
    """The application; `store` is of its own and has time limits (`open_beside`)."""
    desk = _Desk(store, settings, vitals)
    return Starlette(
        routes=[
            Route("/healthz", desk.healthz),
            Route("/readyz", desk.readyz),
            Route("/metrics", desk.metrics),
            Route("/webhooks/stripe", desk.told_by_stripe, methods=["POST"]),
        ],
        exception_handlers={Exception: _failed},
    )


async def _failed(request: Request, error: Exception) -> Response:
    """A mistake of ours is logged by its name: its text, or a traceback, might quote what was asked."""
    log.error("monitoring_failed", path=request.url.path, error=type(error).__name__)
    return Response(status_code=500)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in the database: why it cannot be used, if so, and whether a person has to act."""

    reason: str | None
    stopped: bool = False
    gap: bool = False


class _Desk:
    """Answers requests. All of it runs in one event loop; what may hang runs in threads."""

    def __init__(self, store: Store, settings: Settings, vitals: Vitals) -> None:
        self._store = store
        self._settings = settings
        self._vitals = vitals
        self._readiness = Shared(partial(_look, store, settings), keep=_READY_KEPT)
        self._figures = Shared(partial(read_figures, store, settings), keep=_FIGURES_KEPT, rest=_REST)
        self._recording = Crew(_RECORDING_AT_ONCE)

    async def healthz(self, _request: Request) -> Response:
        """Whether the process and its duties move."""
        reasons = self._vitals.troubles(_TICKS_MISSED * self._settings.schedule.check_every)
        told = {"healthy": not reasons, "role": self._vitals.role}
        return JSONResponse(told | ({"reasons": reasons} if reasons else {}), 503 if reasons else 200)

    async def readyz(self, _request: Request) -> Response:
        """Whether there is a database to work with."""
        try:
            found = await self._readiness.latest(_READY_WITHIN)
        except TimeoutError:
            found = _Found("the database does not answer")
        except Exception as error:  # noqa: BLE001 -- any trouble is the answer; its text may name host and user
            found = _Found(f"the database cannot be used: {type(error).__name__}")
        told = {"ready": found.reason is None, "role": self._vitals.role}
        if found.reason is not None:
            return JSONResponse(told | {"reason": found.reason}, 503)
        return JSONResponse(told | {"emergency_stop": found.stopped, "gap_suspected": found.gap})

    async def metrics(self, request: Request) -> Response:
        """The figures, in the format that is asked for."""
        figures: Sequence[Metric] | None = None
        try:
            figures = await self._figures.latest(_FIGURES_WITHIN)
        except Exception as error:  # noqa: BLE001 -- without a database the rest is told all the same
            log.warning("figures_not_read", error=type(error).__name__)
        registry = CollectorRegistry()
        registry.register(Figures(figures, self._vitals))
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        return Response(encode(registry), headers={"Content-Type": content_type})

    async def told_by_stripe(self, request: Request) -> Response:
        """Write down what Stripe tells."""
        secret = self._settings.gateway.webhook_secret.get_secret_value()
        if not secret:
            log.warning("stripe_notice_refused", why="gateway.webhook_secret is not set")
            return Response(status_code=503)
        try:
            body = await asyncio.wait_for(_body_of(request), _BODY_WITHIN)
            notice = read_notice(body, request.headers.get("stripe-signature", ""), secret)
        except (NotFromStripe, TimeoutError, ClientDisconnect) as error:
            log.warning("stripe_notice_refused", why=str(error) or type(error).__name__)
            return Response(status_code=400)
        if notice is None:
            return Response(status_code=200)
        try:
            new = await self._recording.do(partial(record_notice, self._store, notice), _RECORDED_WITHIN)
        except Exception as error:  # noqa: BLE001 -- whatever it is: not written down, so Stripe has to tell it again
            log.warning("stripe_notice_not_recorded", kind=notice.kind, error=type(error).__name__)
            return Response(status_code=503)
        log.info("stripe_notice_recorded", notice=notice.notice_id, kind=notice.kind, new=new)
        return Response(status_code=200)


async def _body_of(request: Request) -> bytes:
    """The body. One that is too long is read to its end and not kept, so that whoever sends it hears the answer."""
    kept, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= _LONGEST_BODY:
            kept += chunk
    if length > _LONGEST_BODY:
        raise NotFromStripe("too long")
    return bytes(kept)


def _look(store: Store, settings: Settings) -> _Found:
    with store.read() as connection:
        found = schema.version(connection)
        if found != schema.HEAD:
            return _Found(f"the schema is at version {found}, this program needs {schema.HEAD}")
        today = clock.business_date(settings.zone)
        return _Found(
            None, stops.in_force(connection) is not None, suspected_gap(connection, settings, today) is not None
        )
