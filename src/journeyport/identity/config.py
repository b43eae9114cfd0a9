"""The identity rules of the configuration: one YAML, checked, and its fingerprint.

What an operator rules about single identifiers is kept in the state, not here; how the
rules are applied is in `graph` and its neighbours.
"""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from journeyport.errors import SettingsError

Strength = Literal["WEAK", "STRONG", "VERY_STRONG"]

STRENGTHS: tuple[Strength, ...] = ("WEAK", "STRONG", "VERY_STRONG")
"""In rising order: the position is the number used in arrays."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Caps(_Model):
    """How many VERY_STRONG values of a type one customer may hold."""

    default: int = Field(default=1, ge=1)
    types: dict[str, int] = Field(default_factory=dict)

    @field_validator("types")
    @classmethod
    def _at_least_one(cls, types: dict[str, int]) -> dict[str, int]:
        for name, cap in types.items():
            if cap < 1:
                raise ValueError(f"the cap of {name} must be at least 1")
        return types


class Blocklist(_Model):
    """Values that say nothing about anybody, by type; `*` is every type."""

    types: tuple[str, ...] = ()
    values: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    patterns: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("patterns")
    @classmethod
    def _readable(
        cls, patterns: dict[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        for name, expressions in patterns.items():
            for number, expression in enumerate(expressions, start=1):
                try:
                    pc.match_substring_regex(pa.array([""]), expression)
                except pa.ArrowInvalid as error:
                    raise ValueError(
                        f"pattern {number} of {name} is no RE2 expression"
                    ) from error
        return patterns

    def match(self, identifier_type: str, values: pa.Array) -> pa.Array:
        """Which normalised values of one type are blocked, as booleans."""
        if identifier_type in self.types:
            return pa.array([True] * len(values))
        listed = [
            *self.values.get("*", ()),
            *self.values.get(identifier_type, ()),
        ]
        blocked = pc.is_in(values, value_set=pa.array(listed, pa.string()))
        for expression in (
            *self.patterns.get("*", ()),
            *self.patterns.get(identifier_type, ()),
        ):
            blocked = pc.or_(blocked, pc.match_substring_regex(values, expression))
        return blocked


class AccountRules(_Model):
    """What differs in one account."""

    default_region: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    blocklist: Blocklist = Blocklist()


class IdentityConfig(_Model):
    """The identity rules, as `identity.yaml` explains them line by line."""

    version: int = Field(ge=1)
    strengths: dict[str, Strength] = Field(default_factory=dict)
    caps: Caps = Caps()
    hub_limit: int = Field(default=3, ge=1)
    default_region: str = Field(default="US", pattern="^[A-Z]{2}$")
    blocklist: Blocklist = Blocklist()
    calling_numbers: str | None = None
    candidates_listed: int = Field(default=20, ge=2, le=1000)
    episode_gap_hours: float = Field(default=72, gt=0)
    accounts: dict[str, AccountRules] = Field(default_factory=dict)

    def region(self, account: str) -> str:
        """The region in which the account's numbers are read."""
        rules = self.accounts.get(account)
        return (rules and rules.default_region) or self.default_region

    def blocklists(self, account: str) -> tuple[Blocklist, ...]:
        """The lists that hold in one account: everybody's and its own."""
        rules = self.accounts.get(account)
        return (self.blocklist, rules.blocklist) if rules else (self.blocklist,)

    def cap(self, identifier_type: str) -> int:
        """How many VERY_STRONG values of the type one customer may hold."""
        return self.caps.types.get(identifier_type, self.caps.default)

    def fingerprint(self, account: str) -> str:
        """A hash of all that decides who is who in one account."""
        held = self.model_dump(mode="json", exclude={"version", "accounts"})
        own = self.accounts.get(account)
        held["own"] = own.model_dump(mode="json") if own else None
        text = json.dumps(held, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_config(path: str | Path | None = None) -> IdentityConfig:
    """The rules of a YAML file, or the packaged ones.

    Raises:
        SettingsError: the file is missing, no YAML, or breaks a rule; one sentence.
    """
    name = "identity.yaml" if path is None else str(path)
    try:
        if path is None:
            text = files(__package__).joinpath("identity.yaml").read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The identity rules {name} cannot be read; name a YAML file that this "
            "user may read."
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"The identity rules {name} are no YAML{where}; mend the line or start "
            "again from the packaged file."
        ) from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"The identity rules {name} hold no mapping; start from the packaged file."
        )
    try:
        return IdentityConfig.model_validate(content)
    except ValidationError as error:
        raise SettingsError(_sentence(name, error)) from error


def _sentence(name: str, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = "there is no such rule"
    return (
        f"The identity rules {name} are wrong at {where}: {what[0].lower()}{what[1:]}."
    )
