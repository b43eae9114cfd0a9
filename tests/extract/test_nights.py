"""Nights against a model source, with a real lake, a real state and real tables."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from model_source import ACCOUNT, DAY, Traits

from journeyport import extract
from journeyport.errors import LeaseError, QuotaError
from journeyport.extract.rules import ALL
from journeyport.state import certificates, leases, rejects, watch
from journeyport.wire import Answer

TODAY = DAY.date()
BUSY = Traits(rows=80, churn=0.7, micro=True)


@pytest.mark.parametrize(
    ("seed", "traits"),
    [
        (1, BUSY),
        (2, replace(BUSY, stale=0.2)),
        (3, replace(BUSY, page_cap=20, bunch=60)),
        (4, replace(BUSY, empty_is_404=True, write_lag=True)),
        (5, replace(BUSY, total="low", undated_updates=True)),
        (6, replace(BUSY, shuffled=0.3, coarse=True)),
    ],
)
def test_after_calm_nights_the_tables_are_the_source(world, seed, traits):
    here = world(seed, traits, lookback_days=3)
    before = {}
    for _ in range(3):
        report = here.night()
        assert report.failure is None
        held = here.versions()
        older = {key for key in held.keys() & before.keys() if held[key] < before[key]}
        assert not older
        before = held
        deleted = {
            key
            for key in here.deleted()
            if here.source.by_id[key].lives(here.source.time)
        }
        assert not deleted
    here.source.traits = replace(here.source.traits, churn=0.0, stale=0.0)
    for _ in range(3):
        here.night()
    living = {
        key
        for key in here.truly_alive()
        if here.source.by_id[key].start.date() == TODAY
    }
    assert {key for key in here.alive() if key in here.source.by_id} >= living
    assert not here.deleted() & here.truly_alive()
    true = here.true_versions()
    held = here.versions()
    assert {key: held[key] for key in living} == {key: true[key] for key in living}


def test_a_second_run_adds_no_file_and_keeps_the_certificate(world):
    here = world()
    here.land()
    first = here.tables([TODAY])
    files = here.lake.raw_files(ACCOUNT, TODAY)
    landing = here.land().days[0]
    second = here.tables([TODAY])
    assert landing.new_versions == 0
    assert here.lake.raw_files(ACCOUNT, TODAY) == files
    assert [one.is_new for one in first + second] == [True, False]
    assert extract.verify_certificate(here.lake, here.state, ACCOUNT, TODAY).ok


def test_an_open_day_is_partial_and_closes_later(world):
    here = world()
    here.source.time = DAY + timedelta(hours=9)
    landing = here.land().days[0]
    assert landing.status == "PARTIAL"
    assert landing.claim_to == DAY + timedelta(hours=8, minutes=55)
    here.source.time = DAY + timedelta(days=1, hours=2)
    assert here.land().days[0].status == "PROVED"
    here.tables([TODAY])
    assert here.alive() == set(here.source.by_id)


def erase(here, many):
    gone = sorted(here.source.by_id)[:many]
    for key in gone:
        here.source.by_id[key].erased_at = here.source.time
    return set(gone)


def test_an_engagement_missing_in_two_runs_is_called_deleted(world):
    here = world()
    here.night()
    gone = erase(here, 3)
    here.night()
    assert here.alive() >= gone  # missing once
    here.night()
    assert here.deleted() == gone
    row = here.engagements()[min(gone)]
    assert row["deleted_reason"] == "ERASED"


def test_without_two_runs_a_single_lapse_deletes_what_exists(world):
    rules = replace(ALL, two_runs=False)
    for chosen, lost in ((ALL, False), (rules, True)):
        here = world(rules=chosen)
        here.night()
        hidden = erase(here, 2)
        here.night()
        for key in hidden:
            here.source.by_id[key].erased_at = None
        assert bool(here.deleted() & hidden) is lost


def test_no_run_deletes_more_than_a_share(world):
    here = world(tombstone_floor=5)
    here.night()
    gone = erase(here, 40)
    here.night()
    report = here.night()
    assert report.watched.refused == 40
    assert "more than one run may call deleted" in report.watched.refusal
    assert not here.deleted()
    here.set(rules=replace(ALL, share_guard=False))
    here.night()
    assert here.deleted() == gone


def read_by_id(here, run_id):
    here.source.time += timedelta(days=1)
    return extract.watch_list(
        here.source,
        here.lake,
        here.state,
        account=ACCOUNT,
        run_id=run_id,
        clock=here.clock,
        options=here.options,
    )


def test_nothing_is_missing_while_not_even_a_known_one_is_found(world):
    for chosen, lost in ((ALL, False), (replace(ALL, canary=False), True)):
        here = world(rules=chosen, tombstone_floor=1000)
        here.land()
        here.source.by_ids = lambda *_, **__: Answer((), not_found=True)
        read_by_id(here, "one")
        report = read_by_id(here, "two")
        here.tables([TODAY])
        assert bool(here.deleted()) is lost
        assert (report.unanswered > 0) is not lost


def test_an_engagement_that_comes_back_lives_again(world):
    here = world()
    here.night()
    gone = erase(here, 1)
    here.night()
    here.night()
    assert here.deleted() == gone
    for key in gone:
        here.source.by_id[key].erased_at = None
    here.night()
    assert not here.deleted()
    assert here.alive() >= gone


def test_what_the_source_erased_is_erased_here_after_some_days(world):
    here = world(purge_after=timedelta(days=2))
    here.night()
    gone = erase(here, 2)
    for _ in range(2):
        here.night()
    kept = [row for row in here.raw() if row["engagement_id"] in gone]
    assert any(row["payload"] for row in kept)
    for _ in range(3):
        here.night()
    kept = [row for row in here.raw() if row["engagement_id"] in gone]
    assert kept
    assert not any(row["payload"] for row in kept)
    assert here.deleted() == gone


def test_an_engagement_dated_anew_stands_in_one_day_only(world):
    here = world()
    here.night()
    one = here.source.rows.pop(0)
    one.start += timedelta(days=1)
    one.versions.append((here.source.time, here.source.time, "ACTIVE"))
    here.source.rows.append(one)
    here.source.rows.sort()
    for _ in range(3):
        here.night()
    rows = here.lake.read("engagements").to_pylist()
    alive = [
        row for row in rows if row["engagement_id"] == one.id and not row["is_deleted"]
    ]
    assert [row["start_date"].date() for row in alive] == [TODAY + timedelta(days=1)]


def test_an_engagement_deleted_in_one_day_lives_on_and_is_watched_in_another(world):
    here = world(traits=Traits(rows=30), lookback_days=3)
    here.night()
    (gone,) = erase(here, 1)
    here.night()
    here.night()
    assert here.deleted() == {gone}
    one = here.source.by_id[gone]
    here.source.rows.remove(one)
    one.start, one.erased_at = here.source.time - timedelta(hours=5), None
    here.source.rows.append(one)
    here.night(hours=6)
    (row,) = (r for r in here.engagements().values() if r["engagement_id"] == gone)
    assert (row["start_date"].date(), row["is_deleted"]) == (one.start.date(), False)
    (entry,) = watch.of_ids(here.state, ACCOUNT, [gone]).values()
    assert (entry.day, entry.reason) == (one.start.date(), watch.OPEN)


def test_days_the_source_may_have_let_go_are_frozen(world):
    here = world(retention_days=3, lookback_days=0)
    here.night()
    here.source.time += timedelta(days=10)
    erase(here, 80)
    for _ in range(3):
        report = here.night()
    assert TODAY not in report.audited.audited
    assert not here.deleted()
    assert len(here.alive()) == 80


def test_the_frontier_never_passes_an_unproven_day(world):
    here = world()
    here.night()
    here.source.traits = replace(here.source.traits, outage=1.0)
    report = here.night()
    assert [one.status for one in report.days if one.day > TODAY] == ["HELD"] * 2
    assert here.frontier() == TODAY + timedelta(days=1)
    here.source.traits = replace(here.source.traits, outage=0.0)
    here.source.time += timedelta(days=20)
    report = here.night()
    assert report.failure is None
    frontier = here.frontier()
    assert frontier == here.source.time.date() - timedelta(days=1)


def test_a_budget_spends_itself_on_the_latest_days_and_goes_on_next_night(world):
    here = world(lookback_days=1)
    here.source.time += timedelta(days=30)
    walked = []
    for _ in range(8):
        here.source.tally.budget = here.source.tally.total + 8
        search = here.source.search

        def counted(account, ask, search=search):
            if not here.source.tally.left:
                raise QuotaError("used up")
            return search(account, ask)

        here.source.search = counted
        report = here.night(hours=0)
        here.source.search = search
        walked.append([one.day for one in report.days])
    assert walked[0][-1] == here.source.time.date()
    assert TODAY in walked[0] + walked[1]
    assert here.frontier() == here.source.time.date()


def test_two_runs_do_not_walk_one_day_at_once(world):
    here = world()
    names = [f"day/{ACCOUNT}/{TODAY}"]
    with (
        leases.held(here.state, names, run_id="another", clock=here.clock),
        pytest.raises(LeaseError, match="another holds"),
    ):
        here.land()
    assert here.land().days[0].status == "PROVED"


def test_a_document_that_belongs_to_no_day_is_a_reject_and_a_breach(world):
    here = world()
    search = here.source.search

    def with_undated(account, ask):
        answer = search(account, ask)
        if len(answer.rows) < 2:
            return answer
        row = msgspec.structs.replace(answer.rows[0], id=None)
        return replace(answer, rows=(*answer.rows[:-1], answer.rows[-1], row)[-50:])

    here.source.search = with_undated
    landing = here.land().days[0]
    assert "undated" in landing.breaches
    rows = rejects.all_rows(here.state)
    assert {row["code"] for row in rows} == {"NO_ID"}
    assert all(row["stage"] == "extract" for row in rows)


def test_open_engagements_are_read_again_by_id_until_they_are_done(world):
    here = world(lookback_days=0, audit_days=0)
    here.night()
    here.source.time += timedelta(days=3)
    here.night()  # the day has left the look-back
    one = here.source.rows[0]
    one.versions.append((here.source.time, here.source.time, "COMPLETED"))
    here.night()
    for _ in range(2):
        here.night()
    assert here.versions()[one.id] == one.versions[-1][0].isoformat()
    here.source.time += timedelta(days=7)
    here.night()
    assert one.id not in {w.engagement_id for w in watch.listed(here.state, ACCOUNT)}


def test_a_certificate_follows_the_one_before_and_notices_a_changed_file(world):
    here = world()
    here.land()
    here.tables([TODAY])
    here.source.insert(DAY + timedelta(hours=5))
    here.land()
    here.tables([TODAY])
    chain = certificates.chain(here.state, ACCOUNT, TODAY)
    assert [one.number for one in chain] == [1, 2]
    assert chain[1].previous_hash == chain[0].certificate_hash
    verification = extract.verify_certificate(here.lake, here.state, ACCOUNT, TODAY)
    assert verification.ok
    assert "Every engagement of account ABCDEF" in verification.text()
    here.lake.files.write(
        f"engagements/account={ACCOUNT}/day={TODAY}/part-0.parquet", b"other"
    )
    verification = extract.verify_certificate(here.lake, here.state, ACCOUNT, TODAY)
    assert len(verification.findings) == 1


def test_what_the_first_answer_broke_is_in_the_certificate(world):
    here = world()
    search, asked = here.source.search, []

    def first_without_total(account, ask):
        asked.append(ask)
        answer = search(account, ask)
        return replace(answer, total=None) if len(asked) == 1 else answer

    here.source.search = first_without_total
    report = here.land()
    assert asked[0].purpose == "opening"
    assert report.breaches == {"total": 1}
    (done,) = here.tables([TODAY])
    assumptions = {
        one["assumption"]: one["broken"] for one in done.document["assumptions"]
    }
    assert assumptions["the total is true"] == 1
    assert sum(assumptions.values()) == 1


def test_a_held_day_passes_by_name_and_reason_and_its_certificate_says_so(world):
    here = world()
    here.source.traits = replace(here.source.traits, foreign=1.0)
    report = here.land()
    assert report.days[0].status == "HELD"
    with pytest.raises(extract.report.NotProvedError, match="tenant"):
        report.require_proved()
    here.lake.write_day(ACCOUNT, TODAY, {}, run_id="r", facts={})
    extract.release(here.state, ACCOUNT, TODAY, who="Ada", reason="known outage")
    done = extract.certify(
        here.lake, here.state, ACCOUNT, [TODAY], run_id="r", clock=here.clock
    )
    assert done[0].issued.status == "RELEASED"
    assert "released by Ada: known outage" in done[0].document["claim"]
    here.source.traits = replace(here.source.traits, foreign=0.0)
    audited = here.audit()
    assert audited.differing == [TODAY]
