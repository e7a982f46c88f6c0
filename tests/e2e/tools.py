"""The programs that these tests look at messages with. They come with Debian; one that is missing fails the test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PACKAGES = {"spamassassin": "spamassassin", "tidy": "tidy", "chromium": "chromium", "smtp-sink": "postfix"}
"""Program and package."""

FOLDER = Path(__file__).parents[2] / "build" / "e2e"
"""Where messages, pictures and findings are put, to be looked at."""


def tool(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.fail(f"{name} is missing: install Debian's package {PACKAGES[name]}", pytrace=False)
    return found
