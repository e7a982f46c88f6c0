"""What a statement is in SQL is found out once for a whole test run.

Each test has a database of its own and so an engine of its own, which would compile every statement anew: in small
tests that takes more time than all the rest. So engines of the same kind share their dialect and what was compiled.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from lifecycle_jobs.db import session

_ENOUGH = 3_000
_shared: dict[str, Engine] = {}


def share() -> None:
    """From now on, for every store that is opened in this process."""
    setattr(session, "create_engine", _create_engine)  # noqa: B010 -- the type checker would object to an assignment


def _create_engine(url: URL, **options: Any) -> Engine:
    engine = sqlalchemy.create_engine(url, query_cache_size=_ENOUGH, **options)
    first = _shared.get(engine.dialect.name)
    if first is None or first.dialect.server_version_info is None:  # it has never met a server: it cannot speak yet
        _shared[engine.dialect.name] = engine
    else:
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
    return engine
