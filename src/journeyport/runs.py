"""Export and nightly: checking what was asked for, then handing it to the pipelines.

Settings and arguments are checked here, where a mistake costs no start of the
orchestrator. The work itself is done by `python -m pipelines`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from journeyport import environment, launch
from journeyport.clock import Clock
from journeyport.console import Bars, note
from journeyport.deployment import Deployment
from journeyport.errors import ArgumentError
from journeyport.settings import FIRST_DAY
from journeyport.wire import Ask

Target = Literal["lake", "warehouse", "crm"]

TARGETS: tuple[Target, ...] = ("lake", "warehouse", "crm")


def export(
    site: Deployment,
    start: str,
    end: str,
    *,
    only: str | None = None,
    from_raw: bool = False,
) -> launch.Outcome:
    """Export exactly these days.

    Args:
        site: the installation.
        start: the first day, YYYY-MM-DD.
        end: the last day, included.
        only: deliver to this target alone; the lake is written in any case.
        from_raw: make the tables again from what has landed, asking nothing.

    Raises:
        ArgumentError: the days or the target make no sense.
        SettingsError: a setting of something that is used is missing or wrong.
    """
    first, last = _asked(site, start, end, only, from_raw=from_raw)
    arguments = ["export", "--from", first.isoformat(), "--to", last.isoformat()]
    if only is not None:
        arguments += ["--only", only]
    if from_raw:
        arguments += ["--from-raw"]
    return run(site, arguments)


def preview(
    site: Deployment,
    start: str,
    end: str,
    *,
    only: str | None = None,
    from_raw: bool = False,
) -> launch.Outcome:
    """Say what an export of these days would do; one question per account, no more.

    Args:
        site: the installation.
        start: the first day, YYYY-MM-DD.
        end: the last day, included.
        only: see `export`.
        from_raw: see `export`.

    Raises:
        ArgumentError: the days or the target make no sense.
        SettingsError: a setting of something that is used is missing or wrong.
    """
    first, last = _asked(site, start, end, only, from_raw=from_raw)
    counted: dict[str, int | None] = {}
    if not from_raw:
        lo = datetime.combine(first, time(), UTC)
        hi = datetime.combine(last + timedelta(days=1), time(), UTC)
        channels = site.settings.channels
        for account in site.accounts:
            ask = Ask(lo, hi, page_size=1, channels=channels, purpose="dry run")
            counted[account] = site.source.search(account, ask).total
    delivered = [only] if only else list(TARGETS)
    if "crm" in delivered and site.crm is None:
        delivered.remove("crm")
    report = {
        "status": "ok",
        "dry_run": True,
        "from": first,
        "to": last,
        "accounts": list(site.accounts),
        "engagements": counted,
        # See the walk: about one call for 45 engagements, and one for each day.
        "calls": sum((total or 0) // 45 for total in counted.values())
        + ((last - first).days + 1) * len(counted),
        "targets": ["lake", *(name for name in delivered if name != "lake")],
        "writes_to_crm": False,
    }
    return launch.Outcome(0, report)


def nightly(site: Deployment) -> launch.Outcome:
    """Do what the schedule does each night.

    Args:
        site: the installation.

    Raises:
        SettingsError: a setting of something that is used is missing or wrong.
    """
    check(site, only=None, from_raw=False)
    return run(site, ["nightly"])


def _asked(
    site: Deployment, start: str, end: str, only: str | None, *, from_raw: bool
) -> tuple[date, date]:
    first, last = days(site, start, end)
    if only is not None and only not in TARGETS:
        raise ArgumentError(
            f"--only takes {', '.join(TARGETS)}; {only!r} is none of them."
        )
    check(site, only=only, from_raw=from_raw)
    return first, last


def check(site: Deployment, *, only: str | None, from_raw: bool) -> None:
    """Build what the run will use, so that a missing setting is said at once."""
    for warning in site.settings.warnings:
        note(warning)
    settings = site.settings
    _ = (site.accounts, site.home, site.alerting)
    if settings.field_policy or settings.policy_key:
        _ = site.options
    if settings.identity_rules:
        _ = site.identity
    if not from_raw:
        _ = site.source
    if only in {None, "crm"}:
        if only == "crm" and site.crm is None:
            site.settings.need("salesforce_domain")
        _ = site.crm


def run(
    site: Deployment,
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> launch.Outcome:
    """Start the pipelines with these arguments and show how far they are."""
    with Bars() as bars:
        return launch.run(
            arguments,
            environ=environment.inherited() if environ is None else environ,
            folder=folder or Path.cwd(),
            log=site.home / "logs" / "pipelines.log",
            progress=bars,
            note=note,
        )


def days(
    site: Deployment,
    start: str,
    end: str,
    *,
    names: tuple[str, str] = ("--from", "--to"),
) -> tuple[date, date]:
    """The two ends of a range of days, checked.

    Args:
        site: the installation.
        start: the first day as somebody typed it.
        end: the last day, included.
        names: what the two are called where they were typed.

    Raises:
        ArgumentError: one is no day, they are swapped, or they cannot be exported.
    """
    one, other = names
    first, last = day(one, start), day(other, end)
    if last < first:
        raise ArgumentError(f"{other} {last} comes before {one} {first}; swap them.")
    if last > today(site.clock):
        raise ArgumentError(
            f"{other} {last} has not begun yet (days are UTC); choose "
            f"{today(site.clock)} or earlier."
        )
    earliest = site.settings.first_day or FIRST_DAY
    if first < earliest:
        raise ArgumentError(
            f"{one} {first} comes before the first day that can be exported, "
            f"{earliest}; set JOURNEYPORT_FIRST_DAY to go further back."
        )
    return first, last


def today(clock: Clock) -> date:
    """The UTC day that is still open."""
    return clock.now().astimezone(UTC).date()


def day(name: str, value: str) -> date:
    """A day as somebody typed it.

    Raises:
        ArgumentError: it is none.
    """
    try:
        return date.fromisoformat(value)
    except ValueError:
        said = f"{value} is no day" if value.strip() else "is empty"
        raise ArgumentError(f"{name} {said}; write it as 2026-03-01.") from None
