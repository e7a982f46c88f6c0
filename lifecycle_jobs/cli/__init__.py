"""The command line: the only reader of arguments, and thin."""

from __future__ import annotations

from lifecycle_jobs.cli.app import main

__all__ = ["main"]
