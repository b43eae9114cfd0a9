"""Dagster's SQLite event log, with the file that all runs share kept open.

Dagster opens and closes its files for every single statement. To close the last
connection of one takes in its log and syncs the disk, and what SQLAlchemy has compiled
is forgotten with it: a night that brought nothing new spent most of its time so. What
is in the files stays Dagster's own.

The files of single runs are left to Dagster: the UI follows a run by their changes,
which are only seen when they are closed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData


class OpenEventLog(SqliteEventLogStorage):
    """Events in SQLite files, where Dagster has them by default."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "OpenEventLog":
        """Made from `dagster.yaml`, which names Dagster's folder."""
        folder = Path(config_value["base_dir"]).expanduser() / "history" / "runs"
        return cls(str(folder), inst_data)

    @cached_property
    def _index(self) -> sa.Engine:
        with super().index_connection():  # it makes the tables where there are none
            pass
        return sa.create_engine(
            self.conn_string_for_shard(INDEX_SHARD_NAME),
            pool_size=1,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )

    @contextmanager
    def index_connection(self) -> Iterator[sa.Connection]:
        """A transaction on the file that all runs share."""
        engine = self._index
        with self._db_lock, engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close it."""
        super().dispose()
        if "_index" in vars(self):  # it was used
            self._index.dispose()
