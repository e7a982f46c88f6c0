"""`deliver`, `preview` and `templates check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, TypeVar

import typer

from lifecycle_jobs.cli.output import complain, counts, print_json, progress_bar, say
from lifecycle_jobs.cli.setting import Config, Json, open_office, read_settings
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.errors import Refused

Word = TypeVar("Word", bound=str)

Senders = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, max=256, help="Share a long queue among N processes.")
]

templates = typer.Typer(help="The texts of the messages.", no_args_is_help=True)


def deliver(config: Config = None, json: Json = False, workers: Senders = None) -> None:
    """Deliver the messages that are waiting."""
    from dataclasses import asdict

    from lifecycle_jobs.gates import check_gap
    from lifecycle_jobs.mail.delivery import deliver_all

    with open_office(config) as office:
        # By a wrong date what waits would have become pointless, for ever.
        check_gap(office.store, office.settings, office.today)
        # Processes of this machine, whoever shares the jobs of a day.
        manned = office if workers is None else office.manned(count=workers, engine="local")
        with progress_bar() as shown, stoppable(shown) as progress:
            report = deliver_all(office.store, manned.settings, office.today, progress)
        if json:
            print_json(asdict(report))
        else:
            done = {name.replace("_", " "): value for name, value in asdict(report).items() if type(value) is int}
            say(counts(done) or "No messages are waiting.")
        if report.elsewhere:
            complain("Another process has taken the delivery over meanwhile, and goes on with it.")
        if report.stopped:
            complain(f"Delivery stopped early: {report.stopped}. The rest stays queued.")
        elif report.more:
            complain("The mail server takes too long. What still waits stays queued.")
        for failure in report.failures:
            complain(failure)
        if report.stopped or report.more or report.parked or report.failures:
            raise typer.Exit(1)


def preview(
    message: Annotated[str, typer.Argument(help="The message, e.g. box.expiry_alert. Without the right name: a list.")],
    locale: Annotated[str, typer.Option("--locale", help="it or en.")] = "it",
    part: Annotated[str, typer.Option("--part", help="html, text or subject.")] = "html",
    config: Config = None,
) -> None:
    """Write a message, made from its sample, to standard output."""
    from lifecycle_jobs.mail.contents import LOCALES, MESSAGE_KINDS
    from lifecycle_jobs.mail.render import PART_FILES, Renderer

    short = Counter(kind.split(".")[1] for kind in MESSAGE_KINDS)
    names = {kind.split(".")[1] if short[kind.split(".")[1]] == 1 else kind: kind for kind in MESSAGE_KINDS}
    kind = _one_of("message", message, names)
    language = _one_of("locale", locale, {known: known for known in LOCALES})
    wanted = _one_of("part", part, {known: known for known in PART_FILES})
    typer.echo(Renderer(read_settings(config).templates.directory).preview(kind, language, wanted))


def _one_of(what: str, typed: str, known: Mapping[str, Word]) -> Word:
    """The word that was meant, by its short or its full name."""
    for name, word in known.items():
        if typed in {name, word}:
            return word
    sentence = f"There is no {what} {typed!r}. Known: {', '.join(known.values())}."
    raise Refused(sentence)


@templates.command("check")
def check(config: Config = None, json: Json = False) -> None:
    """Render every message and the staff's report, in every language and part, from their samples."""
    from lifecycle_jobs.report.pages import check_templates

    problems = check_templates(read_settings(config).templates.directory)
    if json:
        print_json({"problems": [str(problem) for problem in problems]})
    elif not problems:
        say("All templates are in order.")
    else:
        for problem in problems:
            complain(str(problem))
    if problems:
        raise typer.Exit(2)
