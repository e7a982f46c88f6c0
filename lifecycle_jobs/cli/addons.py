"""`addon`: extra space for a box, bought and given up between two renewals."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lifecycle_jobs.cli.operating import Ask, operation
from lifecycle_jobs.cli.output import print_json, say
from lifecycle_jobs.cli.setting import Config, Json, Office, open_office
from lifecycle_jobs.errors import Refused

if TYPE_CHECKING:
    from lifecycle_jobs.accounts import AddonQuote, Extra, OrderedAddon

addon = typer.Typer(help="Extra space for a box.", no_args_is_help=True)

_Address = Annotated[str, typer.Argument(metavar="ADDRESS")]
_Inbox = Annotated[
    int, typer.Option("--extra-inbox", metavar="GB", min=0, help="How many GB more for the inbox.", show_default=False)
]
_Archive = Annotated[
    int,
    typer.Option("--extra-archive", metavar="GB", min=0, help="How many GB more for the archive.", show_default=False),
]


@addon.command("quote")
def quote(
    address: _Address, inbox: _Inbox = 0, archive: _Archive = 0, config: Config = None, json: Json = False
) -> None:
    """Show what extra space costs; buys nothing."""
    with open_office(config) as office:
        _show_quote(_quoted(office, address, _extra(inbox, archive)), json=json)


@addon.command("buy")
@operation
def buy(
    ask: Ask,
    address: _Address,
    inbox: _Inbox = 0,
    archive: _Archive = 0,
    pay: Annotated[
        Literal["credit", "bank_transfer", "card", "paypal"],
        typer.Option("--pay", help="Credit pays at once, and each renewal; otherwise an order waits for its payment."),
    ] = "credit",
    only_quote: Annotated[bool, typer.Option("--quote", help="Only show what it costs.")] = False,
) -> None:
    """Buy extra space from the holder's credit, or order it; ordered, it is on the renewal from then on."""
    from lifecycle_jobs.accounts import buy_addon, order_addon
    from lifecycle_jobs.history import euros

    extra = _extra(inbox, archive)
    if only_quote:
        _show_quote(_quoted(ask.office, address, extra), json=ask.json)
        return
    if pay != "credit":
        ordered = order_addon(ask.store, ask.catalog, ask.operator, address, extra, pay, request_id=ask.request_id)
        _show_ordered(ask, ordered)
        return
    bought = buy_addon(ask.store, ask.catalog, ask.operator, address, extra, request_id=ask.request_id)
    if ask.printed(bought):
        return
    paid = f"for {euros(bought.gross_cents)}" if bought.gross_cents else "free of charge"
    say(
        f"{bought.address} has {bought.quantity} GB more as {bought.addon_id}, {paid} until {bought.paid_until}. "
        f"Credit left: {euros(bought.balance_cents)}."
    )


@addon.command("cancel")
@operation
def cancel(
    ask: Ask,
    addon_id: Annotated[str, typer.Argument(metavar="ADDON", help="Its id, as `customer show` has it.")],
) -> None:
    """Give extra space up at the end of what is paid."""
    from lifecycle_jobs.accounts import cancel_addon

    cancelled = cancel_addon(ask.store, ask.operator, addon_id, request_id=ask.request_id)
    if ask.printed(cancelled):
        return
    say(f"{cancelled.address} keeps {addon_id} up to and including {cancelled.ends_on}; it is not renewed.")


def _show_ordered(ask: Ask, ordered: OrderedAddon) -> None:
    from lifecycle_jobs.history import euros

    if ask.printed(ordered):
        return
    if ordered.order_number is None:
        say(
            f"{ordered.address} has {ordered.quantity} GB more as {ordered.addon_id}, free of charge until "
            f"{ordered.paid_until}; from then on its renewal includes it."
        )
    else:
        say(
            f"Ordered as {ordered.order_number}: {euros(ordered.gross_cents)} for {ordered.years} year(s), until "
            f"{ordered.paid_until}. {ordered.address} has it once that is paid (lifecycle-jobs order pay)."
        )


def _extra(inbox: int, archive: int) -> Extra:
    from lifecycle_jobs.accounts import Extra

    if bool(inbox) is bool(archive):
        raise Refused("Say what is wanted: either --extra-inbox GB or --extra-archive GB.")
    return Extra("extra_inbox", inbox) if inbox else Extra("extra_archive", archive)


def _quoted(office: Office, address: str, extra: Extra) -> AddonQuote:
    from lifecycle_jobs.accounts import quote_addon

    return quote_addon(office.store, office.settings.catalog(), address, extra, office.today)


def _show_quote(quoted: AddonQuote, *, json: bool) -> None:
    from lifecycle_jobs.history import euros

    if json:
        print_json(asdict(quoted) | {"shortfall_cents": quoted.shortfall_cents})
        return
    now = f"{euros(quoted.gross_cents)} now, for {quoted.years} year(s)" if quoted.years else "nothing now: it is free"
    say(
        f"{quoted.quantity} GB more for {quoted.address}: {now} until {quoted.paid_until}; after that "
        f"{euros(quoted.yearly_gross_cents)} a year."
    )
    missing = f", {euros(quoted.shortfall_cents)} missing" if quoted.shortfall_cents else ""
    say(f"Credit: {euros(quoted.balance_cents)}{missing}.")
