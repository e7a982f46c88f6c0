"""What a hosting team would otherwise install, doing the nearest thing that it does: expiring what is over."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEAVES_OUT: Final = {
    "django-plans": "Switches the plan off and then sends an e-mail, user by user: a crash between the two loses the"
    " e-mail. No history of it, no suspension before a deletion, no deletion.",
    "django-flexible-subscriptions": "Takes the user out of a group and cancels the subscription, one by one. No"
    " e-mail (a method to be overridden), no history of it, no warning before, no suspension, no deletion.",
}
_PROGRAM: Final = Path(__file__).with_name("peer_program.py")


@dataclass(frozen=True, slots=True)
class Figure:
    """Which version, and its seconds."""

    version: str
    seconds: float


def figure(name: str, rows: int, wrong: list[str], progress: Callable[[str], None]) -> Figure:
    """Install it from PyPI into an environment that is thrown away, and let it expire so many rows."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        progress("installing")
        _said(sys.executable, "-m", "venv", str(Path(folder) / "venv"))
        _said(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name)
        version = _said(str(python), "-c", f"from importlib.metadata import version; print(version('{name}'))")
        progress("expiring")
        # -P: this folder's modules are not meant to be found by it.
        seconds, expired = _said(str(python), "-P", str(_PROGRAM), name, str(rows), folder).split()
    if int(expired) != rows:
        wrong.append(f"{rows:,} were over, {int(expired):,} are expired")
    return Figure(version.strip(), float(seconds))


def _said(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
