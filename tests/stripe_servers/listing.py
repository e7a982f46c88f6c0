"""Lists and search over PaymentIntents: https://docs.stripe.com/api/payment_intents/list and …/search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.stripe_servers.wire import Request, Response, problem

_METADATA = re.compile(r"metadata\['(\w+)'\]:'([^']*)'")


@dataclass(slots=True)
class Shown:
    """How far lists and search run behind, in seconds, and whether the account has the search at all."""

    list_lag: float = 0
    search_lag: float = 0
    search: bool = True


def listed(intents: list[dict[str, Any]], request: Request) -> Response:
    """One page of those that fit, newest first."""
    fields = request.fields
    fitting = [
        intent
        for intent in reversed(intents)
        if fields.get("customer") in {None, intent["customer"]}
        and intent["created"] >= int(fields.get("created[gte]", "0"))
        and intent["created"] <= int(fields.get("created[lte]", str(10**12)))
    ]
    after = fields.get("starting_after")
    if after is not None:
        fitting = fitting[[intent["id"] for intent in fitting].index(after) + 1 :]
    limit = int(fields.get("limit", "10"))
    more = len(fitting) > limit
    return Response(200, {"object": "list", "url": request.path, "has_more": more, "data": fitting[:limit]})


def searched(intents: list[dict[str, Any]], request: Request, shown: Shown) -> Response:
    """Those with one entry of metadata; 400 where the account has no search."""
    wanted = _METADATA.fullmatch(request.fields["query"])
    if wanted is None or not shown.search:
        return problem(400, "invalid_request_error")
    name, value = wanted.groups()
    found = [intent for intent in intents if intent["metadata"].get(name) == value]
    page = {"object": "search_result", "url": request.path, "has_more": False, "next_page": None, "data": found}
    return Response(200, page)
