"""What the program sells as it is shipped, whatever this machine's environment says."""

from __future__ import annotations

import os
from unittest import mock

from lifecycle_jobs.policy import Catalog
from lifecycle_jobs.settings import Settings, load_settings


def shipped_catalog() -> Catalog:
    """The catalogue of `config/lifecycle.toml`."""
    return shipped_settings().catalog()


def shipped_settings() -> Settings:
    """All of `config/lifecycle.toml`."""
    # The program refuses variables that it does not know, such as those of the tests.
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
            del os.environ[name]
        return load_settings()
