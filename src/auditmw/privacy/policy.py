"""Policies as data: those that come along, one's own in TOML, and overlays that tighten either.

name = "eu-support"            # docs/privacy.md explains each line
base = "gdpr"
purpose = "customer support"
legal_basis = "contract"
metadata_keys = ["team"]

[classes.core]
gone = "12 months"
"""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from auditmw.canonical import canonical_json
from auditmw.entry import FIELD_CLASSES, AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.privacy.periods import Period
from auditmw.privacy.retention import ClassRules, Rule, check, outlasts

CLASS_NAMES: Final = ("core", *FIELD_CLASSES, "content")
SHIPPED: Final = ("standard", "hipaa", "gdpr")
SETTING: Final = "policy"

ContentRule = Literal["allowed", "opt-in", "refused"]


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long a class is kept at least, and by when it is gone."""

    kept: str | None = None
    gone: str | None = None


class Overlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Further floors and ceilings, of a law or a contract that applies as well."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    classes: dict[str, Bounds] = {}


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long what is kept, and what is kept at all.

    `content` says whether prompts and answers may be stored: `allowed`, `opt-in` (only entries with a purpose), or
    `refused`. `metadata_keys` are the only keys that metadata may have; None allows any. `stated` names the classes for
    which a period must be stated, together with the `purpose` and the `legal_basis` that entries get where they have
    none of their own.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    version: int = 1
    classes: dict[str, Bounds] = {}
    overlays: tuple[Overlay, ...] = ()
    content: ContentRule = "allowed"
    metadata_keys: tuple[str, ...] | None = None
    purpose: str | None = None
    legal_basis: str | None = None
    stated: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name and version, as control entries cite it."""
        return f"{self.name}@{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 over the policy's canonical JSON, 64 hex digits."""
        return hashlib.sha256(canonical_json(self.to_data())).hexdigest()

    def to_data(self) -> dict[str, Any]:
        """The policy as JSON data, as the trail keeps it."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    def rules(self) -> dict[str, ClassRules]:
        """The rules of every class, checked.

        Raises:
            ConfigurationError: a class or a period is none, a floor outlasts a ceiling, or what must be stated is not.
        """
        found = {name: ClassRules() for name in CLASS_NAMES}
        layers: list[Policy | Overlay] = [self, *self.overlays]
        for layer in layers:
            for name, bounds in layer.classes.items():
                if name not in found:
                    raise ConfigurationError(f"{layer.name}: there is no class {name!r}: use {', '.join(CLASS_NAMES)}")
                floors, ceilings = found[name]
                if bounds.kept is not None:
                    floors = (*floors, Rule(layer.name, name, "kept", Period.parse(bounds.kept)))
                if bounds.gone is not None:
                    ceilings = (*ceilings, Rule(layer.name, name, "gone", Period.parse(bounds.gone)))
                found[name] = ClassRules(floors, ceilings)
        check(found)
        self._check_stated(found)
        return found

    def admit(self, entry: AuditEntry) -> AuditEntry:
        """The entry as this policy lets it be stored: with allowed metadata only, under a purpose and a legal basis."""
        changes: dict[str, Any] = {}
        if entry.kind == "control":
            return entry
        if entry.metadata and self.metadata_keys is not None and not entry.metadata.keys() <= set(self.metadata_keys):
            changes["metadata"] = {k: v for k, v in entry.metadata.items() if k in self.metadata_keys} or None
        if entry.purpose is None and self.purpose is not None:
            changes["purpose"] = self.purpose
        if entry.legal_basis is None and self.legal_basis is not None:
            changes["legal_basis"] = self.legal_basis
        return msgspec.structs.replace(entry, **changes) if changes else entry

    def _check_stated(self, rules: dict[str, ClassRules]) -> None:
        missing = [f"a period `gone` for {name}" for name in self.stated if not rules[name].ceilings]
        if self.stated:
            missing += [f"`{name}`" for name in ("purpose", "legal_basis") if not getattr(self, name)]
        if missing:
            raise ConfigurationError(
                f"the policy {self.name} needs {', '.join(missing)}: write them into a policy file of your own with "
                f'base = "{self.name}"'
            )


def read_policy(chosen: str | os.PathLike[str] | Policy) -> Policy:
    """The policy that was chosen: one that comes along (standard, hipaa, gdpr), a TOML file, or a `Policy`; checked.

    Raises:
        ConfigurationError: there is none of this name, or it cannot be used; the message says why.
    """
    if isinstance(chosen, Policy):
        policy = chosen
    elif chosen in SHIPPED:
        policy = _shipped(str(chosen))
    else:
        policy = _own(Path(chosen))
    policy.rules()
    return policy


def policy_of(settings: dict[str, Any]) -> Policy | None:
    """The policy that a trail's settings hold; None where none is set."""
    data = settings.get(SETTING)
    return None if data is None else _convert(data, "the trail's policy")


def _shipped(name: str) -> Policy:
    import tomllib

    text = (resources.files("auditmw.privacy") / "policies" / f"{name}.toml").read_text("utf-8")
    return _convert(tomllib.loads(text), name)


def _own(path: Path) -> Policy:
    import tomllib

    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no policy {str(path)!r}: use {', '.join(SHIPPED)}, or a TOML file"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the policy {path} cannot be read: {error}") from error
    base = data.pop("base", None)
    if base is None:
        return _convert(data, str(path))
    if base not in SHIPPED:
        raise ConfigurationError(f"{path}: there is no base {base!r}: use {', '.join(SHIPPED)}")
    shipped = _shipped(base)
    below, own = shipped.to_data(), data.pop("classes", {})
    if base == "hipaa" and data.get("content", "refused") != "refused":
        raise ConfigurationError(f"{path}: hipaa never stores content: leave `content` out")
    classes = below.pop("classes")
    for name, bounds in own.items():  # a ceiling of one's own leaves the floor of the base where it is
        classes[name] = {**classes.get(name, {}), **bounds} if isinstance(bounds, dict) else bounds
    policy = _convert({**below, **data, "classes": classes}, str(path))
    if base == "hipaa":
        _check_floors(policy, shipped, path)
    return policy


def _check_floors(policy: Policy, base: Policy, path: Path) -> None:
    """Refuse a policy that keeps a class for a shorter time than the law behind its base."""
    for name, bounds in base.classes.items():
        kept = policy.classes[name].kept
        if bounds.kept is not None and (kept is None or outlasts(Period.parse(bounds.kept), Period.parse(kept))):
            raise ConfigurationError(
                f"{path}: {base.name} keeps {name} for {bounds.kept} at least: leave `kept` out, or lengthen it"
            )


def _convert(data: Any, where: str) -> Policy:
    try:
        return msgspec.convert(data, Policy)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where} is no policy: {error}") from error
