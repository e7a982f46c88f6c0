"""Made-up messages about extra space and prepaid credit (see `samples`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.contents import Content
from lifecycle_jobs.mail.purchase_contents import (
    AddonBoughtLine,
    AddonCancelledLine,
    AddonOrderCancelledLine,
    AddonOrderedLine,
    ToppedUpLine,
    TopUpFailedLine,
)
from lifecycle_jobs.mail.sample_letters import AWKWARD, FIRM, content
from lifecycle_jobs.mail.sample_lines import BOX, SECOND, THIRD, E

_DAY: Final = date(2026, 1, 20)
_LATE: Final = date(2027, 1, 10)
_TWO_YEARS: Final = AddonBoughtLine(BOX, "extra_inbox", 1, E, 2, 610, 305, 238, "A-X-4211-1-20260120")
_FREE: Final = AddonBoughtLine(SECOND, "extra_archive", 2, E, 0, 0, 610, 238, None)

_ORDERED: Final = AddonOrderedLine(BOX, "extra_inbox", 1, E, 2, "A-4211-20260120-1", 500, 110, 610, by_transfer=True)
_ON_THE_RENEWAL: Final = AddonBoughtLine(
    BOX, "extra_inbox", 1, E, 2, 610, 305, None, "A-4211-20260120-1", renewal_cents=1513, renewal_years=1
)

PURCHASE_SAMPLES: Final[Mapping[str, tuple[Content, ...]]] = MappingProxyType(
    {
        "addon.bought": (
            content("addon.bought", _DAY, _TWO_YEARS),
            content("addon.bought", _LATE, _FREE, holder=FIRM),
            content("addon.bought", _DAY, _ON_THE_RENEWAL),
            content("addon.bought", _LATE, replace(_ON_THE_RENEWAL, years=0, cost_cents=0, order_number=None)),
            content(
                "addon.bought",
                _DAY,
                AddonBoughtLine(THIRD, "extra_inbox", 3, E, 1, 915, 915, 0, "A-X-1-1"),
                holder=AWKWARD,
            ),
        ),
        "addon.cancelled": (
            content("addon.cancelled", _DAY, AddonCancelledLine(BOX, "extra_inbox", 1, E)),
            content("addon.cancelled", _DAY, AddonCancelledLine(THIRD, "extra_archive", 2, E), holder=AWKWARD),
        ),
        "addon.ordered": (
            content("addon.ordered", _DAY, _ORDERED),
            content("addon.ordered", _DAY, replace(_ORDERED, by_transfer=False), holder=AWKWARD),
        ),
        "addon.order_cancelled": (
            content("addon.order_cancelled", _DAY, AddonOrderCancelledLine(BOX, "A-4211-20260120-1", 610)),
        ),
        "credit.topped_up": (
            content("credit.topped_up", _DAY, ToppedUpLine("T-0F3A52C1", 1000, 1848, by_card=False)),
            content("credit.topped_up", _DAY, ToppedUpLine("T-0F3A52C1", 1000, 1848, by_card=True), holder=AWKWARD),
        ),
        "credit.topup_failed": (
            content("credit.topup_failed", _DAY, TopUpFailedLine("T-0F3A52C1", 1000, declined=True)),
            content("credit.topup_failed", _DAY, TopUpFailedLine("T-0F3A52C1", 1000, declined=False), holder=AWKWARD),
        ),
    }
)
"""Messages to render, by kind."""
