"""`box`: what is done to one box, by its holder or by the office."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import say
from lifecycle_jobs.cli.payments import cents_of, reference_of
from lifecycle_jobs.cli.setting import parse_date

box = typer.Typer(help="What is done to one box, by its holder or by the office.", no_args_is_help=True)

_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The box's address.")]
_PayBy = Literal["bank_transfer", "card", "paypal", "credit", "agreement"]
_Reason = Annotated[str, typer.Option("--reason", help="Kept with the box; not told to its holder.")]


@box.command("cancel")
@operation
def cancel(
    ask: Ask,
    address: _Address,
) -> None:
    """Record the holder's notice: the box is not charged for or warned of any more, and ends with its term."""
    from lifecycle_jobs.accounts import cancel_box

    cancelled = cancel_box(ask.store, ask.operator, address, request_id=ask.request_id)
    if ask.printed(cancelled):
        return
    say(f"{cancelled.address} is cancelled: it ends on {cancelled.expires_on}.")
    if cancelled.being_charged:
        say(
            "It is being charged, and nobody knows the outcome yet: if the bank has made the charge, the box is "
            f"renewed all the same (then: lifecycle-jobs box undo-renewal {cancelled.address})."
        )
    if cancelled.open_order is not None:
        say(
            f"Order {cancelled.open_order} still waits for its payment, and would renew the box "
            f"(lifecycle-jobs order cancel {cancelled.open_order})."
        )


@box.command("withdraw")
@operation
def withdraw(
    ask: Ask,
    address: _Address,
) -> None:
    """Withdraw the holder's notice, up to and including the box's last day."""
    from lifecycle_jobs.accounts import withdraw_cancellation

    withdrawn = withdraw_cancellation(ask.store, ask.operator, address, request_id=ask.request_id)
    if ask.printed(withdrawn):
        return
    renewal = "renews itself" if withdrawn.renews_itself else "is to be renewed by hand"
    say(f"{withdrawn.address} is not cancelled any more: it expires on {withdrawn.expires_on} and {renewal}.")


@box.command("hold")
@operation
def hold(
    ask: Ask,
    address: _Address,
    reason: _Reason,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="DATE", help="The last day, inclusive (default: until released).", show_default=False
        ),
    ] = None,
) -> None:
    """Hold a box in a dispute or by order of a court: it is not charged by itself, not suspended and not deleted."""
    from lifecycle_jobs.accounts import hold_box

    end = None if until is None else parse_date(until)
    held = hold_box(ask.store, ask.operator, address, reason=reason, until=end, request_id=ask.request_id)
    if not ask.printed(held):
        say(f"{held.address} is on hold {'until it is released' if held.until is None else f'until {held.until}'}.")


@box.command("release")
@operation
def release(
    ask: Ask,
    address: _Address,
) -> None:
    """End the hold of a box; it is deleted 30 days from now at the earliest."""
    from lifecycle_jobs.accounts import release_box

    released = release_box(ask.store, ask.operator, address, request_id=ask.request_id)
    past = released.expires_on < ask.today
    if ask.printed(released):
        return
    say(f"{released.address} is not on hold any more.")
    if past:
        say(f"It has ended on {released.expires_on}: the next run suspends it, unless it is renewed.")


@box.command("suspend")
@operation
def suspend(
    ask: Ask,
    address: _Address,
    reason: _Reason,
) -> None:
    """Suspend a box by hand: the platform blocks it, payment does not revive it, and it is not deleted."""
    from lifecycle_jobs.accounts import suspend_box

    suspended = suspend_box(ask.store, ask.operator, address, reason=reason, request_id=ask.request_id)
    if not ask.printed(suspended):
        say(f"{suspended.address} is suspended by hand, since {suspended.suspended_on}.")


@box.command("lift")
@operation
def lift(
    ask: Ask,
    address: _Address,
) -> None:
    """Lift a suspension by hand; a box that is past its last day stays suspended, for want of payment."""
    from lifecycle_jobs.accounts import lift_suspension

    lifted = lift_suspension(ask.store, ask.catalog, ask.operator, address, request_id=ask.request_id)
    if ask.printed(lifted):
        return
    if lifted.unpaid:
        say(
            f"{lifted.address} is not suspended by hand any more, but it has ended on {lifted.expires_on}: it is "
            f"suspended for want of payment. Its renewal revives it (lifecycle-jobs order renew {lifted.address})."
        )
    else:
        say(f"{lifted.address} is active again.")


@box.command("buy")
@operation
def buy(
    ask: Ask,
    address: _Address,
    customer: Annotated[str, typer.Option("--customer", metavar="ID", help="Whose it is going to be.")],
    plan: Annotated[str, typer.Option("--plan", help="The plan's code.")],
    years: Annotated[
        int | None, typer.Option("--years", min=1, max=5, help="For how many years.", show_default=False)
    ] = None,
    pay: Annotated[
        _PayBy | None, typer.Option("--pay", help="How it is paid, unless it costs nothing.", show_default=False)
    ] = None,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="EUROS", help="What arrived, e.g. 12.08.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="What the bank calls it; of an unapplied payment too.", show_default=False),
    ] = None,
    paid_on: Annotated[
        str | None,
        typer.Option("--paid-on", metavar="DATE", help="When, as the bank says (default: today).", show_default=False),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="ID", help="The stored method that it renews itself by.", show_default=False),
    ] = None,
    no_auto_renew: Annotated[
        bool, typer.Option("--no-auto-renew", help="Do not let the box renew itself although a card or PayPal paid.")
    ] = False,
    domain: Annotated[
        str | None,
        typer.Option("--domain", metavar="NAME", help="The domain it comes with, instead of --years."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="Until when a domain is paid that has no box yet."),
    ] = None,
) -> None:
    """Sell a box that is paid: a new address, or a deleted one to its former holder. It works from today."""
    from lifecycle_jobs.accounts import FirstPayment, Purchase, buy_box

    payment = FirstPayment(
        pay,
        None if amount is None else cents_of(amount),
        None if reference is None else reference_of(reference, "--reference"),
        None if paid_on is None else parse_date(paid_on),
    )
    end = None if until is None else parse_date(until)
    purchase = Purchase(customer, address, plan, years, domain, end, method, auto_renew=not no_auto_renew)
    bought = buy_box(ask.store, ask.catalog, ask.operator, purchase, payment, request_id=ask.request_id)
    if ask.printed(bought):
        return
    say(f"{bought.address} is sold until {bought.expires_on} (order {bought.order_number}).")
    if bought.deleted_on is not None:
        say(f"The last box of this address was deleted on {bought.deleted_on}; this one is new and empty.")
    if bought.renews_itself:
        say("It renews itself.")
    if bought.hint:
        say(f"It does not renew itself. {bought.hint}")


@box.command("undo-renewal")
@operation
def undo_renewal(
    ask: Ask,
    address: _Address,
) -> None:
    """Take back the last renewal of a box: a mistake. What was paid is to be refunded; credit goes back at once."""
    from lifecycle_jobs import accounts
    from lifecycle_jobs.history import euros

    undone = accounts.undo_renewal(ask.store, ask.catalog, ask.operator, address, request_id=ask.request_id)
    if ask.printed(undone):
        return
    say(f"{undone.address} ends on {undone.expires_on} again, not on {undone.undone_expires_on}.")
    if undone.credit_cents:
        say(f"{euros(undone.credit_cents)} went back to its holder's credit.")
    if undone.to_refund is not None:
        say(
            f"The payment {undone.to_refund} is to be given back (lifecycle-jobs refunds list); until then nobody "
            "charges or suspends the box."
        )
    if undone.auto_renew_off:
        say("It does not renew itself any more: the next run would have renewed it again.")
    if undone.suspended:
        say("It has ended, and is suspended for want of payment as of today.")


@box.command("revive")
@operation
def revive(
    ask: Ask,
    address: _Address,
    platform_has_it: Annotated[
        bool, typer.Option("--platform-has-it", help="You have looked: the mail platform still has the box.")
    ] = False,
) -> None:
    """Bring back a box that was deleted a few days ago; it is suspended until it is renewed."""
    from lifecycle_jobs.accounts import revive_box

    revived = revive_box(
        ask.store,
        ask.catalog,
        ask.operator,
        address,
        undelete_days=ask.office.settings.deletion.undelete_days,
        platform_has_it=platform_has_it,
        request_id=ask.request_id,
    )
    if ask.printed(revived):
        return
    say(
        f"{revived.address}, deleted on {revived.deleted_on}, is there again. It is suspended for want of payment, and "
        f"may be deleted again from {revived.deletes_on} on, unless it is renewed (lifecycle-jobs order renew "
        f"{revived.address})."
    )
