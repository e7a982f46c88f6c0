"""The made-up provider and holders of the samples, and the letter that passes between them."""

from __future__ import annotations

from datetime import date
from typing import Final

from lifecycle_jobs.mail.contents import Content, Holder, Line, Links, MessageKind, Sender

SENDER: Final = Sender(
    name="Posta Certificata Esempio",
    website="https://www.example.it",
    support_email="assistenza@example.it",
    support_phone="+39 06 0000 0000",
    legal_line="Posta Certificata Esempio S.r.l., Via di Esempio 1, 00100 Roma - P. IVA 00000000000",
    bank_account="IBAN IT60 X054 2811 1010 0000 0123 456, Posta Certificata Esempio S.r.l.",
)
LINKS: Final = Links(
    account="https://www.example.it/account",
    credit="https://www.example.it/credit",
    payment_method="https://www.example.it/payment-methods",
)

MARIO: Final = Holder("Mario Rossi", "mario.rossi@example.com")
FIRM: Final = Holder("Studio Legale D’Angelo & Müller", "segreteria@example.com")
AWKWARD: Final = Holder("Zoë “Zo” <O'Neil>\r\nЖ 東京 أحمد", "zoe@example.com")


def content(kind: MessageKind, written_on: date, *lines: Line, holder: Holder = MARIO) -> Content:
    """A message of the provider, by default to the first holder."""
    return Content(kind, holder, SENDER, LINKS, lines, written_on)
