"""Certificates made by hand, for lakes that no walk has filled."""

import json
from datetime import datetime

from journeyport.lake import Lake
from journeyport.state import State, certificates


def prove(lake: Lake, state: State, at: datetime, *but: tuple) -> None:
    """Give every account-day but some the certificate that lets it be delivered."""
    for account in lake.accounts():
        for day in lake.days(account):
            if (account, day) in but:
                continue
            files = [
                {"table": name, "sha256": facts.sha256}
                for name, facts in lake.manifest(account, day).tables.items()
            ]
            issued = certificates.Issued(
                account_id=account,
                day=day,
                number=1,
                run_id="r",
                status="PROVED",
                coverage="all engagements",
                claim_from=at,
                claim_to=at,
                window_count=1,
                call_count=1,
                row_count=1,
                proof="PROVEN",
                document=json.dumps({"status": "PROVED", "files": files}),
                certificate_hash="0",
                previous_hash=None,
                issued_at=at,
            )
            certificates.record(state, issued)
