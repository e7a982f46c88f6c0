"""What a holder or a clerk does to an account outside the daily run. Each operation is one transaction.

An operation locks its box first, as the jobs do, so that the two never act on the same box at once.
"""

from __future__ import annotations

from lifecycle_jobs.accounts.pay import Registered, register_payment
from lifecycle_jobs.accounts.resolve import resolve_charge

__all__ = ["Registered", "register_payment", "resolve_charge"]
