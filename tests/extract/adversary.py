"""Walking one day of a model source by the walk's own rules, and by page numbers."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from model_source import ACCOUNT, LAG, SETTLE, ModelSource, Traits

from journeyport.extract.checks import Breach
from journeyport.extract.opening import day_bounds, open_account
from journeyport.extract.planning import split
from journeyport.extract.report import ExtractOptions
from journeyport.extract.rules import ALL
from journeyport.extract.walk import Walk
from journeyport.extract.window import Proof, Window
from journeyport.wire import Ask


@dataclass
class Outcome:
    """What walking one seed's day came to."""

    source: ModelSource
    proof: Proof
    rows: dict = field(default_factory=dict)
    breaches: dict = field(default_factory=dict)
    calls: int = 0
    windows: int = 0
    lost: set = field(default_factory=set)
    unsettled: set = field(default_factory=set)
    foreign: set = field(default_factory=set)


class NoLake:
    """A lake in which no channels were ever seen."""


def walked(seed, rules=ALL, traits=None, *, window_rows=60, concurrency=3):
    """Walk the seed's day in windows side by side, in an order by the seed."""
    source = ModelSource(seed, traits)
    rng = random.Random(f"order {seed}")
    options = ExtractOptions(
        settle=SETTLE, concurrency=concurrency, window_rows=window_rows, rules=rules
    )
    day = source.day.date()
    lo, hi = day_bounds(day)
    if rng.random() < 0.5:  # the day still open
        source.time = lo + timedelta(hours=rng.uniform(6, 20))
    began = source.time
    opening = open_account(source, NoLake(), ACCOUNT, [day], options)
    end = min(hi, opening.end)
    ask = Ask(lo, end)
    answer = source.search(ACCOUNT, ask)
    walks = [
        Walk(ACCOUNT, part, opening.seen, rules)
        for part in split(Window(lo, end), answer, options)
    ]
    if not answer.not_found:
        walks[-1].given = (ask, answer)
    rows, results = interleaved(source, walks, rng)
    ended = source.time
    if not rules.frozen_end:
        end = min(hi, ended)  # the end that was not fixed before the first question
    proof = Proof.weakest([result.proof for result in results])
    breaches = dict.fromkeys(opening.breaches, 1)
    for result in results:
        for name, times in result.breaches.items():
            breaches[name] = breaches.get(name, 0) + times
    lag = LAG if source.traits.stale else timedelta()
    claimed = source.claimed(lo, end, began, ended, lag)
    settled = {
        one.id
        for one in source.rows
        if lo <= one.start <= end
        and one.erased_at is None
        and one.visible_at - one.start <= SETTLE - LAG
    }
    return Outcome(
        source,
        proof,
        rows,
        breaches,
        source.tally.total,
        len(results),
        claimed - rows.keys(),
        settled - rows.keys(),
        {key for key, (row, *_) in rows.items() if row.account != ACCOUNT},
    )


def interleaved(source, walks, rng):
    """Drive the walks side by side; the rows by id, in the order they came."""
    rows, results = {}, []
    running = []
    for walk in walks:
        steps = walk.steps()
        running.append((walk, steps, None))
    while running:
        walk, steps, answer = running.pop(rng.randrange(len(running)))
        try:
            ask = next(steps) if answer is None else steps.send(answer)
        except StopIteration as stop:
            results.append(stop.value)
        else:
            assert ask.page_number == 1 or ask.hi - ask.lo <= timedelta(seconds=1)
            running.append((walk, steps, source.search(ACCOUNT, ask)))
        for row in walk.taken():
            rows.setdefault(row.key, []).append(row)
    return rows, results


def naive(seed, traits=None):
    """Page by number until a short page, as exporters do; the ids that it lost."""
    source = ModelSource(seed, traits)
    lo, hi = day_bounds(source.day.date())
    began, rows, number = source.time, set(), 1
    end = min(hi, began - SETTLE)
    while number < 100:
        answer = source.search(ACCOUNT, Ask(lo, end, page_number=number))
        rows |= {row.key for row in answer.rows}
        if len(answer.rows) < 50:
            break
        number += 1
    claimed = source.claimed(lo, end, began, source.time, LAG)
    return claimed - rows, len(claimed)


REPORTED = {
    "order": {Breach.ORDER},
    "twice": {Breach.TWICE},
    "bounds": {Breach.BOUNDS},
    "tenant": {Breach.TENANT},
    "total": {Breach.TOTAL},
}
"""What the model broke, and the breach that has to be reported for it."""

ALARMS = {
    Breach.RESOLUTION: lambda t: t.coarse or t.exclusive or t.stale or t.shuffled,
    # A row that another stands in the place of is missing from that answer only.
    Breach.STALE: lambda t: t.stale or t.churn or t.outage or t.shuffled or t.twice,
    # Two copies may contradict each other about a tick for as long as it is read.
    Breach.TOTAL: lambda t: (
        t.total != "true" or t.twice or t.beyond or t.foreign or (t.stale and t.bunch)
    ),
    Breach.ORDER: lambda t: t.shuffled or t.twice,
    Breach.BOUNDS: lambda t: t.beyond,
    Breach.TENANT: lambda t: t.foreign,
}
"""What may be reported, and the trait that has to be there for it."""

EXCUSES = {
    Breach.TICK: lambda t: t.bunch > 48 or t.twice or t.stale or t.total != "true",
    Breach.NOT_FOUND: lambda t: t.outage or t.empty_is_404,
    Breach.TENANT: lambda t: t.foreign,
    Breach.BOUNDS: lambda t: t.beyond,
    Breach.TOTAL: lambda t: t.twice or (t.total != "true" and t.shuffled),
    Breach.COUNT: lambda t: t.total != "true" or t.skips or (t.churn and t.stale),
}
"""Why a day may stay unproven, and the trait that has to be there for it."""


def violations(outcome):
    """Which of the suite's properties one seed's outcome breaks."""
    found = []
    proven = outcome.proof is not Proof.UNPROVEN
    traits = outcome.source.traits
    if proven and outcome.lost:
        found.append("claimed and lost")
    calm = not (traits.stale or traits.ages_out)
    if proven and calm and outcome.unsettled:
        found.append("dated before the end and lost")
    if outcome.foreign:
        found.append("another account's rows kept")
    found += [
        f"broken and not reported: {name}"
        for name in outcome.source.broke & REPORTED.keys()
        if not REPORTED[name] & outcome.breaches.keys()
    ]
    if traits == Traits(rows=traits.rows, bunch=traits.bunch, micro=traits.micro):
        needed = 6 + len(outcome.rows) / 45 + 3 * outcome.windows
        if traits.bunch < 50 and outcome.calls > needed:
            found.append("more calls than the rows need")
    for reason, may in ALARMS.items():
        if reason in outcome.breaches and not may(traits):
            found.append(f"reported and not broken: {reason}")
    if not proven and not any(
        reason in outcome.breaches and EXCUSES[reason](traits) for reason in EXCUSES
    ):
        found.append("not proved, though nothing stood in the way")
    return found
