"""The dlt side of the warehouse's benchmark; runs in dlt's own environment.

    python warehouse_dlt.py URL STATE SCHEMA PARQUET KEY[,KEY…]

Merges the rows of a Parquet file into the table `rows` of the schema, by dlt's default
way (delete-insert) with COPY of CSV, and prints the seconds that extract, normalise and
load took. What dlt keeps beside the database stands in the folder STATE.
"""

import os
import sys
import time

os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "NORMALIZE__WORKERS": "1",
    "RUNTIME__LOG_LEVEL": "ERROR",
}

import dlt
import pyarrow.parquet as pq
from dlt.destinations import postgres


def main() -> None:
    """One merge."""
    url, state, schema, path, key = sys.argv[1:]

    @dlt.resource(
        name="rows",
        write_disposition="merge",
        primary_key=key.split(","),
        file_format="csv",
    )
    def rows() -> object:
        yield from pq.ParquetFile(path).iter_batches(100_000)

    pipeline = dlt.pipeline(
        "warehouse", pipelines_dir=state, destination=postgres(url), dataset_name=schema
    )
    started = time.perf_counter()
    pipeline.run(rows())
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
