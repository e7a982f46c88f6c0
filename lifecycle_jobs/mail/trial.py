"""A message to somebody who wants to know whether messages arrive: sent at once, and not kept."""

from __future__ import annotations

import uuid
from typing import Final

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.addresses import NotAnAddress, wire_address
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.outbox import open_transport
from lifecycle_jobs.mail.render import Rendered
from lifecycle_jobs.mail.transports import Outcome, Outgoing, Withheld
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch

KIND: Final = "mail.test"

_TRIAL: Final = Rendered(
    subject="Test of lifecycle-jobs: così arrivano le lettere",
    text="This message was sent by `lifecycle-jobs mail test`.\n"
    "If you can read it, messages to holders can leave: è àèìòù €.\n",
    html='<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Test</title></head>\n'
    "<body><p>This message was sent by <code>lifecycle-jobs mail test</code>.</p>\n"
    "<p>If you can read it, messages to holders can leave: è àèìòù €.</p></body></html>\n",
)


def send_trial(store: Store, settings: Settings, address: str) -> Outcome:
    """Send a small message to an address by the configured way, and say what came of it.

    Raises Refused for what is no address, EmergencyStop while that is on, ConfigurationError as `open_transport` does.
    """
    switch = Switch(store)
    switch.check()
    try:
        recipient = wire_address(address)
    except NotAnAddress as error:
        raise Refused(f"Nothing was sent: {error}.") from error
    stationery = Stationery(settings)
    key = f"test/{uuid.uuid4().hex}"
    content = stationery.write(
        _TRIAL,
        kind=KIND,
        locale="en",
        message_id=message_id(key, settings.mail.message_id_domain),
        name="",
        recipient=recipient,
        moment=clock.now(),
    )
    envelope = Outgoing(
        key=key,
        kind=KIND,
        customer_id="test",
        created_on=clock.business_date(settings.zone),
        sender=stationery.sender,
        recipient=recipient,
        needs_smtputf8=stationery.needs_smtputf8(recipient),
        content=content,
    )
    with open_transport(store, settings) as transport:
        outcome = transport.send(envelope, lambda: switch.stopped() is None)
    if isinstance(outcome, Withheld):
        switch.check()
    return outcome
