"""What there is to measure: every cell of the suite, measured or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from tests.bench.crowd import JOBS
from tests.bench.databases import KINDS

Part = Literal["day", "import", "jobs", "charges", "delivery", "workers", "waiting", "start", "peer"]
Day = Literal["normal", "downtime", "spike-alert", "spike-suspend", "same-due"]

PARTS: Final[tuple[Part, ...]] = get_args(Part)
DAYS: Final[tuple[Day, ...]] = get_args(Day)
BOXES: Final = (100_000, 1_000_000, 10_000_000)
WORKERS: Final = (1, 2)
CONNECTIONS: Final = ("1", "4", "16")
COMMANDS: Final = ("--help", "status")
PEERS: Final = ("django-plans", "django-flexible-subscriptions")
WAITING: Final = (1_000, 1_000_000)

USUAL: Final[dict[Part, int]] = {
    "jobs": 200_000,
    "charges": 10_000,
    "delivery": 20_000,
    "workers": 20_000,
    "peer": 2_000,
}
"""Rows of the parts that do not depend on how many boxes there are. With fewer, starting up counts for too much."""

MEANING: Final[dict[Day, str]] = {
    "normal": "A normal day: terms end evenly over the year, every job has work, boxes have a past.",
    "downtime": "The first day after five days on which nothing ran.",
    "spike-alert": "The spike, 30 days before: 1,000,000 boxes, or all if there are fewer, expire on one day, and each"
    " gets an alert.",
    "spike-suspend": "The spike, the day after: the same boxes were not paid, and each is suspended.",
    "same-due": "2,000 boxes are due (a quarter each to be charged, suspended, deleted, warned), however many others"
    " there are.",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to measure. `variant` is the day, the job, the number of connections, the command or the peer."""

    part: Part
    database: str = ""
    variant: str = ""
    boxes: int = 0
    workers: int = 1


def matrix() -> Iterator[Cell]:
    """All cells, small ones first."""
    for command in COMMANDS:
        yield Cell("start", variant=command)
    for database in KINDS:
        for job in JOBS:
            yield Cell("jobs", database, job)
        yield Cell("charges", database)
        for connections in CONNECTIONS:
            yield Cell("delivery", database, connections)
        if database == "postgresql":
            for connections in CONNECTIONS[1:]:  # each worker has one at least
                yield Cell("workers", database, connections, workers=WORKERS[-1])
        for boxes in WAITING:
            yield Cell("waiting", database, boxes=boxes)
    for peer in PEERS:
        yield Cell("peer", "sqlite", peer)
    for boxes in BOXES:
        yield from of_size(boxes)


def of_size(boxes: int) -> Iterator[Cell]:
    """All cells with so many boxes."""
    yield Cell("import", "postgresql", boxes=boxes)
    for day in DAYS:
        for database in KINDS:
            for workers in WORKERS if database == "postgresql" else WORKERS[:1]:  # SQLite has one writer
                yield Cell("day", database, day, boxes, workers)
