"""Logging: static event names, values as fields, ids and never tokens or addresses; one closing line per job."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor


def configure(level: str, style: Literal["auto", "json", "console"]) -> None:
    """Log to standard error: for people on a terminal, as JSON lines otherwise."""
    on_terminal = sys.stderr.isatty()
    plain = style == "json" or (style == "auto" and not on_terminal)
    renderer: Processor = (
        structlog.processors.JSONRenderer() if plain else structlog.dev.ConsoleRenderer(colors=on_terminal)
    )
    # It says on each tick that it ticks, in lines of its own form; what a duty met with is logged by the daemon.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),  # a line at once: threads do not mix theirs
        cache_logger_on_first_use=False,
    )
