"""The one place where the environment and the `.env` file are read.

Which settings there are is said in `settings`. Nothing is opened here but the `.env`
file and the files that `…_FILE` variables name.
"""

import difflib
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dotenv
from pydantic import ValidationError

from journeyport.errors import SettingsError
from journeyport.settings import (
    FIRST_DAY,
    PER_ACCOUNT,
    PREFIX,
    Settings,
    described,
    hints,
    is_secret,
    time_of_day,
    zone_name,
)


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment and the `.env` file beside it.

    The environment wins over the file. An empty value counts as absent.

    Raises:
        SettingsError: a value is wrong, or a file named by `…_FILE` is unreadable.
    """
    found = dict(os.environ if environ is None else environ)
    name = found.get(f"{PREFIX}ENV_FILE") or ".env"
    if name != "-":
        try:
            beside = dotenv.dotenv_values(name, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"The settings file {name} cannot be read; check that it is a text "
                "file and that this user may read it."
            ) from error
        found = {key: value for key, value in beside.items() if value} | found
    ours = {
        key.removeprefix(PREFIX).lower(): value.strip()
        for key, value in found.items()
        if key.startswith(PREFIX) and value.strip()
    }
    return _parse(_with_files(ours))


def first_day(environ: Mapping[str, str] | None = None) -> date:
    """The first day of the partitions, from the environment alone.

    It is wanted when the code location is imported, where no file may be opened. A
    wrong value counts as absent here and is complained about by `read`.
    """
    value = (os.environ if environ is None else environ).get(f"{PREFIX}FIRST_DAY", "")
    try:
        return date.fromisoformat(value)
    except ValueError:
        return FIRST_DAY


def set_day(environ: Mapping[str, str] | None = None) -> date | None:
    """The day on which a rehearsal's clock stands, from the environment alone.

    None where no clock is set: the partitions then go on with the real one.
    """
    value = (os.environ if environ is None else environ).get(f"{PREFIX}CLOCK", "")
    try:
        return datetime.fromisoformat(value).astimezone(UTC).date()
    except ValueError:
        return None


def schedule_at(environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Time of day and zone of the nightly schedule, from the environment alone."""
    values = os.environ if environ is None else environ
    at = values.get(f"{PREFIX}NIGHTLY_AT", "")
    zone = values.get(f"{PREFIX}NIGHTLY_ZONE", "")
    try:
        return time_of_day(at or "02:30"), zone_name(zone or "UTC")
    except ValueError:
        return "02:30", "UTC"


def user_header() -> str:
    """The header that names the user of the UI, from the environment alone."""
    return os.environ.get(f"{PREFIX}USER_HEADER", "").strip()


def org() -> str:
    """The CRM org's domain, from the environment alone; empty: none is named."""
    return os.environ.get(f"{PREFIX}SALESFORCE_DOMAIN", "").strip()


def home() -> Path:
    """JOURNEYPORT_HOME from the environment alone, or its default; made absolute."""
    return Path(os.environ.get(f"{PREFIX}HOME") or "var").absolute()


def inherited() -> dict[str, str]:
    """The whole environment, for a process of ours that reads the same settings."""
    return dict(os.environ)


def bare() -> dict[str, str]:
    """What any program needs of the environment, and nothing that could steer ours.

    Proxies, credentials of other tools and every JOURNEYPORT_ setting stay out.
    """
    wanted = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH")
    return {name: os.environ[name] for name in wanted if name in os.environ}


def example() -> str:
    """The text of `.env.example`: every setting, what it is and who can give it."""
    lines = [
        "# Copy this file to .env and fill in what you use; .env is never committed.",
        "# The environment wins over the file. A secret can also be kept in a file of",
        "# its own: JOURNEYPORT_CLIENT_SECRET_FILE=/run/secrets/client_secret.",
        "# Per account, too: JOURNEYPORT_…_ABCDEF is for account ABCDEF alone.",
    ]
    for name, field in described():
        giver, sample = hints(field)
        per = " Per account, too." if name in PER_ACCOUNT else ""
        lines += ["", f"# {field.description}{per} From {giver}."]
        lines += [f"# {PREFIX}{name.upper()}={sample}".rstrip()]
    return "\n".join(lines) + "\n"


def _split(name: str) -> tuple[str, str | None]:
    """A variable's setting and account: `client_id_abcdef` is client_id of ABCDEF."""
    stem, _, suffix = name.rpartition("_")
    if stem in PER_ACCOUNT and re.fullmatch("[a-z]{6}", suffix):
        if name in Settings.model_fields:
            return name, None
        return stem, suffix.upper()
    return name, None


def _with_files(values: dict[str, str]) -> dict[str, str]:
    """Replace `…_file` of a secret by what the file holds."""
    result = dict(values)
    for name, path in values.items():
        stem = name.removesuffix("_file")
        setting, _account = _split(stem)
        if stem == name or setting not in Settings.model_fields:
            continue
        if not is_secret(setting):
            continue
        del result[name]
        if stem in result:
            raise SettingsError(
                f"{PREFIX}{stem.upper()} and {PREFIX}{name.upper()} are both set; "
                "take one of them away."
            )
        try:
            result[stem] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{PREFIX}{name.upper()} names a file that cannot be read; check the "
                "path and that this user may read it."
            ) from error
    return result


def _parse(values: Mapping[str, str]) -> Settings:
    common: dict[str, Any] = {}
    own: dict[str, Any] = {}
    unknown: list[str] = []
    known = {name for name, _field in described()}
    for name, value in values.items():
        setting, account = _split(name)
        if setting not in known:
            unknown.append(name)
        elif account is None:
            common[setting] = value
        else:
            alone = _validated({setting: value}, account)
            own[f"{setting}_{account}"] = getattr(alone, setting)
    settings = _validated(common)
    notes = [_did_you_mean(name, known) for name in sorted(unknown)]
    for name in sorted(own):
        account = name.rpartition("_")[2]
        if account not in {each.upper() for each in settings.accounts}:
            notes.append(
                f"{PREFIX}{name.upper()} is not used: JOURNEYPORT_ACCOUNTS does not "
                f"name {account}."
            )
    return settings.model_copy(update={"per_account": own, "warnings": tuple(notes)})


def _validated(values: Mapping[str, str], account: str | None = None) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "setting"
        variable = f"{PREFIX}{name.upper()}" + (f"_{account}" if account else "")
        reason = first["msg"].removeprefix("Value error, ")
        giver, sample = hints(Settings.model_fields[name])
        like = f"; {sample} would do" if sample and not is_secret(name) else ""
        raise SettingsError(
            f"{variable} is wrong: {reason[:1].lower()}{reason[1:]}{like}, and {giver} "
            "can say what belongs there."
        ) from None


def _did_you_mean(name: str, known: set[str]) -> str:
    stem, _, suffix = name.rpartition("_")
    near = difflib.get_close_matches(name, known, 1) or difflib.get_close_matches(
        stem, known, 1
    )
    told = f"{PREFIX}{name.upper()} is not a setting of journeyport and is ignored"
    if not near:
        return f"{told}; .env.example lists them all."
    tail = f"_{suffix.upper()}" if near[0] in PER_ACCOUNT and len(suffix) == 6 else ""
    file = "_FILE" if suffix == "file" else tail
    return f"{told}; did you mean {PREFIX}{near[0].upper()}{file}?"
