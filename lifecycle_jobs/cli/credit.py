"""`credit`: what holders have paid ahead."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import complain, print_json, say, table
from lifecycle_jobs.cli.payments import cents_of, reference_of
from lifecycle_jobs.cli.setting import Config, Json, open_office, parse_date

credit = typer.Typer(help="What holders have paid ahead.", no_args_is_help=True)

_Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The holder's id.")]
_Amount = Annotated[str, typer.Option("--amount", metavar="EUROS", help="How much, e.g. 10.00.")]


@credit.command("topup")
@operation
def topup(
    ask: Ask,
    customer: _Customer,
    amount: _Amount,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="ID", help="What to charge (default: the holder's only one).", show_default=False
        ),
    ] = None,
) -> None:
    """Charge a holder's card or PayPal account for his credit. Typed again under its id, it is charged once."""
    from lifecycle_jobs.accounts import top_up_by_card
    from lifecycle_jobs.history import euros
    from lifecycle_jobs.payments.gateways import open_gateway

    topped_up = top_up_by_card(
        ask.store,
        ask.office.settings,
        open_gateway(ask.office.settings),
        ask.operator,
        customer,
        amount_cents=cents_of(amount),
        request_id=ask.request_id,
        payment_method_id=method,
    )
    if ask.printed(topped_up):
        pass
    elif topped_up.state == "succeeded":
        say(f"Charged as {topped_up.order_number}. Credit: {euros(topped_up.balance_cents or 0)}.")
    elif topped_up.state == "unknown":
        complain(
            f"Nobody knows yet whether it was charged ({topped_up.order_number}). It is looked up, never charged "
            f"again: lifecycle-jobs reconcile, or the same command with --request-id {ask.request_id}."
        )
    elif topped_up.state == "declined":
        complain(f"Declined ({topped_up.decline_code}); nothing was charged. Have it paid by another method.")
    else:
        complain("The gateway could not be reached; nothing was charged. Try again, under a new request id.")
    if topped_up.state != "succeeded":
        raise typer.Exit(1)


@credit.command("register")
@operation
def register(
    ask: Ask,
    customer: _Customer,
    amount: _Amount,
    reference: Annotated[str, typer.Option("--reference", help="What the bank calls the payment.")],
    paid_on: Annotated[
        str | None,
        typer.Option("--paid-on", metavar="DATE", help="When, as the bank says (default: today).", show_default=False),
    ] = None,
    paid_by: Annotated[
        Literal["bank_transfer", "card", "paypal"], typer.Option("--paid-by", help="How.")
    ] = "bank_transfer",
) -> None:
    """Register money that arrived for a holder's credit by another way than the gateway."""
    from lifecycle_jobs.accounts import register_top_up
    from lifecycle_jobs.history import euros

    topped_up = register_top_up(
        ask.store,
        ask.operator,
        customer,
        amount_cents=cents_of(amount),
        reference=reference_of(reference, "--reference"),
        paid_on=ask.today if paid_on is None else parse_date(paid_on),
        paid_by=paid_by,
        request_id=ask.request_id,
    )
    if ask.printed(topped_up):
        pass
    elif topped_up.known:
        say(f"This payment was registered before. Nothing was done. Credit: {euros(topped_up.balance_cents)}.")
    else:
        say(f"Registered as {topped_up.order_number}. Credit: {euros(topped_up.balance_cents)}.")


@credit.command("statement")
def statement(
    customer: _Customer,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="Only what happened from this day on.", show_default=False),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show a holder's credit, entry by entry."""
    from lifecycle_jobs.accounts import state_credit
    from lifecycle_jobs.history import euros

    with open_office(config) as office, office.store.read() as connection:
        stated = state_credit(connection, customer, None if since is None else parse_date(since))
    if json:
        print_json(asdict(stated))
        return
    rows = [
        (
            entry.occurred_on,
            entry.reason,
            entry.reference,
            euros(entry.amount_cents),
            euros(entry.balance_after_cents),
        )
        for entry in stated.entries
    ]
    columns = ("on", "for", "order", "amount", "credit")
    table(f"{customer} has {euros(stated.balance_cents)}", columns, rows, right=("amount", "credit"))
