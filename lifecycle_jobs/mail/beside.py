"""A process of its own beside this one, to which pickles go and from which they come, through its pipes.

It starts with nothing of ours, least of all with our connections to the database, which a copy would share. It ends
when it is told to, or with who started it, and not by a signal meant for that one: a service manager and a terminal
send theirs to all processes, and what is in hand is to be finished all the same.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def begin(module: str) -> subprocess.Popen[bytes]:
    """Start the function `serve` of a module in a process of its own, which talks through its `stdin` and `stdout`."""
    # By name: with `multiprocessing` it would first run this program's entry point again.
    return subprocess.Popen(  # noqa: S603 -- this Python, and a module of ours
        [sys.executable, "-P", "-c", f"from {module} import serve; serve()"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def send(outgoing: IO[bytes], what: object) -> None:
    """Send something to the other end. Raises BrokenPipeError if nobody is there any more.

    What cannot be pickled raises what its pickling does, and nothing of it has been sent.
    """
    outgoing.write(pickle.dumps(what, pickle.HIGHEST_PROTOCOL))
    outgoing.flush()


def receive(incoming: IO[bytes]) -> Any:
    """Wait for what the other end sends next. Raises EOFError when nothing comes any more."""
    try:
        return pickle.load(incoming)  # noqa: S301 -- at the other end is a process that this program has started itself
    except pickle.UnpicklingError as error:
        raise EOFError from error  # the other end was killed while it was sending


@contextmanager
def at_work() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """In that process: where what it is told comes in, and where what it has to say goes.

    At the end of what comes in, reading raises EOFError: who started it has closed it, or is gone.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Not `sys.stdout.buffer`: under PYTHONUNBUFFERED it writes only a part of what does not fit into the pipe at once.
    with open(sys.stdin.fileno(), "rb", closefd=False) as incoming, os.fdopen(os.dup(1), "wb") as outgoing:
        os.dup2(2, 1)  # what anybody prints is nothing that the other end could read
        yield incoming, outgoing
