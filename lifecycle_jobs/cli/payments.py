"""`reconcile`, `charges`, `refunds` and `payments`: money that needs a person."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import complain, counts, print_json, progress_bar, say
from lifecycle_jobs.cli.review import show_listing
from lifecycle_jobs.cli.setting import By, Config, Json, Why, open_office
from lifecycle_jobs.cli.stopping import stoppable
from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.accounts import Paid

charges = typer.Typer(help="Charges of which nobody knows whether they were made.", no_args_is_help=True)
refunds = typer.Typer(help="Unapplied payments: what no order took is given back.", no_args_is_help=True)
payments = typer.Typer(help="Payments that came in by another way than the gateway (order pay).", no_args_is_help=True)

_Key = Annotated[str, typer.Argument(metavar="KEY", help="As `status` or `refunds list` shows it.")]


def reconcile(config: Config = None, json: Json = False, by: By = None, why: Why = None) -> None:
    """Look up every unresolved charge at the gateway now, as each run does first."""
    from lifecycle_jobs.between_runs import reconcile as reconcile_now

    with open_office(config) as office:
        with progress_bar() as shown, stoppable(shown) as progress:
            report = reconcile_now(office.store, office.settings, office.operator(by, why), progress)
        if json:
            print_json({"done": report.done, "left": report.skipped, "failures": report.failures})
        else:
            say(f"Settled: {counts(report.done) or 'nothing'}. Left: {counts(report.skipped) or 'nothing'}.")
        for failure in report.failures:
            complain(f"! {failure}")
        if report.failures:
            raise typer.Exit(1)


@charges.command("resolve")
def resolve(
    key: _Key,
    paid: Annotated[
        str | None, typer.Option("--paid", metavar="REFERENCE", help="The gateway has made it, under this reference.")
    ] = None,
    not_made: Annotated[bool, typer.Option("--not-made", help="The gateway has not made it and never will.")] = False,
    config: Config = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Say what became of a charge that the gateway does not tell us about. Look at the gateway's own pages first."""
    from lifecycle_jobs.accounts import RESOLVED, resolve_charge
    from lifecycle_jobs.accounts import not_made as said_not_made
    from lifecycle_jobs.payments.gateway import Succeeded

    if (paid is None) is not not_made:
        message = "Say either --paid REFERENCE or --not-made."
        raise Refused(message)
    if not_made and not why:
        message = "--not-made needs --why TEXT: how do you know? If it was made after all, the holder is charged twice."
        raise Refused(message)
    said = said_not_made(str(why)) if paid is None else Succeeded(reference_of(paid, "--paid"))
    with open_office(config) as office:
        result = resolve_charge(office.store, office.settings, office.operator(by, why), key, said)
    if result == "to_be_refunded":
        complain(RESOLVED[result])
        raise typer.Exit(1)
    say(RESOLVED[result])


@refunds.command("list")
def list_refunds(config: Config = None, json: Json = False) -> None:
    """List the payments that are to be given back."""
    from lifecycle_jobs import status as state

    with open_office(config) as office, office.store.read() as connection:
        found = state.list_refunds(connection, office.today)
        if json:
            print_json(found.rows)
        elif found.total:
            show_listing("Unapplied: to be refunded, or applied", found)
        else:
            say("Nothing is to be refunded.")


@refunds.command("send")
def send_refund(key: _Key, config: Config = None, by: By = None, why: Why = None) -> None:
    """Give a charge back through the gateway. Asked again after a lost answer, it is still given back once."""
    from lifecycle_jobs.payments.gateway import Refunded
    from lifecycle_jobs.payments.gateways import open_gateway
    from lifecycle_jobs.payments.refunds import give_back

    with open_office(config) as office:
        answer = give_back(office.store, open_gateway(office.settings), office.operator(by, why).operation(), key)
    if isinstance(answer, Refunded):
        say(f"Given back: {answer.reference}.")
        return
    complain(
        f"The gateway did not give it back: {answer.why}."
        if answer.certain
        else f"The gateway did not say whether it gave it back ({answer.why}). Ask again: it is given back once."
    )
    raise typer.Exit(1)


@refunds.command("done")
def note_refund(
    key: _Key,
    reference: Annotated[str, typer.Option("--reference", help="What the bank calls the refund.")],
    config: Config = None,
    by: By = None,
    why: Why = None,
) -> None:
    """Record that a payment was given back by another way than the gateway."""
    from lifecycle_jobs.payments.refunds import note

    with open_office(config) as office:
        operation = office.operator(by, why).operation()
        note(office.store, operation, key, reference=reference_of(reference, "--reference"))
    say("Recorded as given back.")


@payments.command("apply")
@operation
def apply(
    ask: Ask,
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="Its reference, as `refunds list` shows it.")],
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The number of an order of exactly that amount.")],
) -> None:
    """Apply a payment that its own order could not take to another order, and renew that one's box."""
    from lifecycle_jobs.accounts import apply_payment

    paid = apply_payment(ask.store, ask.catalog, ask.operator, payment, order, request_id=ask.request_id)
    show_paid(ask, paid)


def show_paid(ask: Ask, paid: Paid) -> None:
    """What came of a payment; exit code 1 if it is unapplied."""
    machine = ask.printed(paid)
    if paid.known and not machine:
        say("This payment was registered before. Nothing was done.")
    elif paid.applied and not machine:
        what = f"has {paid.addon_id}" if paid.addon_id else "is renewed"
        say(f"Order {paid.order_number} is paid, and {paid.address} {what} until {paid.expires_on}.")
        if paid.renews_itself:
            say("It renews itself.")
        if paid.hint:
            say(f"It does not renew itself. {paid.hint}")
    if not paid.applied:
        complain(
            f"Order {paid.order_number} did not take it: {paid.unapplied_because}. The money is kept as an unapplied "
            f"payment: give it back (lifecycle-jobs refunds list), or lifecycle-jobs payments apply {paid.reference} "
            "ORDER."
        )
        raise typer.Exit(1)


def reference_of(written: str, option: str) -> str:
    """What tells one payment from another: nothing is told by an empty one, or by blanks around it."""
    reference = written.strip()
    if not reference:
        message = f"{option} is empty: say what the bank or the gateway calls the payment."
        raise typer.BadParameter(message)
    return reference


def cents_of(written: str) -> int:
    """An amount in euros, as typed."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", written) or not Decimal(written):
        message = f"{written!r} is not an amount in euros; write it as 12.08"
        raise typer.BadParameter(message)
    return int(Decimal(written) * 100)
