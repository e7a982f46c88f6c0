"""How the daemon is watched: its health, its figures, and where Stripe posts what it has to tell."""

from __future__ import annotations

from lifecycle_jobs.monitoring.heartbeat import ping
from lifecycle_jobs.monitoring.server import Monitoring
from lifecycle_jobs.monitoring.vitals import Vitals

__all__ = ["Monitoring", "Vitals", "ping"]
