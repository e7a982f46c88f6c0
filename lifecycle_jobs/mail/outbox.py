"""From the outbox to the mail server (SPEC §4): each queued message is put together, rendered and handed over.

What holds at every moment, also if the process is killed: a message is queued until its fate is recorded, and on a
transport that cannot repeat (SMTP) the fate of each is committed before the next is handed over. So at most the one
message in hand goes out twice, with the same Message-ID.

Messages are read in batches; memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail import records
from lifecycle_jobs.mail.addresses import NotAnAddress, wire_address
from lifecycle_jobs.mail.discretion import without_addresses
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.mail.facts import Message
from lifecycle_jobs.mail.gather import Gathered, Office, Pointless, Ready, Unfit, gather
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.records import Waiting
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.smtp import SmtpRelay
from lifecycle_jobs.mail.transports import (
    Accepted,
    Nowhere,
    Outgoing,
    PermanentFailure,
    TemporaryFailure,
    Transport,
)
from lifecycle_jobs.settings import Settings

_LINES_AT_A_TIME: Final = 5_000
"""A batch ends early at so many lines: a few customers with very many boxes must not fill the memory."""


@dataclass(slots=True)
class DeliveryReport:
    """How many messages went which way. `stopped` says why the rest was left in the queue, if it was."""

    sent: int = 0
    moot: int = 0
    failed: int = 0
    parked: int = 0
    deferred: int = 0
    stopped: str | None = None

    @property
    def handled(self) -> int:
        """Messages looked at, whatever became of them."""
        return self.sent + self.moot + self.failed + self.parked + self.deferred


def deliver(
    store: Store,
    settings: Settings,
    *,
    on: date,
    progress: Callable[[int], None] | None = None,
    limit_to: Sequence[int] | None = None,
    transport: Transport | None = None,
) -> DeliveryReport:
    """Deliver what is queued and due, oldest first, on the business date `on`.

    `limit_to` names the messages to deliver, where an operation wants only its own to go. `progress` is told how many
    were handled so far. `transport` is the configured one unless given; in a rehearsal nothing leaves.
    """
    transport = transport or open_transport(store, settings)
    with transport:
        return _Delivery(store, settings, on, transport).run(limit_to, progress)


def retry_parked(store: Store) -> int:
    """Put parked messages back into the queue, once what was wrong with them is mended; how many there are.

    Their parked rows are resolved when they go out, and opened again if they still cannot.
    """
    with store.write() as connection:
        return records.queue_parked_again(connection)


def open_transport(store: Store, settings: Settings) -> Transport:
    """The way out that the settings name."""
    if store.rehearsing:
        return Nowhere()
    return SmtpRelay(settings.mail) if settings.mail.transport == "smtp" else EmlFiles(settings.mail.directory)


class _Delivery:
    """One pass over the outbox."""

    def __init__(self, store: Store, settings: Settings, on: date, transport: Transport) -> None:
        self._store = store
        self._mail = settings.mail
        self._on = on
        self._transport = transport
        self._office = Office(settings, on)
        self._stationery = Stationery(settings)
        self._renderer = Renderer(settings.templates.directory)
        self._report = DeliveryReport()
        # Of the batch in hand: what was accepted and is not recorded yet, and who had been parked before.
        self._accepted: dict[int, str] = {}
        self._once_parked: set[int] = set()

    def run(self, only: Sequence[int] | None, progress: Callable[[int], None] | None) -> DeliveryReport:
        """Deliver batch by batch until nothing is left or nothing can leave."""
        after, began = 0, clock.now()
        while self._report.stopped is None:
            with self._store.read() as connection:
                batch = _within_memory(
                    records.waiting(connection, after=after, limit=self._mail.batch_size, at=began, only=only)
                )
            if not batch:
                break
            after = batch[-1].id
            self._once_parked = {message.id for message in batch if message.was_parked}
            self._deliver_batch(list(self._gathered([message.id for message in batch])))
            if progress is not None:
                progress(self._report.handled)
        return self._report

    def _gathered(self, message_ids: Sequence[int]) -> Iterator[Gathered]:
        """The messages put together; if reading them fails, the halves are tried, until what fails stands alone."""
        try:
            with self._store.read() as connection:
                found = gather(connection, message_ids, self._office)
        except Exception as error:  # noqa: BLE001 -- a row that cannot be read must not stop the others
            if len(message_ids) == 1:
                yield Unfit(message_ids[0], error)
                return
            middle = len(message_ids) // 2
            yield from self._gathered(message_ids[:middle])
            yield from self._gathered(message_ids[middle:])
        else:
            yield from found

    def _deliver_batch(self, batch: Sequence[Gathered]) -> None:
        self._set_aside(batch)
        for gathered in batch:
            if isinstance(gathered, Ready):
                self._deliver(gathered)
                if self._report.stopped is not None:
                    break
        self._record_accepted()

    def _set_aside(self, batch: Sequence[Gathered]) -> None:
        """Record what will not leave, and which lines the others will not have.

        This write also comes before anything leaves: a process that has lost its lease fails here.
        """
        pointless = [gathered for gathered in batch if isinstance(gathered, Pointless)]
        unfit = [gathered for gathered in batch if isinstance(gathered, Unfit)]
        with self._store.write(durable=False) as connection:
            for gathered in batch:
                if not isinstance(gathered, Unfit) and gathered.marks:
                    records.mark_lines(connection, gathered.marks)
            records.record_moot(connection, [gathered.message.id for gathered in pointless])
            self._resolve(connection, [gathered.message.id for gathered in pointless])
            for gathered in unfit:
                records.record_parked(connection, gathered.message_id, gathered.error, self._on)
        self._report.moot += len(pointless)
        self._report.parked += len(unfit)

    def _deliver(self, ready: Ready) -> None:
        message = ready.message
        try:
            envelope = self._envelope(ready)
        except NotAnAddress as error:
            self._fail(message.id, str(error), handed_over=False)
            return
        except Exception as error:  # noqa: BLE001 -- one that cannot be rendered is parked, the others go out
            with self._store.write(durable=False) as connection:
                records.record_parked(connection, message.id, error, self._on)
            self._report.parked += 1
            return
        match self._transport.send(envelope):
            case Accepted(response):
                self._accepted[message.id] = response
                if not self._transport.repeatable:
                    self._record_accepted()
            case PermanentFailure(response):
                self._fail(message.id, response, handed_over=True)
            case TemporaryFailure(response, unavailable=True):
                self._defer(message, response)
                self._report.stopped = without_addresses(response)
            case TemporaryFailure(response):
                # Only the server's own word about a message makes its time run out: while the server cannot be
                # reached, give_up_after days of outage would otherwise cost one message with every new try.
                if self._on - message.created_on >= timedelta(days=self._mail.give_up_after):
                    self._fail(message.id, response, handed_over=True)
                else:
                    self._defer(message, response)

    def _envelope(self, ready: Ready) -> Outgoing:
        message, content = ready.message, ready.content
        recipient = wire_address(message.recipient)
        return Outgoing(
            key=message.key,
            kind=message.kind,
            customer_id=message.customer_id,
            created_on=message.created_on,
            sender=self._stationery.sender,
            recipient=recipient,
            needs_smtputf8=self._stationery.needs_smtputf8(recipient),
            content=self._stationery.write(
                self._renderer.render(content, ready.locale),
                kind=content.kind,
                locale=ready.locale,
                message_id=message_id(message.key, self._mail.message_id_domain),
                name=content.holder.name,
                recipient=recipient,
                moment=clock.now(),
            ),
        )

    def _record_accepted(self) -> None:
        if not self._accepted:
            return
        with self._store.write(durable=False) as connection:
            records.record_sent(connection, self._accepted, self._on)
            self._resolve(connection, list(self._accepted))
        self._report.sent += len(self._accepted)
        self._accepted = {}

    def _fail(self, message_id: int, response: str, *, handed_over: bool) -> None:
        with self._store.write(durable=False) as connection:
            records.record_failed(connection, message_id, response, handed_over=handed_over)
            self._resolve(connection, [message_id])
        self._report.failed += 1

    def _defer(self, message: Message, response: str) -> None:
        pauses = self._mail.retry_after
        with self._store.write(durable=False) as connection:
            minutes = pauses[min(message.attempts, len(pauses) - 1)]
            records.record_deferred(connection, message.id, response, minutes)
        self._report.deferred += 1

    def _resolve(self, connection: Connection, message_ids: Sequence[int]) -> None:
        records.resolve_parked(connection, [id_ for id_ in message_ids if id_ in self._once_parked])


def _within_memory(batch: Sequence[Waiting]) -> Sequence[Waiting]:
    """The messages at the head of the batch that together have no more lines than fit; at least one."""
    lines = 0
    for number, message in enumerate(batch):
        lines += message.lines
        if lines > _LINES_AT_A_TIME and number > 0:
            return batch[:number]
    return batch
