"""`order`: renewals that a holder asks for."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import say, table
from lifecycle_jobs.cli.payments import cents_of, reference_of, show_paid
from lifecycle_jobs.cli.setting import parse_date
from lifecycle_jobs.errors import Refused

order = typer.Typer(help="Renewals that a holder asks for.", no_args_is_help=True)


_PayBy = Literal["bank_transfer", "card", "paypal", "credit"]
_Number = Annotated[str, typer.Argument(metavar="ORDER", help="The order's number, e.g. R-17-20270331.")]


@order.command("renew")
@operation
def renew(
    ask: Ask,
    years: Annotated[int, typer.Option("--years", min=1, max=5, help="For how many years.")],
    pay: Annotated[_PayBy, typer.Option("--pay", help="How the holder is going to pay.")],
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
    plan: Annotated[
        str | None, typer.Option("--plan", help="The plan from then on (default: as it is).", show_default=False)
    ] = None,
    extra_inbox: Annotated[
        int | None,
        typer.Option(
            "--extra-inbox", metavar="GB", min=0, help="Extra inbox paid with it, in all (default: as it is)."
        ),
    ] = None,
    extra_archive: Annotated[
        int | None,
        typer.Option("--extra-archive", metavar="GB", min=0, help="Extra archive paid with it, in all, likewise."),
    ] = None,
    accept_archive_loss: Annotated[
        bool, typer.Option("--accept-archive-loss", help="The holder agrees to lose what the archive has no room for.")
    ] = False,
) -> None:
    """Place a renewal order for each box. It waits for its payment, and only that renews the box."""
    from lifecycle_jobs.accounts import Expiring, Wanted, WantedSpace, place_renewals
    from lifecycle_jobs.history import euros

    if bool(addresses) is (within_months is not None):
        raise Refused("Name either the boxes, or --customer ID and --within-months N.")
    if within_months is not None and customer is None:
        raise Refused("--within-months needs --customer ID: whose boxes?")
    which = Expiring(customer, within_months) if customer and within_months else list(addresses or ())
    placed = place_renewals(
        ask.store,
        ask.catalog,
        ask.operator,
        which,
        Wanted(years, pay, WantedSpace(plan, extra_inbox, extra_archive, accept_archive_loss)),
        request_id=ask.request_id,
        customer_id=customer,
    )
    if ask.printed(placed, gross=euros(placed.gross_cents)):
        return
    rows = [
        (order.order_number, order.address, order.expires_on, order.renews_until, euros(order.gross_cents))
        for order in placed.orders
    ]
    columns = ("order", "box", "expires on", "paid, until", "gross")
    table(f"To be paid: {euros(placed.gross_cents)} (request {ask.request_id})", columns, rows, right=("gross",))
    for reason in placed.left_out:
        say(f"Left out: {reason}")


@order.command("pay")
@operation
def pay(
    ask: Ask,
    number: _Number,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="EUROS", help="What arrived, e.g. 12.08.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="What the bank calls the payment.", show_default=False)
    ] = None,
    paid_on: Annotated[
        str | None,
        typer.Option("--paid-on", metavar="DATE", help="When, as the bank says (default: today).", show_default=False),
    ] = None,
    paid_by: Annotated[
        _PayBy | None,
        typer.Option("--paid-by", help="How (default: as the order says, else bank_transfer).", show_default=False),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="ID", help="The stored card or PayPal account that paid.", show_default=False),
    ] = None,
    no_auto_renew: Annotated[
        bool, typer.Option("--no-auto-renew", help="Do not let the box renew itself although a card or PayPal paid.")
    ] = False,
) -> None:
    """Register the payment of an order, and renew its box. With --paid-by credit the holder's credit pays it now."""
    from lifecycle_jobs.accounts import Payment, pay_from_credit, pay_order

    if paid_by == "credit":
        if amount is not None or reference is not None:
            raise Refused("Credit pays what the order costs: leave out --amount and --reference.")
        paid = pay_from_credit(ask.store, ask.catalog, ask.operator, number, request_id=ask.request_id)
    else:
        if amount is None or reference is None:
            raise Refused("Say what arrived, and what the bank calls it: --amount EUROS --reference TEXT.")
        payment = Payment(
            cents_of(amount),
            reference_of(reference, "--reference"),
            ask.today if paid_on is None else parse_date(paid_on),
            paid_by,
            method,
            auto_renew=not no_auto_renew,
        )
        paid = pay_order(ask.store, ask.catalog, ask.operator, number, payment, request_id=ask.request_id)
    show_paid(ask, paid)


@order.command("cancel")
@operation
def cancel(
    ask: Ask,
    number: _Number,
) -> None:
    """Cancel an order that waits for its payment; its box stays as it is."""
    from lifecycle_jobs.accounts import cancel_order

    cancelled = cancel_order(ask.store, ask.operator, number, request_id=ask.request_id)
    if ask.printed(cancelled):
        return
    say(f"Order {number} is cancelled; {cancelled.address} stays as it is.")
    if cancelled.renews_itself:
        say(
            "It renews itself: another order comes with its next charge, unless that is switched off "
            f"(lifecycle-jobs autorenew off {cancelled.address})."
        )
