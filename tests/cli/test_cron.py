"""The shipped crontab: what it types is known, and with the shipped production.toml nothing complains in vain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Type

_LINES = (Path(__file__).parents[2] / "config/service/lifecycle-jobs.cron").read_text(encoding="utf-8").splitlines()
_TYPED = re.compile(r"[\d*/]+\s+[\d*]+ [\d*]+ \* \*  lifecycle  /opt/lifecycle-jobs/bin/lifecycle-jobs (.*?) >")


def _commands(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        if typed := _TYPED.match(line.removeprefix("# ")):
            yield typed[1].split()


@pytest.mark.parametrize("command", list(_commands(_LINES)), ids=" ".join)
def test_every_command_is_one(lifecycle: Type, command: list[str]) -> None:
    assert lifecycle(*command, "--help").code == 0


def test_webhooks_wait_until_somebody_switches_them_on() -> None:
    at_work = [line for line in _LINES if not line.startswith("#")]

    assert list(_commands(_LINES)) == [*_commands(at_work), ["webhooks", "deliver"]]


def test_the_log_of_ordinary_work_is_not_mailed() -> None:
    assert "LIFECYCLE_LOG__LEVEL=warning" in _LINES
