"""`console` in a process of its own: it says where it is, and ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from argon2 import PasswordHasher

from tests.cli.conftest import Type
from tests.console.browsing import Browser


@contextmanager
def console(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lifecycle_jobs", "console", "--port", "0"],
        env=os.environ | {"LIFECYCLE_DATABASE__URL": url, "LIFECYCLE_LOG__LEVEL": "error", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield process, re.sub(r"^The console is at |\n", "", said)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_there_for_whoever_has_its_address_until_it_is_told_to_end(
    sqlite_url: str, number: signal.Signals
) -> None:
    with console(sqlite_url) as (process, address):
        browser = Browser(address.partition("/enter")[0])

        assert browser.get("/").url.endswith("/sign-in?next=/")
        assert "(operator)" in browser.read(address.removeprefix(browser.url))

        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert "The console is closed." in process.stdout.read()


def test_a_port_that_is_taken_is_said_and_no_traceback(lifecycle: Type, sqlite_url: str) -> None:
    with console(sqlite_url) as (_, address):
        port = re.search(r":(\d+)/", address)
        assert port is not None
        shown = lifecycle("console", "--port", port[1])

    assert shown.code == 2
    assert f"console.listen: cannot listen on 127.0.0.1:{port[1]} (Address already in use)" in shown.err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class TestPassword:
    def test_prints_the_account_as_the_configuration_takes_it(self) -> None:
        said = self._typed("correct horse battery", "anna", "--operator")

        assert said.stdout.startswith('[console.accounts."anna"]\nrole = "operator"\npassword = "$argon2id$')
        stored = re.search(r'password = "([^"]+)"', said.stdout)
        assert stored is not None
        assert PasswordHasher().verify(stored[1], "correct horse battery")
        assert "correct horse" not in said.stdout + said.stderr

    def test_refuses_a_short_one(self) -> None:
        said = self._typed("hunter2", "anna")

        assert (said.returncode, said.stdout) == (2, "")
        assert "at least 12 characters" in said.stderr

    @staticmethod
    def _typed(password: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lifecycle_jobs", "console", "password", *arguments],
            input=f"{password}\n{password}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
