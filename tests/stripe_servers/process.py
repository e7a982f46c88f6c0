"""Starting and stopping the servers, and what a test asks of them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.stripe_servers import journal
from tests.stripe_servers.journal import Charge, Refund

API_KEY = "sk_test_0123456789abcdef"
"""A key that the front takes. Any other that begins with `sk_test_` will do."""

_ROOT = Path(__file__).parents[2]
_HERE = Path(__file__).parent
_STOP_SECONDS = 10


class StripeServer:
    """Something like Stripe, while the `with` block lasts. `delay`, `late`, `search_lag` are seconds."""

    def __init__(
        self, journal: Path, *, localstripe: bool = False, delay: float = 0, late: float = 3, search_lag: float = 0
    ) -> None:
        self.journal = journal
        self._localstripe = localstripe
        self._options = [f"--delay={delay}", f"--late={late}", f"--search-lag={search_lag}"]
        self._running = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        options = self._options
        try:
            if self._localstripe:
                port = self._start(str(_HERE / "localstripe_process.py"), "0")
                options = [*options, f"--localstripe={port}"]
            port = self._start("-m", "tests.stripe_servers", f"--journal={self.journal}", *options)
        except BaseException:
            self._running.close()
            raise
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes `lifecycle-jobs`, started as a process of its own, charge here."""
        return {
            "LIFECYCLE_GATEWAY__KIND": "stripe",
            "LIFECYCLE_GATEWAY__API_KEY": API_KEY,
            "LIFECYCLE_GATEWAY__API_BASE": self.url,
        }

    def charges(self) -> list[Charge]:
        """Every payment that was made, in order."""
        return journal.charges(self.journal)

    def refunds(self) -> list[Refund]:
        """Every payment that was given back, in order."""
        return journal.refunds(self.journal)

    def fail(self, name: str, *, call: str = "charge", times: int | None = None, seconds: float | None = None) -> None:
        """From now on let these calls fail (`faults.FAULTS`): so many of them, or for so long, or until `mend`."""
        self._tell(fault={"name": name, "call": call, "times": times, "seconds": seconds})

    def mend(self) -> None:
        """Let nothing fail any more."""
        self._tell(mend=True)

    def show(self, *, list_lag: float = 0, search_lag: float = 0, search: bool = True) -> None:
        """How many seconds lists and search run behind, and whether the account has the search."""
        self._tell(list_lag=list_lag, search_lag=search_lag, search=search)

    def answer_after(self, seconds: float) -> None:
        """How long every answer takes from now on."""
        self._tell(delay=seconds)

    def forget_keys(self) -> None:
        """Do what Stripe does after 24 hours."""
        self._tell(forget_keys=True)

    def statistics(self) -> dict[str, Any]:
        """`calls` of each kind, `connections`, `most_in_flight`, and the `last` requests with headers and form."""
        return self._tell()

    def post(self, path: str, **form: str) -> dict[str, Any]:
        """Ask for something as a test needs it, a customer of localstripe say."""
        return _asked(requests.post(self.url + path, form, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30))

    def stored_card(self, number: str, customer: str) -> str:
        """A card of localstripe with one of Stripe's test numbers, attached to a customer: its token."""
        card = {"number": number, "exp_month": "12", "exp_year": "2035", "cvc": "314"}
        fields = {f"card[{name}]": value for name, value in card.items()}
        token: str = self.post("/v1/payment_methods", type="card", **fields)["id"]
        self.post(f"/v1/payment_methods/{token}/attach", customer=customer)
        return token

    def _tell(self, **wanted: Any) -> dict[str, Any]:
        return _asked(requests.post(f"{self.url}/_control", json=wanted, timeout=30))

    def _start(self, *command: str) -> int:
        process = subprocess.Popen([sys.executable, *command], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        self._running.callback(_stop, process)
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            raise RuntimeError(f"{command[0]} {command[1]} did not start")
        return int(port)


def _asked(response: requests.Response) -> dict[str, Any]:
    response.raise_for_status()
    told: dict[str, Any] = response.json()
    return told


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
