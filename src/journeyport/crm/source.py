"""The records as they should be: the mapping's SQL over the lake, run by DuckDB.

The SQL sees the lake's tables and nothing else: no file, no network. Customers that are
not RESOLVED are taken out here, whatever the mapping says. What the CRM holds is not
asked here.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import empty
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.protocol import Shape, Value
from journeyport.crm.values import UnfitError, written
from journeyport.errors import SettingsError
from journeyport.lake import Lake
from journeyport.schema import Layout
from journeyport.session import open_session
from journeyport.tables import BY_NAME


@dataclass(frozen=True)
class Record:
    """One record as it should be in the CRM.

    Attributes:
        key: the external id.
        account_id: the account.
        customer_id: the customer.
        values: fields, as the CRM wants them written.
        parents: external ids of the parents, by lookup field.
        hash: over all of it and the mapping.
    """

    key: str
    account_id: str
    customer_id: str
    values: Mapping[str, Value]
    parents: Mapping[str, str]
    hash: str

    @property
    def customer(self) -> tuple[str, str]:
        """Account and customer id."""
        return (self.account_id, self.customer_id)


@dataclass(frozen=True)
class Foreseen:
    """A record that the CRM would refuse, found out without asking it."""

    object_name: str
    key: str
    account_id: str
    field: str
    code: str
    reason: str


@dataclass(frozen=True)
class Selection:
    """What a plan is about.

    Attributes:
        as_of: the instant by which retention is reckoned.
        days: the (account, UTC day) delivered; None: all that the lake holds.
        customers: the (account, customer id) delivered; None: all.
    """

    as_of: datetime
    days: frozenset[tuple[str, date]] | None = None
    customers: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True)
class Wanted:
    """The records of one object, and those that cannot be sent."""

    records: tuple[Record, ...]
    foreseen: tuple[Foreseen, ...]


class Source:
    """The lake as the mapping sees it.

    Args:
        lake: where the tables are.
        mapping: what to make of them.
        selection: what the plan is about.
    """

    def __init__(self, lake: Lake, mapping: CrmMapping, selection: Selection) -> None:
        self._lake = lake
        self._mapping = mapping
        self._selection = selection
        self._accounts = list(mapping.accounts) or None
        self._duckdb = _connection()

    def resolved(self) -> frozenset[tuple[str, str]]:
        """The customers that may be sent at all."""
        customers = self._customers
        return frozenset(who for who, how in customers.items() if how == "RESOLVED")

    def redirects(self) -> dict[tuple[str, str], str | None]:
        """Where retired customer ids lead: the living customer, or None."""
        rows = _rows(self._lake.read("customer_id_redirects", accounts=self._accounts))
        return {
            (row["account_id"], row["retired_customer_id"]): row["customer_id"]
            for row in rows
        }

    def origins(self) -> dict[tuple[str, str], list[tuple[tuple[str, str], int]]]:
        """Out of which customers each came that was split off, and in which version."""
        names = ["account_id", "customer_id", "event", "other_customer_id"]
        history = self._lake.read(
            "customer_id_history",
            accounts=self._accounts,
            columns=[*names, "identity_version"],
        )
        found: dict[tuple[str, str], list[tuple[tuple[str, str], int]]] = {}
        for row in history.filter(pc.equal(history["event"], "SPLIT")).to_pylist():
            account, came_out = row["account_id"], row["other_customer_id"]
            origin = (account, row["customer_id"])
            found.setdefault((account, came_out), []).append(
                (origin, row["identity_version"])
            )
        return found

    def identifiers(
        self, kinds: Collection[str]
    ) -> dict[tuple[str, str], dict[str, list[str]]]:
        """Each customer's own identifier values, by type; shared ones left out."""
        rows = _rows(
            self._lake.read(
                "customer_identifiers",
                accounts=self._accounts,
                columns=[
                    "account_id",
                    "customer_id",
                    "identifier_type",
                    "value",
                    "standing",
                ],
            )
        )
        found: dict[tuple[str, str], dict[str, list[str]]] = {}
        for row in rows:
            if row["identifier_type"] in kinds and row["standing"] != "SHARED":
                own = found.setdefault((row["account_id"], row["customer_id"]), {})
                own.setdefault(row["identifier_type"], []).append(row["value"])
        return found

    def keys(
        self, rule: ObjectRule, customers: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        """The external ids of customers, living or retired."""
        pairs = sorted(customers)
        given = pa.table(
            {
                "account_id": pa.array([a for a, _ in pairs], pa.string()),
                "customer_id": pa.array([c for _, c in pairs], pa.string()),
            }
        )
        self._duckdb.register("given", given)
        query = f"SELECT account_id, customer_id, {rule.key} FROM given"  # noqa: S608 - theirs
        try:
            rows = self._duckdb.execute(query).fetchall()
        except duckdb.Error:
            raise SettingsError(
                f"The CRM mapping's key of {rule.name} may use account_id and "
                "customer_id only."
            ) from None
        return {(row[0], row[1]): str(row[2]) for row in rows}

    def living(self) -> frozenset[tuple[str, str]]:
        """Every living customer, PROVISIONAL ones too."""
        return frozenset(self._customers)

    @cached_property
    def _customers(self) -> dict[tuple[str, str], str]:
        rows = _rows(
            self._lake.read(
                "customers",
                accounts=self._accounts,
                columns=["account_id", "customer_id", "resolution"],
            )
        )
        return {
            (row["account_id"], row["customer_id"]): row["resolution"] for row in rows
        }

    def covers(self, account: str) -> bool:
        """Whether all that is delivered of the account is selected."""
        if self._accounts is not None and account not in self._accounts:
            return True
        if self._selection.customers is not None:
            return False
        days = self._selection.days
        return days is None or all(
            (account, day) in days for day in self._lake.days(account)
        )

    def wanted(self, rule: ObjectRule, shape: Shape) -> Wanted:
        """The object's records as they should be, sorted by key.

        Raises:
            SettingsError: the mapping's SQL does not run.
        """
        seen: dict[str, Record] = {}
        foreseen: list[Foreseen] = []
        allowed = self._allowed(rule)
        for row in self._run(rule):
            if (row["account_id"], row["customer_id"]) not in allowed:
                continue
            made = _record(rule, shape, row, self._mapping.hash)
            if isinstance(made, Foreseen):
                foreseen.append(made)
            elif made.key in seen and seen[made.key] != made:
                foreseen.append(
                    Foreseen(
                        rule.name,
                        made.key,
                        made.account_id,
                        rule.external_id,
                        "DUPLICATE_VALUE",
                        "The mapping yields several records with this external id; "
                        "make its `source` yield one.",
                    )
                )
            else:
                seen[made.key] = made
        twice = {f.key for f in foreseen}
        records = tuple(seen[key] for key in sorted(seen) if key not in twice)
        return Wanted(records, tuple(sorted(foreseen, key=lambda f: (f.key, f.field))))

    def _allowed(self, rule: ObjectRule) -> frozenset[tuple[str, str]]:
        allowed = self.resolved()
        if self._selection.customers is not None:
            allowed &= self._selection.customers
        if rule.is_customer and self._selection.days is not None:
            rows = _rows(
                self._lake.read(
                    "engagement_customers",
                    accounts=self._accounts,
                    columns=["account_id", "customer_id", "start_date"],
                )
            )
            allowed &= frozenset(
                (row["account_id"], row["customer_id"])
                for row in rows
                if (row["account_id"], row["start_date"].date()) in self._selection.days
            )
        return allowed

    def _query(self, rule: ObjectRule) -> tuple[str, list[Any]]:
        """The mapping's SQL around the object's source, and its parameters."""
        columns = [f"({rule.key}) AS _key", "account_id", "customer_id"]
        columns += [f'({field.expression}) AS "{field.name}"' for field in rule.fields]
        columns += [f'({parent.key}) AS "{parent.name}"' for parent in rule.parents]
        where = [rule.where] if rule.where else []
        parameters: list[Any] = []
        if rule.retention_column and rule.retention_days is not None:
            where.append(f"{rule.retention_column} >= ?")
            parameters.append(self._horizon(rule))
        condition = " AND ".join(f"({part})" for part in where) or "true"
        listed = ", ".join(columns)
        source = _select(rule)
        query = f"SELECT {listed} FROM ({source}) WHERE {condition}"  # noqa: S608 - theirs
        return query, parameters

    def _run(self, rule: ObjectRule) -> Iterator[dict[str, Any]]:
        query, parameters = self._query(rule)
        try:
            for name in sorted(_names(self._duckdb, _select(rule))):
                self._duckdb.register(name, self._table(rule, name))
            reader = self._duckdb.execute(query, parameters).to_arrow_reader(10_000)
            for batch in reader:
                yield from batch.to_pylist()
        except duckdb.Error as error:
            raise _unusable(rule, error) from None

    def types(self, rule: ObjectRule) -> dict[str, pa.DataType]:
        """The Arrow type of each mapped column, from empty tables: no row is read.

        Raises:
            SettingsError: the mapping's SQL does not run.
        """
        query, parameters = self._query(rule)
        try:
            for name in _names(self._duckdb, _select(rule)):
                self._duckdb.register(name, empty(BY_NAME[name]))
            schema = self._duckdb.execute(query, parameters).to_arrow_reader().schema
        except duckdb.Error as error:
            raise _unusable(rule, error) from None
        return {field.name: field.type for field in schema}

    def longest(self, rule: ObjectRule) -> dict[str, int]:
        """The most characters each text column of the object holds in the lake."""
        texts = [name for name, kind in self.types(rule).items() if kind == pa.string()]
        found: dict[str, int] = dict.fromkeys(texts, 0)
        for row in self._run(rule):
            for name in texts:
                found[name] = max(found[name], len(row[name] or ""))
        return found

    def _horizon(self, rule: ObjectRule) -> datetime:
        days = timedelta(days=rule.retention_days or 0)
        midnight = self._selection.as_of.replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        return midnight - days

    def _table(self, rule: ObjectRule, name: str) -> pa.Table:
        declared = BY_NAME[name]
        if declared.layout is Layout.RAW:
            raise SettingsError(
                f"The CRM mapping's SQL for {rule.name} reads {name}; raw documents "
                "never leave the lake, read the tables made from them."
            )
        if declared.layout is not Layout.DAILY:
            return self._lake.read(name, accounts=self._accounts)
        start = self._horizon(rule).date() if rule.retention_days is not None else None
        if self._selection.days is None or rule.is_customer:
            return self._lake.read(name, start, accounts=self._accounts)
        chosen = sorted(
            (account, day)
            for account, day in self._selection.days
            if (start is None or day >= start)
            and (self._accounts is None or account in self._accounts)
        )
        parts = [self._lake.read_day(name, account, day) for account, day in chosen]
        if not parts:
            return self._lake.read(name, accounts=[])
        return pa.concat_tables(parts)


def _record(
    rule: ObjectRule, shape: Shape, row: Mapping[str, Any], mapping_hash: str
) -> Record | Foreseen:
    values: dict[str, Value] = {}
    for field in rule.fields:
        try:
            values[field.name] = written(
                shape.fields[field.name], row[field.name], cut=field.cut
            )
        except UnfitError as error:
            return Foreseen(
                rule.name,
                row["_key"],
                row["account_id"],
                field.name,
                error.code,
                error.reason,
            )
    parents = {p.name: row[p.name] for p in rule.parents if row[p.name] is not None}
    text = json.dumps([mapping_hash, values, parents], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Record(
        row["_key"], row["account_id"], row["customer_id"], values, parents, digest
    )


def _select(rule: ObjectRule) -> str:
    """The source as SQL: a table's name stands for the whole table."""
    return rule.source if " " in rule.source else f"FROM {rule.source}"


def _unusable(rule: ObjectRule, error: duckdb.Error) -> SettingsError:
    """What is wrong with the SQL; an error over a row could quote its values."""
    told = (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.ParserException,
        duckdb.PermissionException,
    )
    what = str(error).splitlines()[0] if isinstance(error, told) else "a row's value"
    return SettingsError(f"The CRM mapping's SQL for {rule.name} fails over: {what}")


def _names(connection: duckdb.DuckDBPyConnection, source: str) -> set[str]:
    """The tables that the SQL reads, from its syntax tree."""
    row = connection.execute("SELECT json_serialize_sql(?)", [source]).fetchone()
    names: set[str] = set()
    waiting: list[Any] = [json.loads(row[0])] if row else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("type") == "BASE_TABLE":
                names.add(str(node.get("table_name")))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return names & set(BY_NAME)


def _connection() -> duckdb.DuckDBPyConnection:
    connection = open_session(
        enable_external_access=False, python_enable_replacements=False
    )
    connection.execute("SET lock_configuration = true")
    return connection


def _rows(table: pa.Table) -> Sequence[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
