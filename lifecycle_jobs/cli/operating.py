"""What every account command has in common: its five options, and that it is asked for once and answered once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifecycle_jobs.cli.output import print_json
from lifecycle_jobs.cli.setting import By, Config, Json, Office, Why, open_office

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from lifecycle_jobs.db.session import Store
    from lifecycle_jobs.operators import Operator
    from lifecycle_jobs.policy import Catalog

_RequestId = Annotated[
    str | None,
    typer.Option(
        "--request-id",
        help="Done once under this id, however often it is typed (default: a new id, which is shown).",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks for an operation, of which provider, and under which request id."""

    office: Office
    operator: Operator
    request_id: str
    json: bool

    @property
    def store(self) -> Store:
        """The database."""
        return self.office.store

    @property
    def catalog(self) -> Catalog:
        """What is sold."""
        return self.office.settings.catalog()

    @property
    def today(self) -> date:
        """The business date on which it is done."""
        return self.office.today

    def printed(self, result: DataclassInstance, **more: Any) -> bool:
        """Answer a machine, if it asks: nothing is left to be said then."""
        if self.json:
            print_json({"request_id": self.request_id} | more | asdict(result))
        return self.json


def operation(work: Callable[..., None]) -> Callable[..., None]:
    """A command that does one operation: its own options, and those that all of them have.

    Its function is given an `Ask` first, which stands for the latter.
    """

    @wraps(work)
    def command(*, config: Config, json: Json, by: By, why: Why, request_id: _RequestId, **own: Any) -> None:
        with open_office(config) as office:
            id_ = uuid.uuid4().hex if request_id is None else request_id  # an empty one is refused, not replaced
            work(Ask(office, office.operator(by, why), id_, json), **own)

    # Typer reads the options from the signature; by name only, so that required ones may stand in any place.
    _ask, *parameters = signature(work, eval_str=True).parameters.values()
    parameters += signature(_of_all, eval_str=True).parameters.values()
    shown = Signature([each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters])
    vars(command).update(__signature__=shown, __annotations__={})
    return command


def _of_all(
    config: Config = None, json: Json = False, by: By = None, why: Why = None, request_id: _RequestId = None
) -> None:
    """The options of every operation."""
