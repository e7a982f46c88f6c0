"""All commands, and what their exit codes mean.

0 done; 1 done with failures, or stopped midway; 2 usage or configuration: nothing was done; 3 another run holds the
lease; 4 a gap is suspected: nothing was done; 5 the emergency stop is on; 6 the plan has changed: nothing was done; 143
asked to stop (SIGTERM, or SIGINT) and stopped in order; 130 broken off by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lifecycle_jobs import __version__
from lifecycle_jobs.cli import (
    addons,
    boxes,
    credit,
    customers,
    data,
    days,
    domains,
    emergency,
    mail,
    messages,
    methods,
    orders,
    payments,
    plan,
    review,
    webhooks,
)
from lifecycle_jobs.cli.audit import audit
from lifecycle_jobs.cli.config import config as configuration
from lifecycle_jobs.cli.console import console
from lifecycle_jobs.cli.daemon import daemon
from lifecycle_jobs.cli.explain import explain
from lifecycle_jobs.cli.forecast import forecast
from lifecycle_jobs.cli.output import complain
from lifecycle_jobs.cli.report import report
from lifecycle_jobs.cli.setting import config_before_command
from lifecycle_jobs.cli.simulate import simulate
from lifecycle_jobs.cli.when_typed import Offered, when_typed
from lifecycle_jobs.errors import (
    EmergencyStop,
    GapSuspected,
    LeaseHeld,
    LeaseLost,
    LifecycleError,
    PlanChanged,
    RunStopped,
    StopRequested,
)

_COMMANDS: Offered = {
    "run": days.run,
    "replay": days.replay,
    "plan": plan.plan,
    "explain": explain,
    "daemon": daemon,
    "console": console,
    "confirm-gap": days.confirm_gap,
    "stop": emergency.stop,
    "resume": emergency.resume,
    "status": review.status,
    "reconcile": payments.reconcile,
    "report": report,
    "forecast": forecast,
    "simulate": simulate,
    "audit": audit,
    "deliver": mail.deliver,
    "preview": mail.preview,
    "import": data.import_files,
    "export": data.export_files,
    "config": configuration,
    "box": boxes.box,
    "domain": domains.domain,
    "db": data.db,
    "templates": mail.templates,
    "mail": messages.mail,
    "messages": messages.messages,
    "customer": customers.customer,
    "order": orders.order,
    "method": methods.method,
    "autorenew": methods.autorenew,
    "addon": addons.addon,
    "credit": credit.credit,
    "charges": payments.charges,
    "refunds": payments.refunds,
    "payments": payments.payments,
    "parked": review.parked,
    "deletions": review.deletions,
    "webhooks": webhooks.webhooks,
}

app = typer.Typer(
    name="lifecycle-jobs",
    cls=when_typed(_COMMANDS),
    help="The daily life of paid mailboxes: warn, renew, suspend, delete, and write to the holders.",
    epilog="Exit codes: 0 done, 1 done with failures, 2 usage or configuration, 3 another run is under way, "
    "4 a gap is suspected, 5 the emergency stop is on, 6 the plan has changed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lifecycle-jobs {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Configuration file with what differs from the defaults.", show_default=False),
    ] = None,
    _wants_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    config_before_command.set(config)


def main() -> None:
    """Run the command that was typed; never a traceback for what is not a fault of the program."""
    try:
        app()
    except LifecycleError as error:
        complain(str(error))
        sys.exit(_code(error))
    except Exception as error:
        sentence = _database_trouble(error)
        if sentence is None:
            raise
        complain(sentence)
        sys.exit(2)


def _code(error: LifecycleError) -> int:
    if isinstance(error, (LeaseHeld, LeaseLost)):
        return 3
    if isinstance(error, StopRequested):
        return 143
    if isinstance(error, EmergencyStop):
        return 5
    if isinstance(error, PlanChanged):
        return 6
    if isinstance(error, RunStopped):
        return 1
    return 4 if isinstance(error, GapSuspected) else 2


def _database_trouble(error: Exception) -> str | None:
    """A database that cannot be reached or written to is the operator's to mend, and needs no traceback."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    if not isinstance(error, (OperationalError, InterfaceError)):
        return None
    lines = str(error.orig).strip().splitlines()
    return f"The database does not work: {lines[0] if lines else 'no reason given'}. Check database.url."
