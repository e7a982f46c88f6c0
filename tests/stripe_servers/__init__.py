"""Something to charge against that behaves like Stripe, in processes of its own, on loopback.

`StripeServer` starts a front that every request goes through. Behind it is one of two:

- **localstripe** (`localstripe=True`), which none of us wrote. From it come customers, cards, attaching, PaymentIntents
  and what they turn into, declines (always `card_declined`), 3-D Secure, refunds. Tests of it are called
  `test_localstripe_…`.
- **Recorded behaviour** (the default), which is ours: it answers at once and from memory, as Stripe's documentation
  says that Stripe does, by token (see `bank.py`). Several hundred requests a second.

The front is ours, and supplies in both cases: the store of idempotency keys (answers replayed, 400 for other
parameters, 409 while the first is at work), 401 for a key that is none, 400 for parameters that were withdrawn,
filters on lists, search with a lag, PayPal methods, `charge_already_refunded`, and everything that goes wrong on
purpose (`FAULTS` in `faults.py`). It writes a journal of what moved money, before it answers.
"""

from __future__ import annotations

from tests.stripe_servers.journal import Charge, Refund
from tests.stripe_servers.process import API_KEY, StripeServer

__all__ = ["API_KEY", "Charge", "Refund", "StripeServer"]
