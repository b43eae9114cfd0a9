"""Putting values, engagements and whole accounts into the index.

What a night does with the index is in `night`.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from journeyport.identity.config import IdentityConfig
from journeyport.identity.evidence import Evidence, Weights, gather, weigh
from journeyport.identity.history import Identifier, Naming, locate
from journeyport.identity.index import Index
from journeyport.identity.reading import Documents
from journeyport.identity.standing import Outcome


def day_of(micros: int) -> str:
    """The UTC day of an instant in microseconds since 1970."""
    return str(np.datetime64(micros, "us").astype("datetime64[D]"))


def number_values(
    index: Index,
    account: str,
    config: IdentityConfig,
    strengths: Mapping[str, str],
    wanted: Iterable[Identifier],
) -> dict[Identifier, tuple[int, bool]]:
    """Numbers of all values, new ones weighed and added; whether not walked through."""
    wanted = sorted(set(wanted))
    known = index.numbers(account, wanted)
    new = [value for value in wanted if value not in known]
    weighed = weigh_values(account, config, strengths, new)
    first = index.add_values(
        account,
        [
            {"kind": kind, "value": value, "weight": weight}
            for (kind, value), weight in weighed.items()
        ],
    )
    return known | {
        value: (number, not weight)
        for number, (value, weight) in enumerate(weighed.items(), first)
    }


def weigh_values(
    account: str,
    config: IdentityConfig,
    strengths: Mapping[str, str],
    wanted: Sequence[Identifier],
) -> dict[Identifier, int]:
    """0 blocked, 1 weak, 2 linking, for values that stand on no engagement yet."""
    when = pa.array([0] * len(wanted), pa.timestamp("us", "UTC"))
    names = pa.array([str(number) for number in range(len(wanted))], pa.string())
    evidence = gather(
        pa.table({"engagement_id": names, "start_date": when}),
        pa.table(
            {
                "engagement_id": names,
                "identifier_type": pa.array([kind for kind, _ in wanted], pa.string()),
                "value": pa.array([value for _, value in wanted], pa.string()),
            }
        ),
    )
    weights = weigh(evidence, config, account, strengths)
    places = locate(evidence, wanted)
    return dict(zip(wanted, weights.coded[places].tolist(), strict=True))


def in_order_of_arrival(evidence: Evidence) -> npt.NDArray[np.int64]:
    """The values in the order in which engagements first carried them.

    Numbered so, those that a night asks for lie side by side, however long the history
    is: what was seen lately is seen again.
    """
    first = np.zeros(evidence.value_count, np.int64)
    # Of several rows the last one written stands: the earliest.
    first[evidence.row_value[::-1]] = np.arange(len(evidence.row_value))[::-1]
    return np.argsort(first, kind="stable")


def index_account(
    index: Index,
    account: str,
    documents: Documents,
    touched: tuple[Evidence, Weights, Outcome, Naming],
    *,
    listed: int,
    ruled: Iterable[Identifier],
) -> None:
    """Make the account's part of the index anew, from a rebuild."""
    evidence, weights, outcome, naming = touched
    index.clear(account)
    shared_value, shared_label = outcome.candidates
    counts = np.bincount(shared_value, minlength=evidence.value_count)
    tied = np.zeros(evidence.value_count, np.bool_)
    places = locate(evidence, list(ruled))
    tied[places[places >= 0]] = True
    weight = weights.coded
    crowded = (weight == 1) & (counts > listed) & ~tied
    often = np.bincount(evidence.row_value, minlength=evidence.value_count)
    order = in_order_of_arrival(evidence)
    columns = (evidence.value_type, weight, crowded, outcome.label, often)
    first = index.add_values(
        account,
        (
            {
                "kind": evidence.types[kind],
                "value": value,
                "weight": coded,
                "crowded": flag,
                "customer": naming.ids.get(label),
                "often": count,
            }
            for value, kind, coded, flag, label, count in zip(
                evidence.values.take(pa.array(order)).to_pylist(),
                *(column[order].tolist() for column in columns),
                strict=True,
            )
        ),
    )
    numbers = np.empty_like(order)
    numbers[order] = np.arange(first, first + len(order))
    table = documents.engagements
    rows = {
        name: row
        for name, *row in zip(
            table["engagement_id"].to_pylist(),
            table["status"].to_pylist(),
            table["channel"].to_pylist(),
            table["topic"].to_pylist(),
            strict=True,
        )
    }
    starts = evidence.starts.tolist()
    names = evidence.engagements.to_pylist()
    base = index.add_engagements(
        account,
        (
            {
                "name": name,
                "day": day_of(start),
                "start": start,
                "status": rows[name][0],
                "channel": rows[name][1],
                "topic": rows[name][2],
            }
            for name, start in zip(names, starts, strict=True)
        ),
    )
    row_value = numbers[evidence.row_value]
    rows_in_order = np.argsort(row_value, kind="stable")
    index.add_evidence(
        (
            (value, starts[engagement], base + engagement)
            for engagement, value in zip(
                evidence.row_engagement[rows_in_order].tolist(),
                row_value[rows_in_order].tolist(),
                strict=True,
            )
        )
    )
    index.share(
        (),
        [
            (int(numbers[value]), naming.ids[label])
            for value, label in zip(
                shared_value.tolist(), shared_label.tolist(), strict=True
            )
            if crowded[value]
        ],
    )
