"""The life of certified mailboxes: reminders, renewals, suspension, deletion, one business date at a time."""

from __future__ import annotations

__version__ = "0.1.0"
