"""Views for analysts, made beside the tables and changed only when they must."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from journeyport.warehouse.catalogue import Catalogue

_View = tuple[frozenset[str], sa.Select[Any]]


def make_views(connection: sa.Connection, catalogue: Catalogue, now: datetime) -> None:
    """Make the views whose definition is not the one that is there.

    A view whose tables are not all delivered is left out.
    """
    present = catalogue.present(connection)
    for name, (needs, select) in _definitions(catalogue.tables).items():
        if not needs <= present.keys():
            continue
        text = str(select.compile(dialect=connection.dialect))
        digest = hashlib.sha256(text.encode()).hexdigest()
        if present.get(name) == digest:
            continue
        view = sa.CreateView(select, name, schema=catalogue.schema)
        if name in present:
            connection.execute(sa.DropView(view.table, if_exists=True))
        connection.execute(view)
        catalogue.note_view(connection, name, digest, now)


def _definitions(tables: Mapping[str, sa.Table]) -> dict[str, _View]:
    """Each view's tables and SELECT; the names are those of `VIEWS`."""
    return {
        "current_customers": _current_customers(tables),
        "engagements_with_customer": _engagements_with_customer(tables),
        "journey_timeline": _journey_timeline(tables),
        "crm_customers": _crm_customers(tables),
    }


def _plain(table: sa.Table, *without: str) -> list[sa.Column[Any]]:
    return [
        column
        for column in table.columns
        if not column.name.startswith("_") and column.name not in without
    ]


def _current_customers(tables: Mapping[str, sa.Table]) -> _View:
    """Every customer id ever used, with the living customer it leads to."""
    customers, redirects = tables["customers"], tables["customer_id_redirects"]
    journeys = tables["journeys"]
    ids = sa.union_all(
        sa.select(
            customers.c.account_id,
            customers.c.customer_id,
            customers.c.customer_id.label("current_customer_id"),
            sa.false().label("is_retired"),
        ),
        sa.select(
            redirects.c.account_id,
            redirects.c.retired_customer_id,
            redirects.c.customer_id,
            sa.true(),
        ).where(redirects.c.customer_id.is_not(None)),
    ).subquery("ids")
    of_customer = sa.and_(
        customers.c.account_id == ids.c.account_id,
        customers.c.customer_id == ids.c.current_customer_id,
    )
    of_journey = sa.and_(
        journeys.c.account_id == ids.c.account_id,
        journeys.c.customer_id == ids.c.current_customer_id,
    )
    select = sa.select(
        *ids.columns,
        *_plain(customers, "account_id", "customer_id", "identity_version"),
        journeys.c.open_engagement_count,
        journeys.c.episode_count,
        journeys.c.channels,
        journeys.c.channel_switch_count,
        journeys.c.last_channel,
        journeys.c.last_topic,
    ).select_from(
        ids.join(customers, of_customer).join(journeys, of_journey, isouter=True)
    )
    return frozenset({"customers", "customer_id_redirects", "journeys"}), select


def _engagements_with_customer(tables: Mapping[str, sa.Table]) -> _View:
    """Engagements with how they went and whose they are."""
    engagements, customers = tables["engagements"], tables["engagement_customers"]
    outcomes = tables["engagement_outcomes"]
    select = sa.select(
        *_plain(engagements),
        *_plain(outcomes, "account_id", "engagement_id", "start_date"),
        customers.c.customer_id,
        customers.c.resolution,
    ).select_from(
        engagements.join(outcomes, _same(engagements, outcomes), isouter=True).join(
            customers, _same(engagements, customers), isouter=True
        )
    )
    needs = {"engagements", "engagement_outcomes", "engagement_customers"}
    return frozenset(needs), select


def _journey_timeline(tables: Mapping[str, sa.Table]) -> _View:
    """Each customer's engagements in order, with how they went."""
    steps, engagements = tables["journey_engagements"], tables["engagements"]
    outcomes = tables["engagement_outcomes"]
    select = sa.select(
        *_plain(steps, "identity_version"),
        engagements.c.end_date,
        engagements.c.status,
        engagements.c.direction,
        engagements.c.duration_seconds,
        *_plain(outcomes, "account_id", "engagement_id", "start_date"),
    ).select_from(
        steps.join(engagements, _same(steps, engagements)).join(
            outcomes, _same(steps, outcomes), isouter=True
        )
    )
    needs = {"journey_engagements", "engagements", "engagement_outcomes"}
    return frozenset(needs), select


def _crm_customers(tables: Mapping[str, sa.Table]) -> _View:
    """Customers and the CRM records they are matched to now."""
    matches, customers = tables["customer_crm_ids"], tables["customers"]
    same = sa.and_(
        matches.c.account_id == customers.c.account_id,
        matches.c.customer_id == customers.c.customer_id,
    )
    select = (
        sa.select(
            *_plain(customers, "identity_version"),
            matches.c.org_id,
            matches.c.object_name,
            matches.c.record_id,
            matches.c.valid_from.label("matched_at"),
        )
        .select_from(customers.join(matches, same))
        .where(matches.c.valid_to.is_(None))
    )
    return frozenset({"customer_crm_ids", "customers"}), select


def _same(left: sa.Table, right: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        left.c.account_id == right.c.account_id,
        left.c.engagement_id == right.c.engagement_id,
    )
