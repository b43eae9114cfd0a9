"""Which version the tables hold after nights of old copies and missing dates."""

from dataclasses import replace
from datetime import timedelta

import model_source
from model_source import DAY, Traits


def test_a_version_that_has_come_less_far_counts_when_two_reads_agree(world):
    here = world(traits=Traits(rows=5, undated_updates=True))
    one = here.source.rows[0]
    one.versions = [
        (DAY, None, "ACTIVE"),
        (DAY + timedelta(hours=1), None, "COMPLETED"),
    ]
    here.night()
    ahead = one.versions[-1][0].isoformat()
    one.versions.append((here.source.time, None, "CREATED"))
    back = one.versions[-1][0].isoformat()
    here.night()
    assert here.versions()[one.id] == ahead
    here.night()
    assert here.versions()[one.id] == back


def test_one_answer_of_an_older_copy_takes_nothing_back(world):
    here = world(traits=Traits(rows=5), lookback_days=3)
    one = here.source.rows[0]
    undated = (DAY, None, "COMPLETED")
    one.versions = [undated]
    here.night()
    older = (here.source.time, here.source.time, "COMPLETED")
    here.source.time += timedelta(hours=1)
    newer = (here.source.time, here.source.time, "COMPLETED")
    one.versions = [undated, older, newer]
    here.night()
    one.versions = [undated, older]
    here.night()
    assert here.versions()[one.id] == newer[0].isoformat()
    one.versions = [undated, older, newer]
    here.night()
    assert here.versions()[one.id] == newer[0].isoformat()


def test_old_copies_and_missing_update_dates_together_end_in_the_truth(
    world, monkeypatch
):
    monkeypatch.setattr(model_source, "LAG", timedelta(days=2))
    here = world(traits=Traits(rows=80, stale=0.4), lookback_days=3)
    dated = {}
    for _ in range(3):
        for one in here.source.rows:
            change_by_day(here.source, one)
        assert here.night().failure is None
        for key, row in here.engagements().items():
            now, before = row["update_date"], dated.get(key)
            assert None in {now, before} or now >= before
            dated[key] = now or before
    here.source.traits = replace(here.source.traits, stale=0.0)
    for _ in range(3):
        here.night()
    assert here.versions() == here.true_versions()


def change_by_day(source, one):
    """Up to two changes since the last night, some of them without a date."""
    rng = source.rng
    hours = sorted(rng.uniform(1, 20) for _ in range(rng.randrange(3)))
    for at in (source.time - timedelta(hours=hour) for hour in reversed(hours)):
        update = None if rng.random() < 0.3 else at
        one.versions.append((at, update, rng.choice(("ACTIVE", "COMPLETED"))))
