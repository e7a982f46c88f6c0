"""The fixture `lifecycle` of pytest: time travel for the tests of whoever uses this program (`lifecycle_jobs.testing`).

pytest loads this module in every run of an environment in which the program is installed, so nothing else is imported
until a test asks for the fixture.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lifecycle_jobs.testing import Provider
    from lifecycle_jobs.testing.installation import Database

_MARKER = (
    "lifecycle(today=DATE, config=FILE, SECTION={KEY: VALUE}): the day on which the provider of the fixture "
    "`lifecycle` begins, a configuration file, and settings that differ from it, by section; the nearest marker wins"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def lifecycle_database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The database of the fixture `lifecycle`: made once, empty for each test."""
    if importlib.util.find_spec("freezegun") is None:
        pytest.fail("The fixture `lifecycle` needs freezegun: pip install lifecycle-jobs[testing]", pytrace=False)
    from lifecycle_jobs.testing.installation import Database

    return Database(tmp_path_factory.mktemp("lifecycle"))


@pytest.fixture
def lifecycle(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lifecycle_database: Database
) -> Iterator[Provider]:
    """A provider without customers on an SQLite database of its own, and a clock that stands still until it is moved.

    Payments go to the sandbox and messages to files, whatever the settings and the environment say.
    """
    from lifecycle_jobs.errors import ConfigurationError
    from lifecycle_jobs.testing.installation import Wanted, installed

    marked: dict[str, Any] = {}
    # The nearest marker comes first, and is laid over the others.
    for marker in reversed(list(request.node.iter_markers("lifecycle"))):
        if marker.args:
            pytest.fail("The marker `lifecycle` takes only named arguments, e.g. policy={...}.", pytrace=False)
        for name, value in marker.kwargs.items():
            below = marked.get(name)
            marked[name] = below | value if isinstance(below, dict) and isinstance(value, dict) else value
    wanted = Wanted(
        today=marked.pop("today", None),
        config=request.config.rootpath / config if (config := marked.pop("config", None)) else None,
        sections=marked,
    )
    folder = tmp_path / "lifecycle"
    try:
        with installed(folder, lifecycle_database, wanted, monkeypatch) as provider:
            yield provider
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)
