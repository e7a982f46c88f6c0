"""`order`: renewals that a holder asks for."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from lifecycle_jobs.cli.output import print_json, say, table
from lifecycle_jobs.cli.setting import By, Config, Json, RequestId, Why, open_office, request_id_of
from lifecycle_jobs.errors import Refused

order = typer.Typer(help="Renewals that a holder asks for.", no_args_is_help=True)


class _Pay(StrEnum):
    BANK_TRANSFER = "bank_transfer"
    CARD = "card"
    PAYPAL = "paypal"


@order.command("renew")
def renew(
    years: Annotated[int, typer.Option("--years", min=1, max=5, help="For how many years.")],
    pay: Annotated[_Pay, typer.Option("--pay", help="How the holder is going to pay.")],
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ADDRESS…", help="The boxes, all of one holder.")
    ] = None,
    customer: Annotated[
        str | None, typer.Option("--customer", metavar="ID", help="Whose boxes; others are not found.")
    ] = None,
    within_months: Annotated[
        int | None,
        typer.Option(
            "--within-months",
            metavar="N",
            min=1,
            max=60,
            help="Instead of addresses: all boxes of --customer that expire in N months.",
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Place a renewal order for each box. It waits for its payment, and only that renews the box."""
    from lifecycle_jobs.accounts import Expiring, Wanted, place_renewals
    from lifecycle_jobs.history import euros

    if bool(addresses) is (within_months is not None):
        raise Refused("Name either the boxes, or --customer ID and --within-months N.")
    if within_months is not None and customer is None:
        raise Refused("--within-months needs --customer ID: whose boxes?")
    request_id = request_id_of(request_id)
    which = Expiring(customer, within_months) if customer and within_months else list(addresses or ())
    with open_office(config) as office:
        placed = place_renewals(
            office.store,
            office.settings.catalog(),
            office.operator(by, why),
            which,
            Wanted(years, pay.value),
            request_id=request_id,
            customer_id=customer,
        )
    if json:
        print_json({"request_id": request_id, "gross": euros(placed.gross_cents)} | asdict(placed))
        return
    rows = [
        (order.order_number, order.address, order.expires_on, order.renews_until, euros(order.gross_cents))
        for order in placed.orders
    ]
    columns = ("order", "box", "expires on", "paid, until", "gross")
    table(f"To be paid: {euros(placed.gross_cents)} (request {request_id})", columns, rows, right=("gross",))
    for reason in placed.left_out:
        say(f"Left out: {reason}")
