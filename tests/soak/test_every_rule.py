"""Whoever changes any one rule is told so by the job's tests and by the explanation's. Takes minutes: `make soak`.

Each rule is broken in a copy of the program, one at a time, and both kinds of tests are run there in a process of its
own. What they stay green for is a rule that somebody could change without noticing that people are told another.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tests.soak.breakings import EVERY_RULE, Breaking

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("lifecycle_jobs", "tests", "templates", "config", "pyproject.toml")
_OUR_OWN_FAULT = re.compile(r"^FAILED .* - (NameError|ImportError|AttributeError|TypeError|SyntaxError)", re.MULTILINE)
"""What a breaking must not end in: then it is not the rule that was found broken."""


def by_name(breaking: Breaking) -> str:
    """How a test of the table is called."""
    return f"{Path(breaking.file).stem}: {breaking.rule}"


class Copy:
    """The program in another folder, where it may be broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _PARTS:
            whole = ROOT / part
            if whole.is_dir():
                shutil.copytree(whole, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(whole, folder / part)

    def python(self, *arguments: str, remember: bool = False) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy, and on the copy."""
        others = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TESTS_FOLDER"))}
        wide = {"PYTHONPATH": str(self.folder), "COLUMNS": "400"}
        bytecode = {} if remember else {"PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=others | wide | bytecode,
            check=False,
            capture_output=True,
            text=True,
        )

    def tests(self, *files: str, remember: bool = False) -> subprocess.CompletedProcess[str]:
        """Run some tests, on SQLite: that both databases state a rule alike, the jobs' own tests prove."""
        options = ("-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-n", "0", "-k", "not postgresql")
        return self.python("-m", "pytest", *options, *files, remember=remember)

    @contextmanager
    def broken(self, breaking: Breaking) -> Iterator[None]:
        """Break one rule for the length of the block."""
        file = self.folder / breaking.file
        text = file.read_text(encoding="utf-8")
        assert text.count(breaking.was) == 1, f"found {text.count(breaking.was)} times: {breaking.was}"
        # Bytecode is told apart by the second and the size, and so quick a change may have both in common.
        Path(cache_from_source(str(file))).unlink(missing_ok=True)
        file.write_text(text.replace(breaking.was, breaking.becomes), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """One for all: each breaking is taken back."""
    copy = Copy(tmp_path_factory.mktemp("copy"))
    imported = copy.python("-c", "import lifecycle_jobs, tests; print(lifecycle_jobs.__file__, tests.__file__)")
    assert imported.stdout.split() == [str(copy.folder / name / "__init__.py") for name in ("lifecycle_jobs", "tests")]
    return copy


def noticed(run: subprocess.CompletedProcess[str]) -> bool:
    """A test failed, and not for a reason that lies in how the rule was broken."""
    told = run.stdout + run.stderr
    assert run.returncode in {0, 1}, told
    assert not _OUR_OWN_FAULT.search(told), told
    return run.returncode == 1 and "\nFAILED " in told


@pytest.mark.parametrize("breaking", EVERY_RULE, ids=by_name)
def test_each_breaking_finds_its_rule(breaking: Breaking) -> None:
    assert (ROOT / breaking.file).read_text(encoding="utf-8").count(breaking.was) == 1


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_unbroken_all_of_these_tests_are_green(copy: Copy) -> None:
    files = {file for breaking in EVERY_RULE for file in (*breaking.tests, *breaking.told)}

    run = copy.tests(*sorted(files), remember=True)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("breaking", EVERY_RULE, ids=by_name)
def test_a_broken_rule_fails_the_tests_of_its_job_and_of_the_explanation(copy: Copy, breaking: Breaking) -> None:
    with copy.broken(breaking):
        by = {"the job": noticed(copy.tests(*breaking.tests)), "the explanation": noticed(copy.tests(*breaking.told))}

    assert by == {"the job": True, "the explanation": True}
