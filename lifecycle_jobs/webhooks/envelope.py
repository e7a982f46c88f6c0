"""What a webhook says and how it is signed (https://www.standardwebhooks.com).

The body is `{"type": kind, "timestamp": …, "data": {…}}`. It tells what happened, not how things are by now, and it is
the same to the byte at each attempt and each replay; so is its `webhook-id`, by which a receiver knows what it has had.

What a mail platform does with it, by `type`:

- `box.bought`: create the box, with plan and space as in the detail, and keep it until `detail.new_expires_on`;
- `box.renewed`, `box.domain_renewed`: keep until `detail.new_expires_on`; lift the block, unless it was suspended by
  hand;
- `box.renewal_undone`: keep only until `detail.new_expires_on`, which is earlier;
- `box.suspended`, `box.suspended_by_hand`: block; `box.lifted`: lift the block;
- `box.deleted`: delete; `box.revived`: take the box back as it was, blocked;
- `box.changed`: give it plan and space as in the detail;
- `addon.bought`: give the space; `addon.disabled`: take it away; `addon.renewed`: keep it.

All the others only inform.

`sequence` grows with each event of a box: what is lower than the last one that was applied to the box is out of date (a
replay, say). After a restored backup it does so only if numbers were skipped: `numbering`. `address` names the box only
as long as it lives, because a deleted box's address may be sold again: a receiver that keeps `box_id` beside it never
deletes the wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from standardwebhooks import Webhook

from lifecycle_jobs.webhooks.records import Delivery


@dataclass(frozen=True, slots=True)
class Envelope:
    """A webhook before it is signed."""

    id: str
    body: str

    def signed(self, signer: Webhook, now: datetime) -> dict[str, str]:
        """The headers of a request that leaves at that moment. Receivers refuse one that is five minutes old."""
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(self.id, now, self.body),
        }


def written(delivery: Delivery, domain: str) -> Envelope:
    """The webhook of an event. `domain` tells installations apart (`mail.message_id_domain`)."""
    data = {
        "event_id": delivery.event_id,
        "sequence": delivery.event_id,
        "occurred_on": delivery.occurred_on.isoformat(),
        "box_id": delivery.box_id,
        "address": delivery.address,
        "customer_id": delivery.customer_id,
        "term_expires_on": None if delivery.term_expires_on is None else delivery.term_expires_on.isoformat(),
        "addon_id": delivery.addon_id,
        "addon_kind": delivery.addon_kind,
        "addon_quantity": delivery.addon_quantity,
        "detail": delivery.detail,
    }
    return Envelope(_id(delivery, domain), _body(delivery.kind, delivery.queued_at, data))


def rehearsed(event_id: str, now: datetime) -> Envelope:
    """One that is about nobody, to try whether the receiver can be reached and takes our signature."""
    return Envelope(event_id, _body("webhooks.test", now, {}))


def _body(kind: str, moment: datetime, data: Mapping[str, Any]) -> str:
    timestamp = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _canonical({"type": kind, "timestamp": timestamp, "data": data})


def _id(delivery: Delivery, domain: str) -> str:
    """Made from what happened: a database restored from a backup gives its numbers anew, and to other events."""
    what = (
        domain,
        delivery.event_id,
        delivery.kind,
        delivery.box_id,
        delivery.addon_id,
        delivery.occurred_on.isoformat(),
        delivery.detail,
    )
    return f"evt_{sha256(_canonical(what).encode()).hexdigest()[:32]}"


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
