"""splink's deterministic linking, as `identity_score.py --splink` runs it.

splink lives in a virtual environment of its own, made on first use in
$JOURNEYPORT_BENCH_ENV-splink; started there, this file reads engagements from standard
input and writes the cluster of each. One blocking rule per identifier type: two
engagements that share a value of it are a link, and splink clusters the links.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

PEERS = ("splink==5.0.0", "pyarrow>=26")
ENVIRONMENT = Path(
    os.environ.get(
        "JOURNEYPORT_BENCH_ENV", tempfile.gettempdir() + "/journeyport-bench"
    )
    + "-splink"
)


def clusters(
    carried: Mapping[str, Sequence[tuple[str, str]]],
) -> dict[str, Hashable]:
    """The cluster of each engagement, from the values that each carries."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
    done = subprocess.run(
        [python, __file__],
        input=json.dumps(carried),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Hashable] = json.loads(done.stdout.splitlines()[-1])
    return found


def _child() -> None:
    import pyarrow as pa  # noqa: PLC0415 - of the other environment
    from splink import (  # noqa: PLC0415 - as above
        DuckDBAPI,
        Linker,
        SettingsCreator,
        block_on,
    )

    carried = json.load(sys.stdin)
    kinds = sorted({kind for values in carried.values() for kind, _ in values})
    columns: dict[str, object] = {"unique_id": list(carried)}
    for kind in kinds:
        columns[kind] = pa.array(
            [
                [value for name, value in values if name == kind]
                for values in carried.values()
            ],
            pa.list_(pa.string()),
        )
    database = DuckDBAPI()
    table = database.register(pa.table(columns), dataset_display_name="engagements")
    linker = Linker(
        table,
        SettingsCreator(
            link_type="dedupe_only",
            blocking_rules_to_generate_predictions=[
                block_on(kind, arrays_to_explode=[kind]) for kind in kinds
            ],
        ),
    )
    links = linker.inference.deterministic_link()
    found = linker.clustering.cluster_pairwise_predictions_at_threshold(links)
    rows = found.as_record_list()
    print(json.dumps({row["unique_id"]: row["cluster_id"] for row in rows}))


if __name__ == "__main__":
    _child()
