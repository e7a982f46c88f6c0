"""Lives of a provider: any operation on any day, and the jobs, in the program and in the model of SPEC side by side."""

from __future__ import annotations

from tests.properties.rules.boxes import Boxes
from tests.properties.rules.corrections import Corrections
from tests.properties.rules.days import Days
from tests.properties.rules.methods import Methods
from tests.properties.rules.orders import Orders
from tests.properties.rules.space import Space

OPERATIONS = (
    "order renew",
    "order renew --expiring",
    "order pay",
    "order pay --from-credit",
    "order cancel",
    "payments apply",
    "refunds done",
    "refunds send",
    "charges resolve",
    "autorenew on",
    "autorenew off",
    "method register",
    "method replace",
    "method remove",
    "box cancel",
    "box withdraw",
    "box hold",
    "box release",
    "box suspend",
    "box lift",
    "box buy",
    "box undo-renewal",
    "box revive",
    "credit register",
    "credit topup",
    "addon buy",
    "addon order",
    "addon cancel",
    "domain renew",
    "domain release",
)


class Accounts(Days, Orders, Methods, Boxes, Space, Corrections):
    """All that may happen."""
