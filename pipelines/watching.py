"""Checks that hold nothing back: what somebody should look at, said by name.

What must hold before delivery is in `conformed`. How fresh the tables must be is said
beside the days, in `catalogue`.
"""

from collections.abc import Iterator
from datetime import UTC

import dagster as dg

from journeyport.checklist import NOTHING_NEW
from pipelines.resources import Site
from pipelines.words import in_words

SHARE = 0.5
"""By how much of the usual a closed day's volume may differ."""

_VOLUME = "volume_as_usual"


@dg.multi_asset_check(
    name="watch",
    specs=[
        dg.AssetCheckSpec(
            _VOLUME,
            asset="engagements",
            description=(
                "Each closed day has about as many engagements as the same weekday of "
                "the weeks before."
            ),
        ),
        dg.AssetCheckSpec(
            NOTHING_NEW,
            asset="engagements",
            description=(
                "The source shows no field and no value of a list that was never seen "
                "before; each is named once, by the first run that meets it."
            ),
        ),
    ],
)
def watch(
    context: dg.AssetCheckExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.AssetCheckResult]:
    """Look at the volume of the run's days, and at what the source has new."""
    from journeyport import seeing

    with in_words():
        run = site.run(context.run)
        asked = site.asked(context.run)
        if asked is None:  # what a night came across; the others it said before
            asked = site.landed.touched if site.landed is not None else []
        today = site.clock.now().astimezone(UTC).date()
        closed = [(account, day) for account, day in asked if day < today]
        unlike = seeing.unlike_before(site.lake, closed, share=SHARE)
        names = seeing.new_at_the_source(run.state, run.run_id)
    yield _warning(
        _VOLUME,
        [
            f"{one.account} {one.day}: {one.engagements} engagements, usually "
            f"{one.usual:g}"
            for one in unlike
        ],
    )
    yield _warning(NOTHING_NEW, names)


@dg.asset_check(
    asset="customers",
    name="identity_laws",
    description=(
        "The published tables keep the laws of identity: an identifier is one "
        "customer's own, an engagement's customer exists, a refused pair stays apart."
    ),
)
def identity_laws(site: dg.ResourceParam[Site]) -> dg.AssetCheckResult:
    """Look whether the identity tables contradict themselves or the rules."""
    from journeyport import identity

    with in_words():
        broken = identity.broken_laws(site.lake, site.identity)
    return dg.AssetCheckResult(
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={law: f"broken {many} times" for law, many in broken.items()},
    )


def _warning(name: str, names: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key="engagements",
        check_name=name,
        passed=not names,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"names": dg.MetadataValue.md("\n".join(f"- {one}" for one in names))}
        if names
        else {},
    )


CHECKS = (watch, identity_laws)
