"""`stop` and `resume`: the emergency stop."""

from __future__ import annotations

from typing import Annotated

import typer

from lifecycle_jobs.cli.output import say
from lifecycle_jobs.cli.setting import By, Config, Why, open_office


def stop(
    why: Annotated[str, typer.Option("--why", help="Why; shown by status and kept in the history.")],
    config: Config = None,
    by: By = None,
) -> None:
    """Stop everything: no call, chunk, message or webhook begins any more, in any process, until `resume`."""
    from lifecycle_jobs.operators import stop_everything

    with open_office(config) as office:
        if stop_everything(office.store, office.operator(by, why), why):
            say("Stopped. What was in hand is finished and recorded; nothing new begins until: lifecycle-jobs resume")
        else:
            say("The emergency stop is on already. Nothing was changed.")


def resume(config: Config = None, by: By = None, why: Why = None) -> None:
    """Take the emergency stop back. A run that it interrupted is continued by the next `run`, or by the daemon."""
    from lifecycle_jobs.operators import resume as take_back

    with open_office(config) as office:
        stop = take_back(office.store, office.operator(by, why))
        say("The emergency stop is not on." if stop is None else f"Resumed. It was {stop}")
