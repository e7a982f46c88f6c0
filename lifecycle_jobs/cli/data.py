"""`import`, `export` and `db`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lifecycle_jobs.cli.output import complain, counts, error_console, print_json, progress_bar, say, warn
from lifecycle_jobs.cli.setting import Config, Json, open_office
from lifecycle_jobs.cli.stopping import stoppable

db = typer.Typer(help="The database itself.", no_args_is_help=True)


def import_files(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the CSV files.")],
    config: Config = None,
    json: Json = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also change status, expiry, credit and tax id of rows that exist.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")] = False,
) -> None:
    """Read customers.csv, payment_methods.csv, boxes.csv and addons.csv: all of it or nothing."""
    from lifecycle_jobs import lease
    from lifecycle_jobs.cli.days import unusual_as_dict
    from lifecycle_jobs.db.transfer.load import import_directory
    from lifecycle_jobs.watching.importing import ImportWatch
    from lifecycle_jobs.watching.telling import told

    with open_office(config) as office:
        settings = office.settings
        watch = ImportWatch(settings.watching, office.today)
        with lease.hold(office.store, "run", settings.lease.seconds) as held, progress_bar() as progress:
            report = import_directory(
                office.store.fenced(held),
                settings.catalog(),
                directory,
                overwrite=overwrite,
                dry_run=dry_run,
                today=office.today,
                progress=progress,
                watch=watch,
            )
        unusual = watch.noticed
        if json:
            print_json(asdict(report) | {"unusual": [] if unusual is None else [unusual_as_dict(unusual)]})
            return
        for file in report.files:
            done = {"new": file.created, "changed": file.changed, "left as they are without --overwrite": file.kept}
            say(f"{file.name}: {file.rows:,} rows" + (f" ({counts(done)})" if counts(done) else ", nothing new"))
        if report.readdressed:
            say(f"E-mails that had not left yet, and go to their holders' new addresses: {report.readdressed:,}.")
        if unusual is not None:
            warn(f"? Unusual: {told(unusual)} To an earlier day: {report.moved.earlier:,}.")
        if dry_run:
            say("A dry run: nothing was changed.")


def export_files(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the CSV files to.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Write the nine CSV files: the four that `import` reads, and the books."""
    from lifecycle_jobs.db.transfer.unload import export_directory
    from lifecycle_jobs.mail.identity import message_id

    with open_office(config) as office:
        domain = office.settings.mail.message_id_domain
        with progress_bar() as progress:
            report = export_directory(
                office.store, directory, message_id_of=lambda key: message_id(key, domain), progress=progress
            )
        if json:
            print_json(asdict(report))
        else:
            say("Exported: " + counts(report.rows))
        if report.unresolved_charges:
            complain(
                f"{report.unresolved_charges} charges are unresolved. They are not in the input files: "
                "move a database with `db copy`, not with these."
            )


@db.command("upgrade")
def upgrade(config: Config = None) -> None:
    """Create the tables, or bring them to this version of the program."""
    from lifecycle_jobs.db.schema import upgrade as upgrade_schema

    with open_office(config, ready=False) as office:
        say(f"The database is at version {upgrade_schema(office.store)}.")


@db.command("copy")
def copy(
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The empty database to copy everything to.")],
    config: Config = None,
) -> None:
    """Copy the whole database with its history, SQLite to PostgreSQL or back."""
    from lifecycle_jobs import lease
    from lifecycle_jobs.db.schema import upgrade as upgrade_schema
    from lifecycle_jobs.db.session import open_store
    from lifecycle_jobs.db.transfer.copy import copy_database

    with open_office(config) as office:
        target = open_store(to)
        try:
            upgrade_schema(target)
            with lease.hold(office.store, "run", office.settings.lease.seconds), progress_bar() as progress:
                rows = copy_database(office.store, target, progress=progress)
        finally:
            target.engine.dispose()
        say("Copied: " + counts(rows))
        error_console.print("The program still uses the database in database.url; change it to switch.")


@db.command("maintain")
def maintain(
    config: Config = None,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; count what would go.")] = False,
) -> None:
    """Delete messages and their history that are over for as long as [retention] says, some at a time."""
    from lifecycle_jobs.gates import check_gap
    from lifecycle_jobs.retention import maintain as delete_what_is_over

    with open_office(config) as office:
        if not dry_run:
            check_gap(office.store, office.settings, office.today)
        with progress_bar() as shown, stoppable(shown) as progress:
            deleted = delete_what_is_over(office.store, office.settings, office.today, progress, dry_run=dry_run)
        if json:
            print_json(asdict(deleted) | {"dry_run": dry_run})
            return
        history = counts({"messages": deleted.messages, "events": deleted.events}) or "nothing"
        texts = counts({"texts of messages": deleted.bodies}) or "no texts"
        plans = counts({"plans of days": deleted.plans}) or "no plans of days"
        say(
            f"{'Would be deleted' if dry_run else 'Deleted'}: {history} (of terms that ended before "
            f"{deleted.history_before}), {texts} (before {deleted.bodies_before}), {plans}."
        )
