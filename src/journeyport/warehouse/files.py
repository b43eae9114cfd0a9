"""The lake's files as the warehouse takes them: hashed, and without tombstones."""

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import row_hashes
from journeyport.lake import Lake
from journeyport.schema import Table
from journeyport.tables import BY_NAME
from journeyport.warehouse.catalogue import File


def read_file(lake: Lake, table: Table, file: File) -> pa.Table:
    """A file of the lake as the warehouse takes it: every row with its hash."""
    if file.day:
        return lake.read_day(table.name, file.account, file.date)
    data = lake.read_snapshot(table.name)
    if "_row_hash" in data.schema.names:
        return data
    return data.append_column("_row_hash", row_hashes(BY_NAME[table.name], data))


def without_tombstones(data: pa.Table, tombstones: str) -> pa.Table:
    """The rows without those of deleted engagements, unless they are only flagged."""
    if tombstones == "flag" or "is_deleted" not in data.schema.names:
        return data
    return data.filter(pc.invert(data.column("is_deleted")))
