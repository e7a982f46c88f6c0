"""`method` and `autorenew`: what a holder's boxes are charged to, and whether they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import say

if TYPE_CHECKING:
    from lifecycle_jobs.accounts import NewMethod
    from lifecycle_jobs.accounts.methods import MovedBox

method = typer.Typer(help="Payment methods of a holder: cards, PayPal accounts, credit.", no_args_is_help=True)
autorenew = typer.Typer(help="Let a box renew itself, or not.", no_args_is_help=True)

_FROM_INPUT = "-"

_Kind = Annotated[Literal["card", "paypal", "credit"], typer.Option("--kind", help="What it is.")]
_Token = Annotated[
    str | None,
    typer.Option(
        "--token", help="What the gateway calls it (not for credit); `-` reads it from the input.", show_default=False
    ),
]
_Brand = Annotated[str | None, typer.Option("--brand", help="Of a card, e.g. visa.", show_default=False)]
_Last4 = Annotated[str | None, typer.Option("--last4", help="Last four digits of a card.", show_default=False)]
_Expires = Annotated[
    str | None, typer.Option("--expires", metavar="MM/YYYY", help="As printed on a card.", show_default=False)
]
_NewId = Annotated[
    str | None, typer.Option("--id", help="The id to store it under (default: a new one).", show_default=False)
]
_GatewayCustomer = Annotated[
    str | None,
    typer.Option(
        "--gateway-customer", metavar="ID", help="The holder at the gateway, if new there.", show_default=False
    ),
]
_Method = Annotated[str, typer.Argument(metavar="METHOD", help="Its id.")]
_Address = Annotated[str, typer.Argument(metavar="ADDRESS")]


@method.command("register")
@operation
def register(
    ask: Ask,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The holder's id.")],
    kind: _Kind = "card",
    token: _Token = None,
    brand: _Brand = None,
    last4: _Last4 = None,
    expires: _Expires = None,
    id_: _NewId = None,
    gateway_customer: _GatewayCustomer = None,
) -> None:
    """Store a payment method of a holder. Nothing is charged to it until auto-renew is switched on."""
    from lifecycle_jobs.accounts import register_method

    new = _typed(kind, token, brand, last4, expires, id_, gateway_customer)
    stored = register_method(ask.store, ask.operator, customer, new, request_id=ask.request_id)
    if ask.printed(stored):
        return
    say(f"Stored as {stored.payment_method_id}. To charge a box to it: lifecycle-jobs autorenew on ADDRESS")


@method.command("replace")
@operation
def replace(
    ask: Ask,
    payment_method_id: _Method,
    kind: _Kind = "card",
    token: _Token = None,
    brand: _Brand = None,
    last4: _Last4 = None,
    expires: _Expires = None,
    id_: _NewId = None,
    gateway_customer: _GatewayCustomer = None,
) -> None:
    """Put another method in its place: the boxes that were charged to it are charged to the new one."""
    from lifecycle_jobs.accounts import replace_method

    new = _typed(kind, token, brand, last4, expires, id_, gateway_customer)
    replaced = replace_method(ask.store, ask.catalog, ask.operator, payment_method_id, new, request_id=ask.request_id)
    if ask.printed(replaced):
        return
    say(f"{payment_method_id} is replaced by {replaced.payment_method_id}.")
    for box in replaced.boxes:
        say(_what_now(box))


@method.command("remove")
@operation
def remove(
    ask: Ask,
    payment_method_id: _Method,
) -> None:
    """Forget a payment method; auto-renew goes off where it was charged."""
    from lifecycle_jobs.accounts import remove_method

    removed = remove_method(ask.store, ask.operator, payment_method_id, request_id=ask.request_id)
    if ask.printed(removed):
        return
    say(f"{payment_method_id} is removed.")
    for box in removed.boxes:
        if box.switched_off:
            say(f"{box.address} does not renew itself any more; it expires on {box.expires_on}.")
        if box.being_charged:
            say(_CHARGING.format(address=box.address))


@autorenew.command("on")
@operation
def switch_on(
    ask: Ask,
    address: _Address,
    method_id: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="ID",
            help="What to charge (default: the box's, or the holder's only one).",
            show_default=False,
        ),
    ] = None,
    years: Annotated[
        int | None,
        typer.Option(
            "--years", min=1, max=5, help="For how many years each time (default: as before).", show_default=False
        ),
    ] = None,
) -> None:
    """Let a box renew itself."""
    from lifecycle_jobs.accounts import switch_auto_renew_on

    switched = switch_auto_renew_on(
        ask.store,
        ask.catalog,
        ask.operator,
        address,
        request_id=ask.request_id,
        payment_method_id=method_id,
        years=years,
    )
    if ask.printed(switched):
        return
    already = "" if switched.changed else " already"
    say(f"{switched.address} renews itself{already}, for {switched.years} year(s), with {switched.payment_method_id}.")
    if switched.charge_on is None:
        say(f"The term that ends on {switched.expires_on} is not charged any more: it has to be renewed by hand.")
    else:
        say(f"It is charged on {switched.charge_on}.")
    if switched.being_charged:
        say(_CHARGING.format(address=switched.address))


@autorenew.command("off")
@operation
def switch_off(
    ask: Ask,
    address: _Address,
) -> None:
    """Let a box not renew itself any more; its payment method stays stored."""
    from lifecycle_jobs.accounts import switch_auto_renew_off

    switched = switch_auto_renew_off(ask.store, ask.operator, address, request_id=ask.request_id)
    if ask.printed(switched):
        return
    if switched.changed:
        say(f"{switched.address} does not renew itself any more; it expires on {switched.expires_on}.")
    else:
        say(f"{switched.address} did not renew itself. Nothing was done.")
    if switched.being_charged:
        say(_CHARGING.format(address=switched.address))


_CHARGING = "{address} is being charged, and nobody knows the outcome yet; if it was charged, it is renewed."


def _what_now(box: MovedBox) -> str:
    """What becomes of a box whose method was replaced."""
    if box.being_charged:
        return _CHARGING.format(address=box.address)
    if not box.auto_renew:
        return f"{box.address} does not renew itself; it expires on {box.expires_on}."
    if box.charge_on is not None:
        return f"{box.address} is charged on {box.charge_on}."
    how = (
        f"lifecycle-jobs autorenew off {box.address}, then order renew"
        if box.open_order is None
        else f"lifecycle-jobs order pay {box.open_order}"
    )
    return f"{box.address} is not charged in this term any more: it has to be renewed by hand ({how})."


def _typed(
    kind: Literal["card", "paypal", "credit"],
    token: str | None,
    brand: str | None,
    last4: str | None,
    expires: str | None,
    id_: str | None,
    gateway_customer: str | None,
) -> NewMethod:
    from lifecycle_jobs.accounts import NewMethod

    if token == _FROM_INPUT:
        token = typer.get_text_stream("stdin").readline().strip() or None
    if last4 is not None and not re.fullmatch(r"[0-9]{4}", last4):
        message = f"{last4!r} are not the last four digits of a card"
        raise typer.BadParameter(message)
    month, year = _month_and_year(expires)
    return NewMethod(kind, token, brand, last4, month, year, id_, gateway_customer)


def _month_and_year(expires: str | None) -> tuple[int | None, int | None]:
    if expires is None:
        return None, None
    read = re.fullmatch(r"(0[1-9]|1[0-2])/(20[0-9]{2})", expires)
    if read is None:
        message = f"{expires!r} is not when a card ends; write it as 03/2027"
        raise typer.BadParameter(message)
    return int(read[1]), int(read[2])
