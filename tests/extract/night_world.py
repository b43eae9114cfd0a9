"""A model source with a real lake and a real state: nights, tables, what is there."""

from dataclasses import replace
from datetime import timedelta

from model_source import ACCOUNT, DAY

from journeyport import extract, normalise
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.normalise import AccountRules
from journeyport.state import State, windows


class SourceClock:
    """Our clock goes with the source's."""

    def __init__(self, source):
        self.source = source

    def now(self):
        return self.source.time


class World:
    """One account's export against a model source, night after night."""

    def __init__(self, folder, source, **options):
        self.source = source
        self.clock = SourceClock(source)
        self.lake = Lake(folder / "lake")
        self.state = State(f"sqlite:///{folder / 'state.db'}")
        policy = extract.FieldPolicy((("data{}", "keep"),))
        chosen = {"lookback_days": 1, "concurrency": 2, **options}
        self.options = ExtractOptions(first_day=DAY.date(), policy=policy, **chosen)
        self.number = 0

    def close(self):
        self.state.close()

    def set(self, **options):
        self.options = replace(self.options, **options)

    def land(self, days=None, **more):
        """Walk some days once, under a new run."""
        self.number += 1
        return extract.land(
            more.pop("source", self.source),
            more.pop("lake", self.lake),
            self.state,
            account=ACCOUNT,
            days=days or [DAY.date()],
            run_id=f"run{self.number}",
            clock=self.clock,
            options=self.options,
            **more,
        )

    def night(self, hours=24):
        """One night's extraction, then the tables and certificates it touched."""
        self.number += 1
        report = extract.nightly(
            self.source,
            self.lake,
            self.state,
            account=ACCOUNT,
            run_id=f"night{self.number}",
            clock=self.clock,
            options=self.options,
        )
        self.tables([day for _, day in report.touched])
        self.source.time += timedelta(hours=hours)
        return report

    def audit(self):
        return extract.audit(
            self.source,
            self.lake,
            self.state,
            account=ACCOUNT,
            clock=self.clock,
            options=self.options,
        )

    def tables(self, days):
        reports = normalise.conform_days(
            self.lake,
            AccountRules(ACCOUNT),
            days,
            run_id=f"run{self.number}",
            strengths={},
            policy=self.options.policy.hash,
        )
        assert len(list(reports)) == len(days)
        return extract.certify(
            self.lake,
            self.state,
            ACCOUNT,
            days,
            run_id=f"run{self.number}",
            clock=self.clock,
        )

    def frontier(self):
        """The first day that is not proved: those after it do not move it."""
        done = {
            one.day
            for one in windows.days_of(self.state, ACCOUNT)
            if one.status in {windows.PROVED, windows.RELEASED}
        }
        day = DAY.date()
        while day in done:
            day += timedelta(days=1)
        return day

    def engagements(self):
        """The rows of the table, by id; each id once."""
        rows = self.lake.read("engagements").to_pylist()
        found = {row["engagement_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def alive(self):
        return {key for key, row in self.engagements().items() if not row["is_deleted"]}

    def deleted(self):
        return {key for key, row in self.engagements().items() if row["is_deleted"]}

    def versions(self):
        """Which version of each living engagement the tables hold."""
        rows = self.lake.read("engagement_data").to_pylist()
        return {
            row["engagement_id"]: row["data_value"]
            for row in rows
            if row["data_key"] == "version"
        }

    def raw(self):
        days = self.lake.raw_days(ACCOUNT)
        return [
            row for day in days for row in self.lake.read_raw(ACCOUNT, day).to_pylist()
        ]

    def truly_alive(self):
        return {one.id for one in self.source.rows if one.lives(self.source.time)}

    def true_versions(self):
        return {
            one.id: one.versions[-1][0].isoformat()
            for one in self.source.rows
            if one.lives(self.source.time)
        }


__all__ = ["World"]
