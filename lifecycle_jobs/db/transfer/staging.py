"""Temporary tables that hold the rows of the files while they are checked.

Each has the columns of the table that it is for, all of them optional, and besides

- `line`: where the row stands in its file; none for **company**, a row of the database that is not in the file
  but that a row of the files speaks of;
- `old_…`: what the database holds now; none for what is new.

No file has the columns `imported_…`: they say where a box stood when a file last set its E.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Date, Index, Integer, MetaData, Table, Text
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from lifecycle_jobs.db import statistics, tables
from lifecycle_jobs.db.tables import Id, Key
from lifecycle_jobs.db.transfer.bulk import Told, insert_columns
from lifecycle_jobs.db.transfer.parse import Reader

_staging = MetaData()


def _staged(target: Table, *more: Column[Any]) -> Table:
    given_by_database = {"id", "behind"}
    columns = [Column(column.name, column.type) for column in target.columns if column.name not in given_by_database]
    name = f"{target.name}_in"
    return Table(name, _staging, Column("line", Integer), *columns, *more, prefixes=["TEMPORARY"])


customers_in = _staged(tables.customers, Column("old_credit_cents", BigInteger))
payment_methods_in = _staged(tables.payment_methods, Column("old_customer_id", Key))
boxes_in = _staged(
    tables.boxes,
    Column("box_id", Id),
    Column("old_customer_id", Key),
    Column("old_status", Text),
    Column("old_expires_on", Date),
)
addons_in = _staged(
    tables.addons,
    Column("address", Text),
    Column("address_key", Key),
    Column("old_status", Text),
)

STAGED = {"customers": customers_in, "payment_methods": payment_methods_in, "boxes": boxes_in, "addons": addons_in}
"""The temporary table of each table."""

_INDEXES = (
    Index("ix_customers_in_key", customers_in.c.customer_id),
    Index("ix_payment_methods_in_key", payment_methods_in.c.payment_method_id),
    Index("ix_boxes_in_key", boxes_in.c.address_key, boxes_in.c.deleted_on),
    Index("ix_boxes_in_line", boxes_in.c.line),
    Index("ix_boxes_in_box", boxes_in.c.box_id),
    Index("ix_addons_in_key", addons_in.c.addon_id),
    Index("ix_addons_in_address", addons_in.c.address_key),
    Index("ix_addons_in_box", addons_in.c.box_id),
)


def create(connection: Connection) -> None:
    """Make the temporary tables. They are gone with the transaction if it fails, else by `drop`."""
    for table in STAGED.values():
        connection.execute(CreateTable(table))


def give_room(connection: Connection) -> None:
    """Let the database work with more memory until the transaction ends."""
    # Joining a million rows by way of the disk takes several times as long.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL work_mem = '64MB'")
    else:
        connection.exec_driver_sql("PRAGMA temp.cache_size = -65536")  # KiB


def fill(connection: Connection, table: Table, reader: Reader, told: Told) -> int:
    """Put the rows of a file into its temporary table as they come; returns how many."""
    pieces = ({"line": piece.lines, **piece.columns} for piece in reader.pieces())
    return insert_columns(connection, table, pieces, told)


def index(connection: Connection) -> None:
    """Build the indexes of the filled tables."""
    for table_index in _INDEXES:
        connection.execute(CreateIndex(table_index))
    measure(connection)


def measure(connection: Connection) -> None:
    """Let PostgreSQL see what the tables hold by now: nobody else does so with temporary ones."""
    statistics.refresh(connection, *STAGED.values())


def drop(connection: Connection) -> None:
    """Remove the temporary tables, because the connection goes back to its pool."""
    for table in STAGED.values():
        connection.execute(DropTable(table))
