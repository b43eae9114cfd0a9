"""A lake in a temporary folder, and documents landed in it as an extract would."""

import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
import xxhash

from journeyport import arrow, normalise
from journeyport.lake import Lake
from journeyport.normalise.values import instant
from journeyport.tables import DAILY, RAW_ENGAGEMENTS

ACCOUNT = "ABCDEF"
DAY = date(2026, 3, 5)
LANDED = datetime(2026, 3, 6, 1, tzinfo=UTC)
STRENGTHS = {"accountIds": "VERY_STRONG", "emailAddresses": "STRONG"}


class Bench:
    """Lands documents of one account-day and reads the tables made of them."""

    def __init__(self, folder):
        self.lake = Lake(folder)
        self.account = ACCOUNT
        self.day = DAY
        self.landings = 0

    def raw(self, documents, *, at=LANDED, run="run-1", **columns):
        """Rows of raw: a document is a dict, or a text that is stored as it is."""
        texts = [
            d if isinstance(d, str) else json.dumps(d, ensure_ascii=False)
            for d in documents
        ]
        plain = [d if isinstance(d, dict) else {} for d in documents]
        rows = {
            "account_id": [ACCOUNT] * len(texts),
            "engagement_id": [
                str(d.get("id") or f"unnamed-{place}") for place, d in enumerate(plain)
            ],
            "start_date": [_moment(d, "startDate") or LANDED for d in plain],
            "update_date": [_moment(d, "updateDate") for d in plain],
            "end_date": [_moment(d, "endDate") for d in plain],
            "status": [
                s if isinstance(s := d.get("status"), str) else None for d in plain
            ],
            "content_hash": [_digest(d, t) for d, t in zip(plain, texts, strict=True)],
            "policy_hash": ["policy"] * len(texts),
            "payload": texts,
            "is_deleted": [False] * len(texts),
            "_extracted_at": [at] * len(texts),
            "_run_id": [run] * len(texts),
        }
        return arrow.conform(RAW_ENGAGEMENTS, pa.table(rows | columns))

    def land(self, documents, *, day=DAY, later=timedelta(0), **options):
        self.landings += 1
        run = options.setdefault("run", f"run-{self.landings}")
        at = LANDED + timedelta(minutes=self.landings) + later
        rows = self.raw(documents, at=at, **options)
        return self.lake.append_raw(ACCOUNT, day, run, f"w{self.landings}", rows)

    def conform(self, *, day=DAY, zone="UTC", region="US", **options):
        rules = normalise.AccountRules(ACCOUNT, region, zone)
        options = {"run_id": "run-n", "strengths": STRENGTHS} | options
        return normalise.conform_day(self.lake, rules, day, **options)

    def rows(self, table, *, day=DAY):
        return self.lake.read_day(table, ACCOUNT, day).to_pylist()

    def row(self, table, **options):
        (row,) = self.rows(table, **options)
        return row

    def digests(self):
        manifest = self.lake.manifest(ACCOUNT, DAY)
        return {name: facts.sha256 for name, facts in manifest.tables.items()}

    def tables(self):
        return {
            table.name: self.lake.read_day(table.name, ACCOUNT, DAY) for table in DAILY
        }


def _moment(document, name):
    text = document.get(name)
    return instant(text) if isinstance(text, str) else None


def _digest(document, text):
    whole = json.dumps(document, sort_keys=True) if document else text
    return xxhash.xxh3_128_hexdigest(whole.encode())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "lake")


@pytest.fixture
def make_bench(tmp_path):
    """More than one lake, by name."""
    return lambda name: Bench(tmp_path / name)
