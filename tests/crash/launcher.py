"""Runs the command line in processes that end, or stand still, at a chosen point of their work.

`python -m tests.crash.launcher ARGUMENT…` runs one command in this process. Without arguments it waits for orders, one
JSON object a line, and runs each command in a child of its own: libraries are loaded, templates compiled and statements
put into words once. Only the points are added; the program is the shipped one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from alembic import command
from sqlalchemy.engine.default import DefaultDialect

from lifecycle_jobs import day, lease
from lifecycle_jobs.cli import main
from lifecycle_jobs.db import schema
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.payments import collect, intents, renewals
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.payments.sandbox_journal import Turn
from lifecycle_jobs.payments.stripe_gateway import StripeGateway
from tests import compiled, servers
from tests.crash.provider import ON, settle

LOADED = (day, schema, delivery, command)
"""What the commands import late; loaded here, so that the children need not."""

Where = Literal[
    "lease",
    "commit",
    "committed",
    "call",
    "journal",
    "answer",
    "mail",
    "mailed",
    "intending",
    "intended",
    "noted",
    "begun",
    "sent",
    "received",
    "settling",
    "closed",
    "moved",
    "told",
    "settled",
    "recorded",
]
"""Before the lease is asked for; before and after a commit; before a call of the gateway, after the sandbox wrote its
journal, after the answer; before and after a message is written.

On the way of a charge: before its intent is written, after it, after the commit of that (once for each intent); before
its call is handed over; when its request was sent, and when an answer to that came; before its outcome is written,
between order and box, between box and event, after the event, after all of the outcome; after the commit of that (once
for each outcome).
"""

Action = Literal["kill", "stop", "wait", "term"]
"""`wait`: say `reached` on standard output and go on when a line comes in. `term`: be asked to stop, and go on."""

POINT = "LIFECYCLE_TEST_POINT"


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th time that a process comes by somewhere, and what it does then, after so many seconds."""

    where: Where
    number: int
    action: Action = "kill"
    after: float = 0


@dataclass(frozen=True, slots=True)
class Order:
    """A command to run in a child. `marks` is a file for where it came by: a line with the moment and the place."""

    arguments: list[str]
    environment: dict[str, str]
    output: str
    marks: str
    point: Point | None = None
    kill_after: float | None = None


class Traps:
    """Marks where the main thread and those that call the gateway come by, and acts at the point."""

    def __init__(self, point: Point | None, marks: str = os.devnull) -> None:
        self._point = point
        self._seen: Counter[str] = Counter()
        self._marks = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        self._started = time.monotonic()
        self._alone = threading.Lock()
        self._charging = threading.local()
        self._in_transaction: Counter[Where] = Counter()

    def lay(self) -> None:
        """Put the traps in place."""
        self._around(DefaultDialect, "do_commit", before="commit", after="committed", then=self._committed)
        self._around(SandboxGateway, "charge", before="call", after="answer")
        self._around(StripeGateway, "charge", before="call", after="answer", within=self._charging)
        self._around(HTTPConnection, "getresponse", before="sent", after="received", only=self._is_charging)
        self._around(Turn, "append", after="journal")
        self._around(EmlFiles, "send", before="mail", after="mailed")
        self._around(lease, "_take", before="lease")
        self._around(intents, "_intend", before="intending", after="intended", then=self._will_be("noted"))
        self._around(Collector, "_start", before="begun")
        self._around(collect, "settle_all", before="settling", after="settled", then=self._will_be("recorded"))
        self._around(renewals, "_close", after="closed")
        self._around(renewals, "_move", after="moved")
        self._around(renewals, "record_all", after="told")

    def _around(
        self,
        owner: Any,
        name: str,
        *,
        before: Where | None = None,
        after: Where | None = None,
        then: Callable[[Any], None] = lambda _result: None,
        within: threading.local | None = None,
        only: Callable[[], bool] = lambda: True,
    ) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def trapped(*args: Any, **kwargs: Any) -> Any:
            if not _is_watched() or not only():
                return original(*args, **kwargs)
            if within is not None:
                within.yes = True
            try:
                self._pass(before)
                result = original(*args, **kwargs)
                self._pass(after)
            finally:
                if within is not None:
                    within.yes = False
            then(result)
            return result

        setattr(owner, name, trapped)

    def _will_be(self, where: Where) -> Callable[[Any], None]:
        """After the commit, come by there as often as there are results."""
        return lambda results: self._in_transaction.update({where: len(results)})

    def _committed(self, _result: Any) -> None:
        done, self._in_transaction = self._in_transaction, Counter()
        for where in done.elements():
            self._pass(where)

    def _is_charging(self) -> bool:
        return getattr(self._charging, "yes", False)

    def _pass(self, where: Where | None) -> None:
        if where is None:
            return
        with self._alone:
            self._seen[where] += 1
            os.write(self._marks, f"{time.monotonic() - self._started:.6f} {where}\n".encode())
            here = self._point is not None and (where, self._seen[where]) == (self._point.where, self._point.number)
        if self._point is not None and here:
            self._act(self._point)

    def _act(self, point: Point) -> None:
        time.sleep(point.after)
        if point.action == "wait":
            _say("reached")
            sys.stdin.readline()
        else:
            os.kill(os.getpid(), _SIGNALS[point.action])


_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}


def _is_watched() -> bool:
    """Whether this thread is the main one, or one of those that call the gateway: not what keeps the lease alive."""
    thread = threading.current_thread()
    return thread is threading.main_thread() or thread.name.startswith("gateway")


def run_here(arguments: list[str], point: Point | None) -> None:
    """Run one command in this process."""
    Traps(point).lay()
    sys.argv = ["lifecycle-jobs", *arguments]
    main()


def serve() -> None:
    """Run one command after the other, and answer each order with the exit code: -9 for a killed process."""
    _warm_up()
    for line in sys.stdin:
        written = json.loads(line)
        point = written.pop("point")
        order = Order(**written, point=None if point is None else Point(**point))
        child = os.fork()
        if child == 0:
            _be_the_child(order)
        if order.kill_after is not None:
            time.sleep(order.kill_after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        _say(str(os.waitstatus_to_exitcode(status)))


def _warm_up() -> None:
    """Do a day here on each database: what a process does only once is then done for all children."""
    compiled.share()
    with tempfile.TemporaryDirectory(prefix="lifecycle-warm-") as folder, servers.fresh_postgresql() as postgresql:
        for name, url in (("sqlite", servers.fresh_sqlite(Path(folder))), ("postgresql", postgresql)):
            journal = Path(folder, f"{name}.jsonl")
            store = open_store(url)
            settle(store, journal)
            store.engine.dispose()
            sys.argv = ["lifecycle-jobs", "replay", ON.isoformat(), "--by", "test", "--json"]
            quiet = {
                "LIFECYCLE_DATABASE__URL": url,
                "LIFECYCLE_SANDBOX__JOURNAL": str(journal),
                "LIFECYCLE_MAIL__DIRECTORY": str(Path(folder, name)),
                "LIFECYCLE_LOG__LEVEL": "error",
            }
            with patch.dict(os.environ, quiet), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                code = _exit_code()
            assert code in {0, 1}, f"{name}: exit code {code}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def as_line(order: Order) -> str:
    """An order as `serve` reads it."""
    return json.dumps(asdict(order)) + "\n"


def _be_the_child(order: Order) -> None:
    code = 70
    try:
        output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.environ.update(order.environment)
        Traps(order.point, order.marks).lay()
        sys.argv = ["lifecycle-jobs", *order.arguments]
        code = _exit_code()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


if __name__ == "__main__":
    if sys.argv[1:]:
        named = os.environ.pop(POINT, None)
        run_here(sys.argv[1:], None if named is None else Point(**json.loads(named)))
    else:
        serve()
