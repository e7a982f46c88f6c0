"""Where the files lie that ship with the program but are no code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: Literal["config", "templates"]) -> Path:
    """The shipped folder of that name: inside the installed package, or at the top level of a checkout.

    A checkout keeps them at the top level because operators read and copy them; the wheel carries them along.
    """
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
