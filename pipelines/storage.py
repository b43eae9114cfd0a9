"""Dagster's SQLite event log, with the file that all runs share kept open.

Dagster opens and closes its files for every single statement. To close the last
connection of one takes in its log and syncs the disk, and what SQLAlchemy has compiled
is forgotten with it: a quarter of the processor time of a night that brought nothing
new. What is in the files stays Dagster's own.

The file of a single run is closed after each event, as Dagster does: the UI follows a
run by the changes of that file, which are only seen then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

_PATIENT = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}


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
            connect_args=_PATIENT,
        )

    @contextmanager
    def index_connection(self) -> Iterator[sa.Connection]:
        """A transaction on the file that all runs share."""
        engine = self._index
        with self._db_lock, engine.begin() as connection:
            yield connection

    @contextmanager
    def run_connection(self, run_id: str | None = None) -> Iterator[sa.Connection]:
        """A transaction on the file of one run."""
        if run_id not in self._initialized_dbs:
            with super().run_connection(run_id):  # it makes the tables
                pass
        engine = _closing(self.conn_string_for_shard(str(run_id)))
        with self._db_lock, engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close it."""
        super().dispose()
        if "_index" in vars(self):  # it was used
            self._index.dispose()


@lru_cache(maxsize=8)  # a process writes one run's events, or shows a few
def _closing(url: str) -> sa.Engine:
    """An engine that keeps what it compiled and closes its file after each use."""
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=_PATIENT)
