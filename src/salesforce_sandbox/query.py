"""A SOQL tree run over the store: names resolved, SQL built, answers shaped.

Null follows SOQL and not SQL: ``!=`` and ``NOT IN`` keep rows without a value. Paging
of long answers is in ``cursors``; the language itself in ``soql``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from salesforce_sandbox.errors import ApiError
from salesforce_sandbox.literals import day_range, invalid_type, literal, no_such_column
from salesforce_sandbox.schema import Field, SObject
from salesforce_sandbox.soql import (
    Both,
    Comparison,
    Condition,
    Literal,
    Not,
    Query,
    Selected,
    malformed,
)
from salesforce_sandbox.store import Store
from salesforce_sandbox.values import show_instant

Record = dict[str, Any]
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "COUNT": sa.func.count,
    "COUNT_DISTINCT": lambda c: sa.func.count(sa.distinct(c)),
    "MIN": sa.func.min,
    "MAX": sa.func.max,
    "SUM": sa.func.sum,
    "AVG": sa.func.avg,
}

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path ends: the parents walked through, the object and the field."""

    parents: tuple[str, ...]
    field: Field
    column: sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """All records of a query, or only their number for ``COUNT()``."""

    total: int
    records: list[Record]


def run(
    store: Store,
    connection: sa.Connection,
    query: Query,
    *,
    now: datetime,
    version: str,
    deleted: bool = False,
    tooling: bool = False,
) -> Answer:
    """Runs a query.

    Args:
        store: The org's rows.
        connection: Where to read them.
        query: What to read.
        now: The org's time, for TODAY and the like.
        version: The API version, for the records' addresses.
        deleted: Whether records in the recycle bin count (queryAll).
        tooling: Whether the Tooling API is asked, which has objects of its own.

    Raises:
        ApiError: INVALID_TYPE, INVALID_FIELD, MALFORMED_QUERY and their like.
    """
    plan = _Plan(store, query, now, deleted=deleted or query.all_rows, tooling=tooling)
    if query.counting:
        total = connection.execute(plan.count()).scalar_one()
        return Answer(total, [])
    rows = connection.execute(plan.select()).all()
    return Answer(len(rows), [plan.shape(tuple(row), version) for row in rows])


class _Plan:
    def __init__(
        self, store: Store, query: Query, now: datetime, *, deleted: bool, tooling: bool
    ) -> None:
        found = store.schema.find(query.sobject)
        if found is None or (found.tooling and not tooling):
            raise invalid_type(query.sobject)
        self.store, self.query, self.now, self.deleted = store, query, now, deleted
        self.tooling = tooling
        self.sobject = found
        self.root = store.tables[found.name].alias()
        self.source: Any = self.root
        self.joined: dict[tuple[str, ...], tuple[SObject, Any]] = {
            (): (found, self.root)
        }
        self.grouped = bool(query.group) or any(
            s.aggregate in _FUNCTIONS for s in query.selected
        )
        self.where = self._conditions()
        self.columns = self._columns()

    def _conditions(self) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = []
        if not self.deleted:
            found.append(self.root.c.IsDeleted.is_(False))
        if self.query.where is not None:
            found.append(self.condition(self.query.where))
        return found

    def _columns(self) -> list[tuple[str, tuple[str, ...], sa.ColumnElement[Any]]]:
        columns: list[tuple[str, tuple[str, ...], sa.ColumnElement[Any]]] = []
        if self.query.counting:
            return columns
        unnamed = 0
        for item in self.query.selected:
            if item.aggregate == "FIELDS":
                columns += self._all_fields(item)
            elif item.aggregate:
                name = item.alias or f"expr{unnamed}"
                unnamed += item.alias is None
                inner = (
                    self.root.c.Id if not item.path else self.place(item.path).column
                )
                columns.append((name, (), _FUNCTIONS[item.aggregate](inner)))
            else:
                place = self.place(item.path)
                if self.grouped and item.path not in self.query.group:
                    msg = f"Field must be grouped or aggregated: {item.path}"
                    raise malformed(msg)
                columns.append((place.field.name, place.parents, place.column))
        return columns

    def _all_fields(
        self, item: Selected
    ) -> list[tuple[str, tuple[str, ...], sa.ColumnElement[Any]]]:
        if self.query.limit is None or self.query.limit > 200:
            msg = "The SOQL FIELDS function must have a LIMIT of at most 200"
            raise malformed(msg)
        fields = self.sobject.fields.values()
        chosen = [
            f
            for f in fields
            if item.path == "ALL" or f.custom == (item.path == "CUSTOM")
        ]
        return [(f.name, (), self.root.c[f.name]) for f in chosen]

    def place(self, path: str) -> Place:
        """Resolves a path, joining parents on the way."""
        parts = path.split(".")
        if len(parts) > 1 and parts[0].lower() == self.sobject.name.lower():
            parts = parts[1:]
        parents: tuple[str, ...] = ()
        for part in parts[:-1]:
            parents = self._join(parents, part)
        sobject, table = self.joined[parents]
        field = sobject.find(parts[-1])
        if field is None:
            raise no_such_column(parts[-1], sobject.name)
        return Place(parents, field, table.c[field.name])

    def _join(self, parents: tuple[str, ...], name: str) -> tuple[str, ...]:
        sobject, table = self.joined[parents]
        lookup = sobject.find_relationship(name)
        if lookup is None:
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"\nERROR at Row:1:Column:1\nDidn't understand relationship '{name}' "
                "in "
                "field path. If you are attempting to use a custom relationship, be "
                "sure "
                "to append the '__r' after the custom relationship name. Please "
                "reference "
                "your WSDL or the describe call for the appropriate names.",
            )
        deeper = (*parents, str(lookup.relationship))
        if deeper not in self.joined:
            target = self.store.schema.objects[lookup.reference_to[0]]
            other = self.store.tables[target.name].alias()
            self.source = self.source.outerjoin(
                other, other.c.Id == table.c[lookup.name]
            )
            self.joined[deeper] = (target, other)
        return deeper

    def condition(self, node: Condition) -> sa.ColumnElement[bool]:
        if isinstance(node, Not):
            return sa.not_(sa.func.coalesce(self.condition(node.inner), sa.false()))
        if isinstance(node, Both):
            join = sa.and_ if node.word == "AND" else sa.or_
            return join(*(self.condition(part) for part in node.parts))
        return self.comparison(node)

    def comparison(self, node: Comparison) -> sa.ColumnElement[bool]:
        place = self.place(node.path)
        column, field = place.column, place.field
        if field.type == "textarea" and field.length > 255:
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"field '{field.name}' can not be filtered in a query call",
            )
        if isinstance(node.value, Query):
            inner = _Plan(
                self.store, node.value, self.now, deleted=False, tooling=self.tooling
            )
            wanted = inner.columns[0][2]
            chosen = sa.select(wanted).select_from(inner.source)
            chosen = chosen.where(*inner.where, wanted.is_not(None))
            found = column.in_(chosen)
            return found if node.operator == "IN" else _or_null(column, sa.not_(found))
        if isinstance(node.value, tuple):
            return self._listed(column, field, node.operator, node.value)
        return self._compared(column, field, node.operator, node.value)

    def _listed(
        self,
        column: sa.ColumnElement[Any],
        field: Field,
        sign: str,
        values: tuple[Literal, ...],
    ) -> sa.ColumnElement[bool]:
        if sign in {"INCLUDES", "EXCLUDES"}:
            padded = sa.literal(";").concat(column).concat(";")
            hits = [padded.contains(f";{v.value};", autoescape=True) for v in values]
            has = sa.func.coalesce(sa.or_(*hits), sa.false())
            return has if sign == "INCLUDES" else sa.not_(has)
        plain = [literal(field, v) for v in values if v.kind != "null"]
        found: sa.ColumnElement[bool] = column.in_(plain)
        if any(v.kind == "null" for v in values):
            found = sa.or_(found, column.is_(None))
            return found if sign == "IN" else sa.not_(found)
        return found if sign == "IN" else _or_null(column, sa.not_(found))

    def _compared(
        self, column: sa.ColumnElement[Any], field: Field, sign: str, value: Literal
    ) -> sa.ColumnElement[bool]:
        if value.kind == "null":
            return column.is_(None) if sign == "=" else column.is_not(None)
        if value.kind == "word":
            first, last = day_range(value.value, self.now)
            if field.type == "date":
                low, high = first.date().isoformat(), last.date().isoformat()
            else:
                low, high = show_instant(first), show_instant(last)
            return {
                "=": sa.and_(column >= low, column < high),
                "!=": sa.or_(column.is_(None), column < low, column >= high),
                "<": column < low,
                "<=": column < high,
                ">": column >= high,
                ">=": column >= low,
            }[sign]
        if sign == "LIKE":
            return column.like(str(value.value), escape="\\")
        right = literal(field, value)
        if sign == "!=":
            return _or_null(column, column != right)
        compared: sa.ColumnElement[bool] = _COMPARE[sign](column, right)
        return compared

    def select(self) -> sa.Select[Any]:
        """Returns the SQL for the records."""
        order = self._order()  # may join parents, so it comes before the source is used
        group = [self.place(p).column for p in self.query.group]
        labelled = [c.label(f"c{n}") for n, (_, _, c) in enumerate(self.columns)]
        keys = [
            self.joined[p][1].c.Id.label(f"k{n}") for n, p in enumerate(self._parents())
        ]
        query = sa.select(*labelled, *keys).select_from(self.source)
        query = query.where(*self.where).order_by(*order)
        if group:
            query = query.group_by(*group)
        if self.query.limit is not None or self.query.offset:
            query = query.limit(
                self.query.limit if self.query.limit is not None else -1
            )
            query = query.offset(self.query.offset)
        return query

    def count(self) -> sa.Select[Any]:
        """Returns the SQL for the number of records."""
        inner = sa.select(self.root.c.Id).select_from(self.source).where(*self.where)
        if self.query.limit is not None:
            inner = inner.limit(self.query.limit)
        return sa.select(sa.func.count()).select_from(inner.subquery())

    def _order(self) -> list[sa.ColumnElement[Any]]:
        found: list[sa.ColumnElement[Any]] = []
        for key in self.query.order:
            column = self.place(key.path).column
            ordered = column.desc() if key.descending else column.asc()
            last = key.nulls_last
            found.append(ordered.nulls_last() if last else ordered.nulls_first())
        if not self.grouped:
            found.append(self.root.c.Id.asc())
        return found

    def _parents(self) -> list[tuple[str, ...]]:
        """Returns the parents of selected columns, each with its own ancestors."""
        found: list[tuple[str, ...]] = []
        if self.grouped:
            return found
        for _, parents, _ in self.columns:
            for depth in range(1, len(parents) + 1):
                if parents[:depth] not in found:
                    found.append(parents[:depth])
        return [(), *found]

    def shape(self, row: tuple[Any, ...], version: str) -> Record:
        """Returns one row as a JSON record with its parents nested."""
        values = row[: len(self.columns)]
        if self.grouped:
            record: Record = {"attributes": {"type": "AggregateResult"}}
            names = (c[0] for c in self.columns)
            return record | dict(zip(names, values, strict=True))
        nodes: dict[tuple[str, ...], Record | None] = {}
        keys = row[len(self.columns) :]
        for parents, key in zip(self._parents(), keys, strict=True):
            kind = self.joined[parents][0].name
            nodes[parents] = (
                None if key is None else {"attributes": link(kind, key, version)}
            )
        for (name, parents, _), value in zip(self.columns, values, strict=True):
            for depth in range(1, len(parents) + 1):
                above = nodes[parents[: depth - 1]]
                if above is not None:
                    above.setdefault(parents[depth - 1], nodes[parents[:depth]])
            node = nodes[parents]
            if node is not None:
                node[name] = value
        root = nodes[()]
        assert root is not None  # noqa: S101  the root row always has its id
        return root


def link(sobject: str, key: str, version: str) -> dict[str, str]:
    """Returns the ``attributes`` of a record."""
    return {
        "type": sobject,
        "url": f"/services/data/{version}/sobjects/{sobject}/{key}",
    }


def _or_null(
    column: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    return sa.or_(column.is_(None), condition)
