"""Where a run ends red though it served the others.

A night and an export end with their last step. A backfill from the dialog is cut into
runs by Dagster, and some have no last step: those end where their work does.
"""

import dagster as dg

from pipelines.resources import Site
from pipelines.words import in_words

_BACKFILL = "dagster/backfill"
_LAST = dg.AssetKey("certificates")
"""One of the tables that the last step publishes."""
_DELIVERIES = frozenset({dg.AssetKey("warehouse"), dg.AssetKey("crm_plan")})

_Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


def end_here(context: _Context, site: Site, *, before_delivery: bool = False) -> None:
    """End the run red if something went wrong and no later step will say so.

    Args:
        context: of the step that is done.
        site: the installation.
        before_delivery: the step is one that deliveries wait for.

    Raises:
        Failure: something went wrong for an account; the others were served.
    """
    from journeyport import delivery

    later = {_LAST, *(_DELIVERIES if before_delivery else ())}
    if not later & _chosen(context):
        with in_words():
            delivery.end(site.run(context.run))


def of_backfill(context: dg.AssetExecutionContext) -> list[str]:
    """The runs of the backfill that this run is a part of; none where it is of none."""
    backfill = context.run.tags.get(_BACKFILL)
    if backfill is None:
        return []
    runs = context.instance.get_runs(dg.RunsFilter(tags={_BACKFILL: backfill}))
    return [run.root_run_id or run.run_id for run in runs]


def _chosen(context: _Context) -> frozenset[dg.AssetKey]:
    """The assets that the run, or the backfill it is of, is to make."""
    backfill = context.run.tags.get(_BACKFILL)
    whole = context.instance.get_backfill(backfill) if backfill else None
    if whole is not None and whole.asset_selection:
        return frozenset(whole.asset_selection)
    return frozenset(context.job_def.asset_layer.selected_asset_keys)
