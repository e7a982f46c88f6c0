"""The plugin as others meet it: in a folder of their own, with nothing of ours but what is installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from lifecycle_jobs.testing import Provider

MODULE = "lifecycle_jobs.pytest_plugin"
ROOT = Path(__file__).parent.parent
HEADING = "## Test your own rules"


def test_the_examples_in_the_readme_pass(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    examples = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len(examples) == 3
    for number, example in enumerate(examples):
        (tmp_path / f"test_example_{number}.py").write_text(example, encoding="utf-8")

    code, out = run_pytest(tmp_path)

    assert code == 0, out
    assert "3 passed" in out


def test_what_is_wrong_with_a_marker_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        "import pytest\n\n"
        '@pytest.mark.lifecycle(gateway={"kind": "stripe"})\n'
        "def test_settings(lifecycle):\n    pass\n\n"
        '@pytest.mark.lifecycle("2027-03-01")\n'
        "def test_position(lifecycle):\n    pass\n",
        encoding="utf-8",
    )

    code, out = run_pytest(tmp_path)

    assert (code, "2 errors" in out, "Traceback" in out) == (1, True, False)
    assert "The fixture `lifecycle` sets these itself; leave them out: gateway.kind" in out
    assert "The marker `lifecycle` takes only named arguments" in out


def test_without_freezegun_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('import sys\n\nsys.modules["freezegun"] = None\n', encoding="utf-8")
    (tmp_path / "test_it.py").write_text("def test_it(lifecycle):\n    pass\n", encoding="utf-8")

    code, out = run_pytest(tmp_path)

    assert (code, "Traceback" in out) == (1, False)
    assert "The fixture `lifecycle` needs freezegun: pip install lifecycle-jobs[testing]" in out


def test_whoever_does_not_use_it_pays_nothing_for_it() -> None:
    heavy = "{'sqlalchemy', 'freezegun', 'pydantic', 'jinja2', 'structlog'}"
    script = f"import sys; import {MODULE}; print({heavy} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "set()"


def test_it_is_installed_under_the_name_of_its_module_so_that_it_may_be_loaded_twice() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {MODULE: MODULE}


@pytest.mark.lifecycle(today="2027-02-01", policy={"suspended_days": 120, "late_charge_days": 5})
class TestMarkers:
    @pytest.mark.lifecycle(policy={"late_charge_days": 3})
    def test_the_nearest_marker_wins_setting_by_setting(self, lifecycle: Provider) -> None:
        policy = lifecycle.settings.policy

        assert (policy.suspended_days, policy.late_charge_days, str(lifecycle.today)) == (120, 3, "2027-02-01")

    @pytest.mark.lifecycle(config="config/production.toml")
    def test_a_configuration_file_is_named_as_seen_from_the_root_folder(self, lifecycle: Provider) -> None:
        settings = lifecycle.settings

        assert settings.deletion.require_delivered_warning
        assert (settings.policy.suspended_days, settings.gateway.kind) == (120, "sandbox")


def run_pytest(folder: Path) -> tuple[int, str]:
    """Run pytest in a folder; what it printed, and its exit code."""
    installed = any(point.name == MODULE for point in entry_points(group="pytest11"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "--rootdir", str(folder)]
    if not installed:  # a checkout that was not installed anew since there is a plugin
        command += ["-p", MODULE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
