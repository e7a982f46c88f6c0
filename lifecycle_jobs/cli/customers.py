"""`customer`: who a holder is, and all that belongs to him."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lifecycle_jobs.cli.output import print_json, table
from lifecycle_jobs.cli.setting import Config, Json, open_office

customer = typer.Typer(help="The holders, and what belongs to them.", no_args_is_help=True)


@customer.command("show")
def show(
    sought: Annotated[
        str, typer.Argument(metavar="WHO", help="An id, a box's address, an e-mail, a tax id, or a name or part of it.")
    ],
    config: Config = None,
    json: Json = False,
) -> None:
    """Show a customer with boxes, add-ons, orders, credit, payment methods and messages."""
    from lifecycle_jobs.accounts import find_customer

    with open_office(config) as office, office.store.read() as connection:
        sheet = find_customer(connection, sought)
    if json:
        print_json(sheet.as_dict())
        return
    about = [(_named(name), _cell(name, value)) for name, value in sheet.customer.items()]
    table(f"Customer {sheet.customer['customer_id']}", ("", ""), about)
    for title, rows in (
        ("Boxes", sheet.boxes),
        ("Add-ons", sheet.addons),
        ("Orders", sheet.orders),
        ("Credit", sheet.credit),
        ("Payment methods", sheet.methods),
        ("Messages", sheet.messages),
    ):
        if rows:
            # A column in which nothing stands would only take the others' room.
            columns = [name for name in rows[0] if any(row[name] not in {None, ""} for row in rows)]
            cells = [[_cell(name, row[name]) for name in columns] for row in rows]
            table(title, [_named(name) for name in columns], cells)


def _named(column: str) -> str:
    return column.removesuffix("_cents").replace("_", " ")


def _cell(column: str, value: Any) -> Any:
    from lifecycle_jobs.history import euros

    if isinstance(value, bool):
        return "yes" if value else "no"
    return euros(value) if column.endswith("_cents") else value
