"""`python -m tests.bench.ceiling PORT CONNECTIONS MESSAGES`: as fast as this Python can hand over one prepared message.

Threads with smtplib, each with a connection that it keeps. What is printed are the seconds from the first command to
the last answer, once all connections stand. Nothing that renders, records or decides can be faster.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from smtplib import SMTP

from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.samples import SAMPLES
from tests.bench.sink import HOST

_SENDER, _RECIPIENT = "scadenze@example.it", "holder1@example.it"


def main() -> None:
    """Send, and print how long it took."""
    port, connections, messages = map(int, sys.argv[1:])
    content = prepared()
    ready = threading.Barrier(connections + 1)
    shares = [messages // connections + (number < messages % connections) for number in range(connections)]

    def send(share: int) -> None:
        with SMTP(HOST, port, timeout=60) as smtp:
            smtp.ehlo()
            ready.wait()
            for _ in range(share):
                smtp.sendmail(_SENDER, _RECIPIENT, content)
            ready.wait()

    threads = [threading.Thread(target=send, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    ready.wait()
    sys.stdout.write(f"{time.perf_counter() - began}\n")
    for thread in threads:
        thread.join()


def prepared() -> bytes:
    """An expiry alert about one box, as it goes over the wire."""
    rendered = Renderer().render(SAMPLES["box.expiry_alert"][0], "it")
    message = EmailMessage(policy=SMTP_POLICY.clone(cte_type="7bit"))
    message["From"] = f"Posta Certificata Esempio <{_SENDER}>"
    message["To"] = f"Mario Rossi <{_RECIPIENT}>"
    message["Subject"] = rendered.subject
    message["Date"] = datetime(2027, 3, 1, 3, tzinfo=UTC)
    message["Message-ID"] = "<prepared@example.it>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message.as_bytes()


if __name__ == "__main__":
    main()
