"""What can go wrong in a way that a person must be told about. Expected refusals are values, not exceptions."""

from __future__ import annotations


class LifecycleError(Exception):
    """Something the operator must know: the message says what happened, to what, and what to do."""


class ConfigurationError(LifecycleError):
    """A setting is missing, wrong or contradicts another. Nothing has been done."""


class DatabaseNotReady(LifecycleError):
    """The database has no schema yet, or one of another version."""


class Refused(LifecycleError):
    """A command asked for something that the rules do not allow now. Nothing has been done."""


class LeaseHeld(LifecycleError):
    """Another process is at work on this database."""


class LeaseLost(LifecycleError):
    """Another process has taken over: this one may not write any more."""


class RunStopped(LifecycleError):
    """A run could not go on. What was committed stays done; the same command continues."""


class StopRequested(RunStopped):
    """A run was asked to stop, and did so in order."""


class EmergencyStop(RunStopped):
    """Somebody has thrown the emergency stop: nothing new begins until it is taken back."""


class GapSuspected(LifecycleError):
    """Today does not follow on the last completed run: a restored backup or a wrong clock (SPEC §5)."""


class PlanChanged(LifecycleError):
    """The day would no longer do what the plan says. Nothing has been done."""
