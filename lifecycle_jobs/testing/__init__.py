"""Time travel for the tests of whoever uses this program: what the pytest fixture `lifecycle` gives.

A test says which boxes there are, lets the days go by, and looks at what was charged, sent and recorded. The days are
those of `lifecycle_jobs.day` with the settings that are shipped, or your own; what a holder or a clerk does in between
goes through `lifecycle_jobs.accounts`.
"""

from __future__ import annotations

from lifecycle_jobs.testing.box import Box
from lifecycle_jobs.testing.files import Addon
from lifecycle_jobs.testing.provider import Provider
from lifecycle_jobs.testing.records import Charge, Happened, Sent

__all__ = ["Addon", "Box", "Charge", "Happened", "Provider", "Sent"]
