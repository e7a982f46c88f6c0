"""localstripe as it is, but on loopback only (its own command listens everywhere) and without its file in /tmp."""

from __future__ import annotations

import socket
import sys

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app

if __name__ == "__main__":
    store.dump_to_disk = lambda: None
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    web.run_app(app, sock=listening, print=None, access_log=None)
