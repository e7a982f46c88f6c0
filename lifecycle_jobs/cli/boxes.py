"""`box`: what is done to one box, by its holder or by the office."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from lifecycle_jobs.cli.output import print_json, say
from lifecycle_jobs.cli.payments import cents_of, reference_of
from lifecycle_jobs.cli.setting import By, Config, Json, RequestId, Why, open_office, parse_date, request_id_of

box = typer.Typer(help="What is done to one box, by its holder or by the office.", no_args_is_help=True)

_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The box's address.")]
_PayBy = Literal["bank_transfer", "card", "paypal", "credit", "agreement"]
_Reason = Annotated[str, typer.Option("--reason", help="Kept with the box; not told to its holder.")]


@box.command("cancel")
def cancel(
    address: _Address,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Record the holder's notice: the box is not charged for or warned of any more, and ends with its term."""
    from lifecycle_jobs.accounts import cancel_box

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        cancelled = cancel_box(office.store, office.operator(by, why), address, request_id=request_id)
    if _shown_as_json(request_id, cancelled, json=json):
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
def withdraw(
    address: _Address,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Withdraw the holder's notice, up to and including the box's last day."""
    from lifecycle_jobs.accounts import withdraw_cancellation

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        withdrawn = withdraw_cancellation(office.store, office.operator(by, why), address, request_id=request_id)
    if _shown_as_json(request_id, withdrawn, json=json):
        return
    renewal = "renews itself" if withdrawn.renews_itself else "is to be renewed by hand"
    say(f"{withdrawn.address} is not cancelled any more: it expires on {withdrawn.expires_on} and {renewal}.")


@box.command("hold")
def hold(
    address: _Address,
    reason: _Reason,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="DATE", help="The last day, inclusive (default: until released).", show_default=False
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Hold a box in a dispute or by order of a court: it is not charged by itself, not suspended and not deleted."""
    from lifecycle_jobs.accounts import hold_box

    request_id = request_id_of(request_id)
    end = None if until is None else parse_date(until)
    with open_office(config) as office:
        operator = office.operator(by, why)
        held = hold_box(office.store, operator, address, reason=reason, until=end, request_id=request_id)
    if not _shown_as_json(request_id, held, json=json):
        say(f"{held.address} is on hold {'until it is released' if held.until is None else f'until {held.until}'}.")


@box.command("release")
def release(
    address: _Address,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """End the hold of a box; it is deleted 30 days from now at the earliest."""
    from lifecycle_jobs.accounts import release_box

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        released = release_box(office.store, office.operator(by, why), address, request_id=request_id)
        past = released.expires_on < office.today
    if _shown_as_json(request_id, released, json=json):
        return
    say(f"{released.address} is not on hold any more.")
    if past:
        say(f"It has ended on {released.expires_on}: the next run suspends it, unless it is renewed.")


@box.command("suspend")
def suspend(
    address: _Address,
    reason: _Reason,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Suspend a box by hand: the platform blocks it, payment does not revive it, and it is not deleted."""
    from lifecycle_jobs.accounts import suspend_box

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        operator = office.operator(by, why)
        suspended = suspend_box(office.store, operator, address, reason=reason, request_id=request_id)
    if not _shown_as_json(request_id, suspended, json=json):
        say(f"{suspended.address} is suspended by hand, since {suspended.suspended_on}.")


@box.command("lift")
def lift(
    address: _Address,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Lift a suspension by hand; a box that is past its last day stays suspended, for want of payment."""
    from lifecycle_jobs.accounts import lift_suspension

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        operator, catalog = office.operator(by, why), office.settings.catalog()
        lifted = lift_suspension(office.store, catalog, operator, address, request_id=request_id)
    if _shown_as_json(request_id, lifted, json=json):
        return
    if lifted.unpaid:
        say(
            f"{lifted.address} is not suspended by hand any more, but it has ended on {lifted.expires_on}: it is "
            f"suspended for want of payment. Its renewal revives it (lifecycle-jobs order renew {lifted.address})."
        )
    else:
        say(f"{lifted.address} is active again.")


@box.command("buy")
def buy(
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
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Sell a box that is paid: a new address, or a deleted one to its former holder. It works from today."""
    from lifecycle_jobs.accounts import FirstPayment, Purchase, buy_box

    request_id = request_id_of(request_id)
    payment = FirstPayment(
        pay,
        None if amount is None else cents_of(amount),
        None if reference is None else reference_of(reference, "--reference"),
        None if paid_on is None else parse_date(paid_on),
    )
    end = None if until is None else parse_date(until)
    purchase = Purchase(customer, address, plan, years, domain, end, method, auto_renew=not no_auto_renew)
    with open_office(config) as office:
        catalog, operator = office.settings.catalog(), office.operator(by, why)
        bought = buy_box(office.store, catalog, operator, purchase, payment, request_id=request_id)
    if _shown_as_json(request_id, bought, json=json):
        return
    say(f"{bought.address} is sold until {bought.expires_on} (order {bought.order_number}).")
    if bought.deleted_on is not None:
        say(f"The last box of this address was deleted on {bought.deleted_on}; this one is new and empty.")
    if bought.renews_itself:
        say("It renews itself.")
    if bought.hint:
        say(f"It does not renew itself. {bought.hint}")


@box.command("undo-renewal")
def undo_renewal(
    address: _Address,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Take back the last renewal of a box: a mistake. What was paid is to be refunded; credit goes back at once."""
    from lifecycle_jobs import accounts
    from lifecycle_jobs.history import euros

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        catalog, operator = office.settings.catalog(), office.operator(by, why)
        undone = accounts.undo_renewal(office.store, catalog, operator, address, request_id=request_id)
    if _shown_as_json(request_id, undone, json=json):
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
def revive(
    address: _Address,
    platform_has_it: Annotated[
        bool, typer.Option("--platform-has-it", help="You have looked: the mail platform still has the box.")
    ] = False,
    config: Config = None,
    json: Json = False,
    by: By = None,
    why: Why = None,
    request_id: RequestId = None,
) -> None:
    """Bring back a box that was deleted a few days ago; it is suspended until it is renewed."""
    from lifecycle_jobs.accounts import revive_box

    request_id = request_id_of(request_id)
    with open_office(config) as office:
        revived = revive_box(
            office.store,
            office.settings.catalog(),
            office.operator(by, why),
            address,
            undelete_days=office.settings.deletion.undelete_days,
            platform_has_it=platform_has_it,
            request_id=request_id,
        )
    if _shown_as_json(request_id, revived, json=json):
        return
    say(
        f"{revived.address}, deleted on {revived.deleted_on}, is there again. It is suspended for want of payment, and "
        f"may be deleted again from {revived.deletes_on} on, unless it is renewed (lifecycle-jobs order renew "
        f"{revived.address})."
    )


def _shown_as_json(request_id: str, result: Any, *, json: bool) -> bool:
    """Print a result for a machine, if it is to be."""
    if json:
        print_json({"request_id": request_id} | asdict(result))
    return json
