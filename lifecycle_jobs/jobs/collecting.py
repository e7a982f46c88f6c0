"""How the jobs that charge are set up: by the settings, for one gateway."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from lifecycle_jobs.jobs.eligibility import still_wanted
from lifecycle_jobs.jobs.reconcile_charges import Patience
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.payments.calls import Limits
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.gateway import Gateway
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch


def collector_for(task: Task, settings: Settings, gateway: Gateway) -> Collector:
    """What collects the renewals of a job's share of a run."""
    chosen = settings.gateway
    switch = Switch(task.store)
    return Collector(
        store=task.store,
        catalog=task.catalog,
        gateway=gateway,
        origin=task.origin,
        since=task.run.since,
        key_prefix=chosen.key_prefix,
        max_amount_cents=chosen.max_amount,
        limits=Limits(
            # A rehearsal is one transaction, and one thread's.
            parallel=gateway.parallel and not task.store.rehearsing,
            concurrency=chosen.concurrency,
            per_second=chosen.requests_per_second,
            back_off=chosen.back_off,
        ),
        still_wanted=partial(still_wanted, task),
        tick=lambda: task.advance(0),
        may_begin=lambda: switch.stopped() is None,
    )


def patience_of(settings: Settings) -> Patience:
    """How long doubt about a charge may last."""
    chosen = settings.gateway
    return Patience(
        resend_within=timedelta(hours=chosen.resend_within),
        report_after=chosen.report_unresolved_after,
        outage_limit=chosen.outage_limit,
    )
