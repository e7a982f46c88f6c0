"""`python -m tests.stripe_servers --journal FILE [--port N] [--localstripe PORT]`: prints its port, then serves."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.stripe_servers.bank import Bank
from tests.stripe_servers.front import Behind, Front
from tests.stripe_servers.listing import Shown
from tests.stripe_servers.upstream import LocalStripe

_BACKLOG = 1024


async def _run(arguments: argparse.Namespace) -> None:
    arguments.journal.touch()
    shown = Shown(search_lag=arguments.search_lag)
    bank = Bank(arguments.journal, shown)
    behind: Behind = bank if arguments.localstripe is None else LocalStripe(arguments.localstripe, bank)
    front = Front(behind, shown, delay=arguments.delay, late=arguments.late)
    server = await asyncio.start_server(front.serve, "127.0.0.1", arguments.port, backlog=_BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--localstripe", type=int, help="port of a localstripe to forward to")
    parser.add_argument("--delay", type=float, default=0, help="seconds that every answer takes")
    parser.add_argument("--late", type=float, default=3, help="seconds that a late answer takes")
    parser.add_argument("--search-lag", type=float, default=0, help="seconds that the search runs behind")
    asyncio.run(_run(parser.parse_args()))
