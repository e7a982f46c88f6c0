"""The exactly-once protocol: an order is collected once, whatever breaks (SPEC §3, auto_renew).

1. *Intent* (`intents`). In one transaction the boxes that can be called right now are read again, locked, with every
   condition of the rule; their orders are found or placed; for each a charge row `pending` with a fresh idempotency
   key is written. Committed durably before anything is sent.
2. *Call* (`calls`). No transaction is open while the gateway works.
3. *Outcome* (`outcomes`). In another transaction the charge is settled, guarded by its being unresolved, together with
   what follows from it: order, E, add-ons, event.

A process that dies between 1 and 3 leaves a `pending` charge. Before the next run does anything else it looks it up
by its key (`reconcile_charges`). One that was never seen is, within its business date and while the gateway still
remembers keys, presented again *under the same key*: had the first call arrived after all, the gateway answers with
that one's outcome. That is not a second charge, and it is what lets a run that was killed end like one that was not
(SPEC §5). A refusal of the second presentation proves nothing about the first, so it is believed only where look-ups
do not lag. A charge whose call ended without an answer (`unknown`) is never presented again, only looked up.

Alternative: hold every interrupted charge until tomorrow's look-up. Safer by one argument, that a gateway might break
its promise about keys; but then a kill on the last day of the term would suspend a holder who can pay.

Where days lie between the last completed run and this one, the database may be an older one, restored from a backup,
and have forgotten charges of those days; their slots, and so their keys, are others than today's. Then the gateway is
first asked about each of them: a payment that it knows of is recorded as this charge's and nothing is charged.
Alternative: refuse every catch-up until a person has looked. After a night of downtime nobody would want that.

Many calls are in flight at a time, but one thread does all the writing, in batches: as many intents as there is room
for calls, all answers that have come in. Alternative: let each thread do its own box from end to end. Simpler to
read, but on SQLite the threads would only wait for each other, and on both a commit for each step of each box costs
more time than the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, Select, select

from lifecycle_jobs.db.faults import in_halves
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges
from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.history import Origin
from lifecycle_jobs.payments import asking
from lifecycle_jobs.payments.calls import Calls, Ended, Limits
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.intents import Presentation, Terms, presentation_of, requests_of, take_back, write_down
from lifecycle_jobs.payments.outcomes import Result, settle_all
from lifecycle_jobs.policy import Catalog

_AT_ONCE = timedelta(0)
_BATCH = 200
_PATIENCE = 0.1
"""Seconds after which a wait for answers looks whether the run is to stop."""


class Due(Protocol):
    """A box whose turn it is."""

    @property
    def id(self) -> int:
        """The box's own id."""

    @property
    def needs_gateway(self) -> bool:
        """Whether its payment method is charged through the gateway."""


Note = Callable[[int, Result | Exception], None]
"""Told, in order of completion, how it ended for a box (or charge), or what was wrong with it."""

Judge = Callable[[int, LookUpOutcome], ChargeOutcome | None]
"""What to make of a look-up of a charge; none to leave the charge as it is."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call for a charge. `subject` is what `note` is told: the box, or the charge itself.

    `fresh`: the charge was written down just before, and nobody can have heard of it yet.
    """

    charge_id: int
    subject: int
    fresh: bool = False


_Answers = Ended[_Call, ChargeOutcome | LookUpOutcome]
_Calls = Calls[_Call, ChargeOutcome | LookUpOutcome]


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects renewal orders for one job of one run, through one gateway.

    `still_wanted` selects the box of a charge by the charge's id, only while that charge is wanted. `tick` is called
    now and then while answers are waited for; it may raise RunStopped. `may_begin` is asked before each single call.
    """

    store: Store
    catalog: Catalog
    gateway: Gateway
    origin: Origin
    since: date
    key_prefix: str
    max_amount_cents: int
    limits: Limits
    still_wanted: Callable[[int], Select[Any]]
    tick: Callable[[], None]
    may_begin: Callable[[], bool]

    def collect(
        self,
        due: Iterable[Due],
        look: Select[Any],
        note: Note,
        *,
        may_be_lost: Callable[[], int] = lambda: _BATCH,
    ) -> None:
        """Collect the renewals of these boxes, in their order as far as calls begin.

        `look` states every condition of the rule for the boxes with the ids `BOX_IDS` and selects the columns of
        `boxes` with the kind and token of the payment method and the `gateway_customer_id`. `may_be_lost` says how
        many more calls in a row the gateway may refuse before it is given up. Once that is none, what would need a
        call is recorded as `not_attempted` without one.
        """
        waiting = _Waiting(due)
        look = look.with_for_update(of=boxes, key_share=True)

        def begin(calls: _Calls) -> bool:
            left = may_be_lost()
            # One call at a time can be told exactly when to end; of many in flight some are always under way.
            room = calls.room(None if self.limits.parallel else max(0, left - calls.in_flight))
            batch, unused = waiting.take(room, calls_needed=left > 0)
            calls.give_back(unused)
            for box_id, result in self._begin(calls, look, batch, called=left > 0).items():
                note(box_id, result)
            return waiting.empty

        self._call(begin, self._outcome, note)

    def present_again(self, charge_ids: Sequence[int], note: Note) -> None:
        """Present interrupted charges again, each under its own key, where its box still asks for it.

        `note` is told the ids of the charges.
        """
        waiting = list(reversed(charge_ids))

        def begin(calls: _Calls) -> bool:
            for _ in range(calls.room(len(waiting))):
                charge_id = waiting.pop()
                with self.store.write() as connection:
                    wanted = self._wanted(connection, charge_id)
                    presentation = presentation_of(connection, self.catalog, charge_id)
                if wanted:
                    self._start(calls, _Call(charge_id, charge_id), presentation)
                else:
                    note(charge_id, "changed_meanwhile")
            return not waiting

        self._call(begin, self._outcome, note)

    def look_up(self, charge_ids: Sequence[int], judge: Judge, note: Note, *, enough: Callable[[], bool]) -> None:
        """Ask the gateway what became of charges, until `enough`, and settle those of which `judge` makes something.

        `note` is told the ids of the charges.
        """
        waiting = list(reversed(charge_ids))

        def begin(calls: _Calls) -> bool:
            some = [waiting.pop() for _ in range(calls.room(len(waiting)))]
            with self.store.read() as connection:
                requests = requests_of(connection, some) if some else {}
            for charge_id in some:
                ask = partial(asking.look_up, self.gateway, requests[charge_id])
                calls.begin(_Call(charge_id, charge_id), ask, lambda: True)
            return not waiting or enough()

        def outcome(ended: _Answers) -> ChargeOutcome | None:
            if ended.outcome is None or isinstance(ended.outcome, (Unknown, NotAttempted)):
                return None
            return judge(ended.subject.charge_id, ended.outcome)

        self._call(begin, outcome, note)

    def settle(self, charge_id: int, outcome: ChargeOutcome) -> Result:
        """Record what became of one charge, and what follows from it, in one transaction."""
        with self.store.write() as connection:
            return settle_all(connection, self.catalog, self.origin, {charge_id: outcome})[charge_id]

    @property
    def _terms(self) -> Terms:
        return Terms(self.catalog, self.origin, self.since, self.key_prefix, self.max_amount_cents)

    def _call(
        self, begin: Callable[[_Calls], bool], judge: Callable[[_Answers], ChargeOutcome | None], note: Note
    ) -> None:
        """Begin calls as there is room and settle them as they end, until `begin` has nothing left."""
        with _Calls(self.limits, self.may_begin, self.tick) as calls:
            try:
                nothing_left = begin(calls)
                while calls.in_flight or not nothing_left:
                    self._settle(calls.ended(_PATIENCE), judge, note)
                    self.tick()
                    nothing_left = nothing_left or begin(calls)
            except RunStopped:
                # An orderly stop: what the gateway is working on gets its answer, and the answer is recorded.
                calls.stop()
                while calls.in_flight:
                    self._settle(calls.ended(_PATIENCE), judge, lambda _subject, _result: None)
                raise

    def _begin(
        self, calls: _Calls, look: Select[Any], box_ids: Sequence[int], *, called: bool
    ) -> dict[int, Result | Exception]:
        """Begin with some boxes; the results of those that need no call, or failed."""
        results: dict[int, Result | Exception] = {}

        def begin(some: Sequence[int]) -> None:
            with self.store.write() as connection:
                begun = write_down(connection, self._terms, look, some, called=called)
            for intent in begun.intents:
                self._start(calls, _Call(intent.charge_id, intent.box_id, fresh=True), intent.presentation)
            results.update(begun.results)

        in_halves(box_ids, begin, lambda box_id, error: results.update({box_id: error}))
        return results

    def _start(self, calls: _Calls, call: _Call, presentation: Presentation) -> None:
        if self.store.rehearsing:  # nothing is charged, so nobody need be asked
            presentation = Presentation(presentation.request)
        calls.begin(call, partial(_charge, self.gateway, presentation), partial(self._still_wanted, call.charge_id))

    def _still_wanted(self, charge_id: int) -> bool:
        with self.store.read() as connection:
            return connection.execute(self.still_wanted(charge_id)).first() is not None

    def _wanted(self, connection: Connection, charge_id: int) -> bool:
        # Locked first: what whoever held the box has left, a look that waited for it would not see.
        box = select(boxes.c.id).join(charges, charges.c.box_id == boxes.c.id).where(charges.c.id == charge_id)
        connection.execute(box.with_for_update(of=boxes, key_share=True))
        return connection.execute(self.still_wanted(charge_id)).first() is not None

    def _settle(self, ended: Sequence[_Answers], judge: Callable[[_Answers], ChargeOutcome | None], note: Note) -> None:
        """Settle all answers at once; where that fails, in halves, so that one bad row stands alone."""
        unused = [each.subject.charge_id for each in ended if each.subject.fresh and not each.begun]
        if unused:
            with self.store.write() as connection:
                take_back(connection, unused)
        told = [(each, judge(each)) for each in ended]
        outcomes = {each.subject.charge_id: outcome for each, outcome in told if outcome is not None}
        results: dict[int, Result | Exception] = {}

        def settle(some: Sequence[int]) -> None:
            with self.store.write() as connection:
                chosen = {charge_id: outcomes[charge_id] for charge_id in some}
                results.update(settle_all(connection, self.catalog, self.origin, chosen))

        in_halves(list(outcomes), settle, lambda charge_id, error: results.update({charge_id: error}))
        for each, _ in told:
            result = results.get(each.subject.charge_id, "not_trusted_yet")
            uncalled = each.withdrawn and (result == "not_attempted" or not each.begun)
            note(each.subject.subject, "changed_meanwhile" if uncalled else result)

    def _outcome(self, ended: _Answers) -> ChargeOutcome | None:
        """What to record for a call that ended; none if the charge stays as it is, to be looked up."""
        if not ended.begun:
            return None
        refused = ended.withdrawn or isinstance(ended.outcome, NotAttempted)
        if refused and not ended.subject.fresh and self.gateway.lag:
            # A call refused now says nothing about the first one, which a lagging look-up may not show yet.
            return None
        if ended.withdrawn:
            return NotAttempted("the box changed while the gateway was waited for")
        return None if isinstance(ended.outcome, (NeverSeen, NoAnswer)) else ended.outcome


class _Waiting:
    """The boxes whose turn has not come, read as far as is needed."""

    def __init__(self, due: Iterable[Due]) -> None:
        self._due: Iterator[Due] = iter(due)
        self._next = next(self._due, None)

    @property
    def empty(self) -> bool:
        return self._next is None

    def take(self, room: int, *, calls_needed: bool) -> tuple[list[int], int]:
        """The next boxes, with as many calls among them as there is room for; and how much room is left."""
        taken: list[int] = []
        while self._next is not None and len(taken) < _BATCH:
            if calls_needed and self._next.needs_gateway:
                if room == 0:
                    break
                room -= 1
            taken.append(self._next.id)
            self._next = next(self._due, None)
        return taken, room


def _charge(gateway: Gateway, presentation: Presentation) -> ChargeOutcome:
    known = _known_already(gateway, presentation.forgotten)
    return asking.charge(gateway, presentation.request) if known is None else known


def _known_already(gateway: Gateway, forgotten: Sequence[ChargeRequest]) -> ChargeOutcome | None:
    """What the gateway knows of this renewal that this database has forgotten; none if it may be charged.

    A payment that was made is this renewal's payment. A hard decline holds; after a soft one, and where nothing was
    seen, the slot of today is charged. Where the gateway does not say, nothing is charged now.
    """
    for request in forgotten:
        found = asking.look_up(gateway, request)
        if isinstance(found, NoAnswer):
            return NotAttempted(f"it could not be asked whether it was charged already: {found.why}", _AT_ONCE)
        if isinstance(found, Succeeded) or (isinstance(found, Declined) and found.hard):
            return found
    return None
