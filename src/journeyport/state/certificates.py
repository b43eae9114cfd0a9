"""The certificates issued, and when each was last found to hold.

What a certificate says and how it is checked is in `extract.certificate`.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

_certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("coverage", sa.String, nullable=False),
    sa.Column("claim_from", Instant, nullable=False),
    sa.Column("claim_to", Instant, nullable=False),
    sa.Column("window_count", sa.Integer, nullable=False),
    sa.Column("call_count", sa.Integer, nullable=False),
    sa.Column("row_count", sa.Integer, nullable=False),
    sa.Column("proof", sa.String, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("certificate_hash", sa.String, nullable=False),
    sa.Column("previous_hash", sa.String),
    sa.Column("issued_at", Instant, nullable=False),
    sa.Column("verified_at", Instant, nullable=False),
    sa.Column("verified_by", sa.String, nullable=False),
)


@dataclass(frozen=True)
class Issued:
    """One certificate as the state keeps it; the names are its table's columns."""

    account_id: str
    day: date
    number: int
    run_id: str
    status: str
    coverage: str
    claim_from: datetime
    claim_to: datetime
    window_count: int
    call_count: int
    row_count: int
    proof: str
    document: str
    certificate_hash: str
    previous_hash: str | None
    issued_at: datetime


def record(state: State, issued: Issued) -> None:
    """Keep a certificate."""
    row = {
        **asdict(issued),
        "verified_at": issued.issued_at,
        "verified_by": issued.run_id,
    }
    with state.write() as connection:
        upsert(connection, _certificates, [row])


def note_verified(state: State, issued: Issued, at: datetime, run_id: str) -> None:
    """Note that a later walk found the certificate to hold still."""
    with state.write() as connection:
        connection.execute(
            _certificates.update()
            .where(
                _certificates.c.account_id == issued.account_id,
                _certificates.c.day == issued.day,
                _certificates.c.number == issued.number,
            )
            .values(verified_at=at, verified_by=run_id)
        )


def latest(state: State, account: str, day: date) -> Issued | None:
    """The account-day's latest certificate; None before the first."""
    query = _of(account, day).order_by(_certificates.c.number.desc()).limit(1)
    with state.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _issued(row)


def chain(state: State, account: str, day: date) -> list[Issued]:
    """The account-day's certificates, the first one first."""
    query = _of(account, day).order_by(_certificates.c.number)
    with state.read() as connection:
        return [_issued(row) for row in connection.execute(query)]


def _of(account: str, day: date) -> sa.Select[Any]:
    return sa.select(_certificates).where(
        _certificates.c.account_id == account, _certificates.c.day == day
    )


def all_rows(state: State) -> list[dict[str, Any]]:
    """Every certificate, as rows of the table `certificates`."""
    query = sa.select(_certificates).order_by(*_certificates.primary_key.columns)
    with state.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def _issued(row: Any) -> Issued:
    fields = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's public name for it)
    del fields["verified_at"], fields["verified_by"]
    return Issued(**fields)
