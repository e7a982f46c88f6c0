"""Charging stored cards and PayPal accounts through Stripe (SPEC §3).

A charge is a PaymentIntent for a stored PaymentMethod, confirmed as it is created, without the holder:
https://docs.stripe.com/payments/save-and-reuse and https://docs.stripe.com/payments/paypal/set-up-future-payments.
The consent (a mandate, for PayPal a billing agreement) was given when the method was stored, and Stripe finds it by the
method. It carries our key twice: as the idempotency key, which Stripe remembers for at least 24 hours, and as metadata,
by which it is found for ever.

A payment that waits for the holder (`requires_action`) is called off before it counts as declined: nobody can complete
it behind our back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import requests
import stripe
import structlog
from stripe.params import PaymentIntentCreateParams, PaymentIntentListParams

from lifecycle_jobs.payments import stripe_answers as answers
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NoAnswer,
    Refunded,
    RefundOutcome,
    RefundRefused,
    RefundRequest,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.settings import Settings

log = structlog.get_logger()

MEMORY = timedelta(hours=24)
"""How long Stripe keeps idempotency keys at the least, https://docs.stripe.com/api/idempotent_requests."""

_CLOCKS_APART = timedelta(hours=1)
_PAGE = 100
_NOT_FOUND = 404
KEY = "lifecycle_key"
"""Under which a payment carries our key in its metadata."""


class StripeGateway:
    """One Stripe account. Calls may come from any number of threads; each keeps a connection of its own."""

    memory: timedelta | None = MEMORY
    parallel: bool = True

    def __init__(
        self, client: stripe.StripeClient, *, lag: timedelta, return_url: str, statement_descriptor: str = ""
    ) -> None:
        self.lag = lag
        self._api = client.v1
        self._return_url = return_url
        self._statement_descriptor = statement_descriptor

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Collect the amount from the stored method, at most once for the key within `memory`."""
        try:
            return self._charge(request)
        except Exception as error:  # noqa: BLE001 -- a charge that may have been made must not end as a crash
            return Unknown(type(error).__name__)

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        """What became of a charge: found in the customer's list, which is never behind, or else by search.

        https://docs.stripe.com/search#data-freshness
        """
        try:
            return self._look_up(request)
        except Exception as error:  # noqa: BLE001 -- the protocol: no call raises
            return NoAnswer(answers.trouble(error).why)

    def refund(self, request: RefundRequest) -> RefundOutcome:
        """Give the whole of a payment back. `reference` is the PaymentIntent's id."""
        try:
            return self._refund(request)
        except Exception as error:  # noqa: BLE001 -- the protocol: no call raises
            return answers.trouble(error)

    def check(self) -> str | None:
        """Ask for any one payment: the very right that every look-up needs."""
        try:
            self._api.payment_intents.list({"limit": 1})
        except Exception as error:  # noqa: BLE001 -- the protocol: no call raises
            return answers.trouble(error).why
        return None

    def rehearse(self) -> Gateway:
        """A gateway for dry runs that calls nobody."""
        return StripeRehearsal(self.lag)

    def _charge(self, request: ChargeRequest) -> ChargeOutcome:
        try:
            intent = self._api.payment_intents.create(
                self._payment(request), {"idempotency_key": request.idempotency_key}
            )
        except stripe.StripeError as error:
            return self._not_charged(request, error)
        if intent.status == "requires_action":
            return self._called_off(intent.id, answers.AUTHENTICATION)
        return _settled(request, intent) or Unknown(str(intent.status))

    def _payment(self, request: ChargeRequest) -> PaymentIntentCreateParams:
        payment: PaymentIntentCreateParams = {
            "amount": request.amount_cents,
            "currency": "eur",
            "payment_method": request.token,
            "allowed_payment_method_types": [request.method_kind],
            "off_session": True,
            "confirm": True,
            "return_url": self._return_url,
            "metadata": {
                "order": request.order_number,
                "box": request.box_address,
                KEY: request.idempotency_key,
            },
        }
        if request.gateway_customer_id:
            payment["customer"] = request.gateway_customer_id
        if self._statement_descriptor and request.method_kind == "card":
            # On cards the whole descriptor is refused: what follows the account's prefix is ours to set.
            payment["statement_descriptor_suffix"] = self._statement_descriptor
        elif self._statement_descriptor:
            payment["statement_descriptor"] = self._statement_descriptor
        return payment

    def _not_charged(self, request: ChargeRequest, error: stripe.StripeError) -> ChargeOutcome:
        under_way = answers.left_under_way(error)
        if under_way is not None:
            return Unknown(under_way)
        waiting = answers.left_to_the_holder(error)
        if waiting is not None:
            return self._called_off(waiting, answers.AUTHENTICATION)
        if answers.blames_the_method(error) and self._knows_the_customer(request):
            return Declined(answers.METHOD_GONE, hard=True)
        return answers.decline_in(error) or answers.trouble(error)

    def _knows_the_customer(self, request: ChargeRequest) -> bool:
        """Whether only the method is missing. With the key of another account everything is."""
        if not request.gateway_customer_id:
            return False
        try:
            customer = self._api.customers.retrieve(request.gateway_customer_id)
        except stripe.StripeError:
            return False
        return not getattr(customer, "deleted", False)

    def _called_off(self, reference: str, code: str) -> Declined | Unknown:
        """The decline that a payment ends with once it is certain that nobody can complete it."""
        try:
            # Without a key of ours: cancelling is idempotent by nature, and a failure must not be remembered.
            if code == answers.AUTHENTICATION:
                intent = self._api.payment_intents.cancel(reference, {"cancellation_reason": "abandoned"})
            else:
                intent = self._api.payment_intents.cancel(reference)
        except stripe.StripeError as error:
            intent = self._api.payment_intents.retrieve(reference)
            if intent.status != "canceled":
                return Unknown(f"not called off: {answers.trouble(error).why}")
        if intent.status != "canceled":
            return Unknown(f"not called off: {intent.status}")
        return Declined(code, hard=code == answers.AUTHENTICATION, reference=reference)

    def _look_up(self, request: ChargeRequest) -> LookUpOutcome:
        found = list(self._find(request))
        if len(found) > 1:
            log.error(
                "charge_found_more_than_once",
                order_number=request.order_number,
                references=[intent.id for intent in found],
            )
        outcomes = [self._look_at(request, intent) for intent in found]
        # Money that moved counts first, then money that may; a decline only if there is nothing else.
        return next(
            (outcome for kind in (Succeeded, NoAnswer, Declined) for outcome in outcomes if isinstance(outcome, kind)),
            NeverSeen(),
        )

    def _look_at(self, request: ChargeRequest, intent: stripe.PaymentIntent) -> LookUpOutcome:
        outcome: ChargeOutcome | None = _settled(request, intent)
        if intent.status == "requires_action":
            outcome = self._called_off(intent.id, answers.AUTHENTICATION)
        elif outcome is None and intent.status in {"requires_confirmation", "requires_payment_method"}:
            outcome = self._called_off(intent.id, "canceled")
        if isinstance(outcome, Succeeded | Declined):
            return outcome
        return NoAnswer(str(intent.status) if outcome is None else outcome.why)

    def _find(self, request: ChargeRequest) -> list[stripe.PaymentIntent]:
        """The payments under our key. Raises what the client raises unless every place that was asked answered."""
        if request.gateway_customer_id:
            found = _with_key(request, self._list(request, request.gateway_customer_id))
            if found:
                return found
        try:
            return _with_key(request, self._search(request))
        except (stripe.InvalidRequestError, stripe.PermissionError):
            # Not every account has the search; the customer's list has answered already.
            if request.gateway_customer_id:
                return []
        return _with_key(request, self._list(request))

    def _list(self, request: ChargeRequest, customer: str | None = None) -> Iterator[stripe.PaymentIntent]:
        begun = request.asked_at - _CLOCKS_APART
        ended = request.asked_at + MEMORY + _CLOCKS_APART
        which: PaymentIntentListParams = {
            "created": {"gte": int(begun.timestamp()), "lte": int(ended.timestamp())},
            "limit": _PAGE,
        }
        if customer is not None:
            which["customer"] = customer
        return self._api.payment_intents.list(which).auto_paging_iter()

    def _search(self, request: ChargeRequest) -> Iterator[stripe.PaymentIntent]:
        quoted = request.idempotency_key.replace("\\", "\\\\").replace("'", "\\'")
        query = f"metadata['{KEY}']:'{quoted}'"
        return self._api.payment_intents.search({"query": query, "limit": _PAGE}).auto_paging_iter()

    def _refund(self, request: RefundRequest) -> RefundOutcome:
        try:
            intent = self._api.payment_intents.retrieve(request.reference)
            if intent.status != "succeeded":
                return RefundRefused(f"the payment is {intent.status}")
            if intent.amount != request.amount_cents:
                # Stripe would give back a part.
                return RefundRefused("the amount is not that of the charge")
            refund = self._api.refunds.create(
                {"payment_intent": request.reference, "amount": request.amount_cents},
                {"idempotency_key": request.idempotency_key},
            )
        except stripe.InvalidRequestError as error:
            if error.code == "charge_already_refunded":
                return Refunded(self._refund_made(request.reference))
            return RefundRefused("no such charge" if error.http_status == _NOT_FOUND else answers.trouble(error).why)
        if refund.status in {"failed", "canceled"}:
            return RefundRefused(f"the refund is {refund.status}")
        return Refunded(refund.id)

    def _refund_made(self, reference: str) -> str:
        made = self._api.refunds.list({"payment_intent": reference, "limit": _PAGE})
        return next((refund.id for refund in made.data if refund.status not in {"failed", "canceled"}), reference)


class StripeRehearsal:
    """A dry run asks nobody: every charge is assumed to succeed, since what a bank will say cannot be known."""

    memory: timedelta | None = MEMORY
    parallel: bool = True

    def __init__(self, lag: timedelta) -> None:
        self.lag = lag

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Assume that it is paid."""
        return Succeeded(f"rehearsed-{request.order_number}")

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        """Leave open what only Stripe knows."""
        return NoAnswer(f"a rehearsal does not ask about {request.order_number}")

    def refund(self, request: RefundRequest) -> RefundOutcome:
        """Refuse: there is nothing to give back."""
        return RefundRefused(f"a rehearsal has not charged {request.reference}")

    def rehearse(self) -> Gateway:
        """Itself."""
        return self


def open_stripe(settings: Settings) -> Gateway:
    """The Stripe account that the settings name. Opens no connection."""
    gateway = settings.gateway
    stripe.enable_telemetry = False
    # Its log of requests holds tokens and addresses, and a variable of the environment is enough to turn it on.
    stripe._util.STRIPE_LOG = None  # noqa: SLF001 -- there is no public way to turn it off against the environment
    logging.getLogger("stripe").setLevel(logging.WARNING)
    client = stripe.StripeClient(
        gateway.api_key.get_secret_value(),
        base_addresses={"api": gateway.api_base.rstrip("/")},
        max_network_retries=0,
        http_client=stripe.RequestsClient(
            timeout=(gateway.connect_timeout, gateway.read_timeout), session=_ThreadSessions()
        ),
    )
    return StripeGateway(
        client,
        lag=timedelta(hours=gateway.trust_not_found_after),
        return_url=settings.links.account,
        statement_descriptor=gateway.statement_descriptor,
    )


class _ThreadSessions(requests.Session):
    """A session for each thread, which keeps its connection, and sends a request to one place only.

    A redirect is not followed: an error at the second place would hide that the first one had the request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._of_this_thread = threading.local()

    def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        session: requests.Session | None = getattr(self._of_this_thread, "session", None)
        if session is None:
            session = requests.Session()
            session.auth = _as_it_is
            self._of_this_thread.session = session
        return session.request(method, url, *args, **{**kwargs, "allow_redirects": False})


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Without an answer here the key would be replaced by what a .netrc file says about the host.
    return request


def _settled(request: ChargeRequest, intent: stripe.PaymentIntent) -> Succeeded | Declined | Unknown | None:
    """What a payment has come to; None if it is not over."""
    if _key_of(intent) != request.idempotency_key:
        return Unknown("the answer is about another charge")
    if intent.status == "succeeded":
        return Succeeded(intent.id)
    if intent.status == "canceled":
        abandoned = intent.cancellation_reason == "abandoned"
        return Declined(answers.AUTHENTICATION if abandoned else "canceled", hard=abandoned, reference=intent.id)
    if intent.status == "requires_payment_method" and intent.last_payment_error is not None:
        return answers.declined(intent.last_payment_error, reference=intent.id)
    return None


def _with_key(request: ChargeRequest, intents: Iterator[stripe.PaymentIntent]) -> list[stripe.PaymentIntent]:
    return [intent for intent in intents if _key_of(intent) == request.idempotency_key]


def _key_of(intent: stripe.PaymentIntent) -> object:
    return getattr(intent.metadata, KEY, None)
