"""Reading the layers of the configuration, and naming the file or variable that each problem comes from.

Much that pydantic-settings passes over in silence is refused here: a misspelt variable, a missing or broken
file, an unreadable secret, a whole section in one variable, a secret in a file that people copy around.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_settings import NestedSecretsSettingsSource, SettingsError

from lifecycle_jobs.data import data_folder
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.settings.model import DELIMITER, PREFIX, Settings
from lifecycle_jobs.settings.sections import PlanSettings, PolicyOverrides

CONFIG_VARIABLE = PREFIX + "CONFIG"
"""Names the chosen file when no argument does."""

SECRETS_VARIABLE = PREFIX + "SECRETS_DIR"
"""Names the folder of secrets."""

# The same cut as SQLAlchemy's: a password may hold "/" and "#", at which a general URL parser would end.
_PASSWORD_IN_URL = re.compile(r"^[\w+]+://[^:/]*:[^@]+@|[?&](ssl)?password=", re.IGNORECASE)

_SECRETS = (
    ("mail", "password"),
    ("mail", "dkim_private_key"),
    ("gateway", "api_key"),
    ("gateway", "webhook_secret"),
    ("webhooks", "secret"),
    ("console", "secret"),
)

_OUR_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "decimal_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
}

_UNREADABLE = (OSError, UnicodeDecodeError)

_Key: TypeAlias = tuple[str | int, ...]
_Table: TypeAlias = dict[str, Any]
_Origins: TypeAlias = dict[_Key, str]


@dataclass(frozen=True, slots=True)
class _Problem:
    key: str
    what: str
    origin: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what} ({self.origin})" if self.origin else f"{self.key}: {self.what}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and the file or variable that each of them comes from."""

    settings: Settings
    chosen_file: Path | None
    secrets_folder: Path | None
    _origins: _Origins

    def origin(self, *path: str) -> str:
        """Where the value of a key was given: `default`, a file, or a variable of the environment."""
        found = _origin_of(path, self._origins)
        return "default" if found == str(_shipped()) else found


def load_settings(config: Path | None = None) -> Settings:
    """The settings in force, or a ConfigurationError that lists everything wrong with them.

    `config` is the chosen file; without it the file that LIFECYCLE_CONFIG names, if any.
    """
    return load_with_origins(config).settings


def load_with_origins(config: Path | None = None) -> Loaded:
    """The same, with where each value comes from."""
    problems: list[_Problem] = []
    shipped = _shipped()
    tables = _read(shipped, str(shipped), problems)
    origins: _Origins = {}
    _note_origins(tables, str(shipped), origins)

    chosen_file, named_by = _chosen_file(config, problems)
    if chosen_file is not None:
        chosen = _read(chosen_file, named_by, problems)
        problems.extend(_unfit_for_a_file(chosen, str(chosen_file)))
        tables = _laid_over(tables, chosen)
        _note_origins(chosen, str(chosen_file), origins)

    secrets_folder = _secrets_folder(problems)
    variables = _secrets(secrets_folder, problems)
    variables |= {name: f"environment variable {name}" for name in os.environ if _is_ours(name)}
    problems.extend(_unknown_variables(variables, tables))
    for name, origin in variables.items():
        _note_origin(tuple(name.lower().removeprefix(PREFIX.lower()).split(DELIMITER)), origin, origins)

    known = {key: value for key, value in tables.items() if key in Settings.model_fields}
    problems.extend(_Problem(key, "unknown section", _origin_of((key,), origins)) for key in tables.keys() - known)
    try:
        settings = Settings(**known, _secrets_dir=secrets_folder)
    except ValidationError as error:
        reported = {problem.key for problem in problems}
        problems.extend(p for p in _invalid(error, origins) if p.key not in reported)
    except (SettingsError, *_UNREADABLE) as error:
        problems.append(_Problem(SECRETS_VARIABLE, f"cannot be read: {error}", "environment variable"))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in sorted(problems, key=str))
        raise ConfigurationError(f"The configuration cannot be used:\n{lines}")
    return Loaded(settings, chosen_file, secrets_folder, origins)


def _shipped() -> Path:
    return data_folder("config") / "lifecycle.toml"


def _chosen_file(config: Path | None, problems: list[_Problem]) -> tuple[Path | None, str]:
    if config is not None:
        return config, str(config)
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        return None, ""
    if not named:
        # An empty variable is a deployment gone wrong, and the embedded defaults would hide it.
        problems.append(_Problem(CONFIG_VARIABLE, "is empty: name a file, or unset it", "environment variable"))
        return None, ""
    return Path(named), f"environment variable {CONFIG_VARIABLE}"


def _read(path: Path, named_by: str, problems: list[_Problem]) -> _Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        problems.append(_Problem(str(path), "there is no such file", named_by))
    except OSError as error:
        problems.append(_Problem(str(path), f"cannot be read: {error.strerror}", named_by))
    except UnicodeDecodeError:
        problems.append(_Problem(str(path), "is not UTF-8 text", named_by))
    except tomllib.TOMLDecodeError as error:
        problems.append(_Problem(str(path), f"is not valid TOML: {error}", named_by))
    return {}


def _unfit_for_a_file(table: _Table, origin: str) -> Iterator[_Problem]:
    """Secrets, overridden or not: files of settings are copied, mailed and committed."""
    database = table.get("database")
    for section, key in _SECRETS:
        written = table.get(section)
        if isinstance(written, dict) and written.get(key):
            yield _secret(f"{section}.{key}", "a secret", origin)
    if isinstance(database, dict) and _PASSWORD_IN_URL.search(str(database.get("url", ""))):
        yield _secret("database.url", "an address with a password", origin)


def _secret(key: str, what: str, origin: str) -> _Problem:
    variable = PREFIX + key.upper().replace(".", DELIMITER)
    return _Problem(
        key,
        f"{what} may not stand in a file of settings: give it as environment variable {variable}, or as a "
        f"file of that name in the folder that {SECRETS_VARIABLE} names",
        origin,
    )


def _laid_over(lower: _Table, upper: _Table) -> _Table:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _secrets_folder(problems: list[_Problem]) -> Path | None:
    named = os.environ.get(SECRETS_VARIABLE)
    if named is None:
        return None
    folder = Path(named)
    if named and folder.is_dir():
        return folder
    what = f"there is no folder {folder}" if named else "is empty: name a folder, or unset it"
    problems.append(_Problem(SECRETS_VARIABLE, what, "environment variable"))
    return None


def _secrets(folder: Path | None, problems: list[_Problem]) -> dict[str, str]:
    """Names of our secrets in the folder, each with the file it stands in."""
    if folder is None:
        return {}
    secrets = {path.name: str(path) for path in sorted(folder.iterdir()) if _is_ours(path.name)}
    try:
        readable = NestedSecretsSettingsSource.load_secrets(folder.resolve())
    except (SettingsError, *_UNREADABLE):
        # Making the settings meets the same obstacle and reports it.
        return secrets
    # A link that leads out of the folder, say: it would be left out without a word.
    problems.extend(
        _Problem(_dotted(name), "is not a file inside the secrets folder", origin)
        for name, origin in secrets.items()
        if name not in readable
    )
    return secrets


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _unknown_variables(variables: Mapping[str, str], tables: _Table) -> Iterator[_Problem]:
    """Names that would be ignored, each with the nearest one that would not."""
    plans = tables.get("plans")
    names = list(_variable_names(plans if isinstance(plans, dict) else {}))
    for name, origin in variables.items():
        if name in {CONFIG_VARIABLE, SECRETS_VARIABLE} or _names_a_key(name, names):
            continue
        near = difflib.get_close_matches(name.upper(), [*names, CONFIG_VARIABLE, SECRETS_VARIABLE], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield _Problem(_dotted(name), f"no setting has the name {name}{hint}", origin)


def _names_a_key(name: str, names: list[str]) -> bool:
    if name in names:
        return True
    # A plan that only the environment knows: whether it is whole is for the model to say.
    section, *rest = name.removeprefix(PREFIX).split(DELIMITER)
    return section == "PLANS" and name.isupper() and bool(rest) and name in _variable_names({rest[0]: None})


def _variable_names(plans: Mapping[str, object]) -> Iterator[str]:
    for section in Settings.model_fields:
        if section == "plans":
            continue
        for key in getattr(Settings.model_fields[section].annotation, "model_fields", ()):
            yield _variable(section, key)
    for code in plans:
        for key in PlanSettings.model_fields:
            if key != "policy":
                yield _variable("plans", code, key)
        for key in PolicyOverrides.model_fields:
            yield _variable("plans", code, "policy", key)


def _variable(*path: str) -> str:
    return PREFIX + DELIMITER.join(path).upper()


def _dotted(name: str) -> str:
    return name[len(PREFIX) :].lower().replace(DELIMITER, ".")


def _note_origins(value: object, origin: str, origins: _Origins, path: _Key = ()) -> None:
    if isinstance(value, dict):
        for key, below in value.items():
            _note_origins(below, origin, origins, (*path, key))
    if path:
        _note_origin(path, origin, origins)


def _note_origin(path: _Key, origin: str, origins: _Origins) -> None:
    for end in range(1, len(path) + 1):
        origins[path[:end]] = origin


def _origin_of(path: _Key, origins: _Origins) -> str:
    """Where the value, or failing that the nearest table around it, was given last."""
    for end in range(len(path), 0, -1):
        if path[:end] in origins:
            return origins[path[:end]]
    return ""


def _invalid(error: ValidationError, origins: _Origins) -> Iterator[_Problem]:
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        path = problem["loc"]
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        what = _OUR_WORDS.get(problem["type"], problem["msg"].replace("Input should be", "must be"))
        yield _Problem(key, what, _origin_of(path, origins))
