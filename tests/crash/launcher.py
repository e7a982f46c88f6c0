"""Runs the command line in processes that end, or stand still, at a chosen point of their work.

`python -m tests.crash.launcher ARGUMENT…` runs one command in this process. Without arguments it waits for orders, one
JSON object a line, and runs each command in a child of its own: the libraries are loaded once. Only the points are
added; the program is the shipped one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine.default import DefaultDialect

from lifecycle_jobs import day, lease
from lifecycle_jobs.cli import main
from lifecycle_jobs.db import schema
from lifecycle_jobs.mail import outbox
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.payments.sandbox_journal import Turn

LOADED = (day, schema)
"""What the commands import late; loaded here, so that the children need not."""

Where = Literal["lease", "commit", "committed", "call", "journal", "answer", "mail", "mailed"]
"""Before the lease is asked for; before and after a commit; before a call of the gateway, after the sandbox wrote its
journal, after the answer; before and after a message is written."""

Action = Literal["kill", "stop", "wait"]
"""`wait`: say `reached` on standard output and go on when a line comes in."""

POINT = "LIFECYCLE_TEST_POINT"


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th time that a process comes by somewhere, and what it does then."""

    where: Where
    number: int
    action: Action = "kill"


@dataclass(frozen=True, slots=True)
class Order:
    """A command to run in a child. `counts` is a file for how often it came by each place."""

    arguments: list[str]
    environment: dict[str, str]
    output: str
    point: Point | None = None
    kill_after: float | None = None
    counts: str | None = None


class Traps:
    """Counts how often the main thread comes by each place, and acts at the point."""

    def __init__(self, point: Point | None) -> None:
        self.seen: Counter[str] = Counter()
        self._point = point

    def lay(self) -> None:
        """Put the traps in place."""
        self._around(DefaultDialect, "do_commit", before="commit", after="committed")
        self._around(SandboxGateway, "charge", before="call", after="answer")
        self._around(Turn, "append", after="journal")
        self._around(EmlFiles, "send", before="mail", after="mailed")
        self._around(lease, "_take", before="lease")

    def _around(self, owner: Any, name: str, *, before: Where | None = None, after: Where | None = None) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def trapped(*args: Any, **kwargs: Any) -> Any:
            self._pass(before)
            result = original(*args, **kwargs)
            self._pass(after)
            return result

        setattr(owner, name, trapped)

    def _pass(self, where: Where | None) -> None:
        if where is None or threading.current_thread() is not threading.main_thread():
            return
        self.seen[where] += 1
        if self._point is None or (where, self.seen[where]) != (self._point.where, self._point.number):
            return
        if self._point.action == "wait":
            _say("reached")
            sys.stdin.readline()
        else:
            os.kill(os.getpid(), signal.SIGKILL if self._point.action == "kill" else signal.SIGSTOP)


def run_here(arguments: list[str], point: Point | None) -> None:
    """Run one command in this process."""
    Traps(point).lay()
    sys.argv = ["lifecycle-jobs", *arguments]
    main()


def serve() -> None:
    """Run one command after the other, and answer each order with the exit code: -9 for a killed process."""
    renderer = Renderer()
    renderer.check()  # the templates are compiled once, not again in every child
    setattr(outbox, "Renderer", lambda _directory: renderer)  # noqa: B010 -- it is not the outbox's own name
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
        traps = Traps(order.point)
        traps.lay()
        sys.argv = ["lifecycle-jobs", *order.arguments]
        code = _exit_code()
        if order.counts is not None:
            Path(order.counts).write_text(json.dumps(traps.seen), encoding="utf-8")
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
