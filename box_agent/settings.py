"""The box's settings: one TOML file, read strictly. A wrong value stops the start."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from shared.errors import StbError
from shared.words import LANGUAGES

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LAST_PORT = 65_535
_Key = Annotated[str, Meta(min_length=44, max_length=44)]
_Text = Annotated[str, Meta(min_length=1, max_length=64)]


class BadSettingsError(StbError):
    """The settings are incomplete or contradict themselves; the message says where."""


class BoxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an installer sets; see docs/box.md for each field.

    `directory_key` and `catalogue_key` are the pinned Ed25519 keys, standard base64 of 32 bytes.
    """

    headend_url: str
    relay_url: str
    issuer: Annotated[str, Meta(min_length=1, max_length=255)]
    directory_key: _Key
    catalogue_key: _Key
    zone: _Text
    postal_area: Annotated[str, Meta(max_length=16)] = ""
    serial: _Text
    state_dir: str
    socket_path: str | None = None
    heartbeat_hours: Annotated[int, Meta(ge=1, le=720)] = 24
    order_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    sentlog_retention_days: Annotated[int, Meta(ge=1, le=366)] = 60
    rest_minutes: Annotated[int, Meta(ge=0, le=1440)] = 10
    consent_file: str | None = None
    language: str = "en"
    ca_file: str | None = None
    kodi: str | None = None
    guide_file: str | None = None
    guide_categories: str | None = None
    simulated: bool = False
    steered_clock: str | None = None

    def timezone(self) -> ZoneInfo:
        """The installation's zone; `check` has seen that it exists."""
        return ZoneInfo(self.zone)

    def state(self) -> Path:
        """Where the agent keeps its files."""
        return Path(self.state_dir)

    def consent_witness(self) -> Path:
        """Where the answer stands a second time; best on another partition than the store."""
        return Path(self.consent_file) if self.consent_file else self.state() / "consent.json"

    def kodi_address(self) -> tuple[str, int]:
        """Where Kodi's JSON-RPC is; `check` has seen that it is of this form."""
        return _host_and_port(self.kodi or "")

    def socket(self) -> Path:
        """Where the agent listens."""
        return Path(self.socket_path) if self.socket_path else self.state() / "agent.sock"


ENVIRONMENT = "BOX_AGENT_"
"""Before an entry's name in capitals: `BOX_AGENT_STATE_DIR` counts more than `state_dir` in the file."""


def read_settings(path: Path, environment: Mapping[str, str] | None = None) -> BoxSettings:
    """Read the settings' file, and what the environment says instead.

    Raises:
        BadSettingsError: it cannot be read, is no TOML, or `check` refuses it; or the environment names an
            entry that does not exist.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        found = msgspec.convert(told | _said(environment or {}), BoxSettings)
    except OSError as error:
        raise BadSettingsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise BadSettingsError(f"{path}: {error}") from error
    return check(found)


def _said(environment: Mapping[str, str]) -> dict[str, object]:
    fields = {field.name: field.type for field in msgspec.structs.fields(BoxSettings)}
    found: dict[str, object] = {}
    for name, value in environment.items():
        if name.startswith(ENVIRONMENT):
            entry = name.removeprefix(ENVIRONMENT).lower()
            if entry not in fields:
                raise ValueError(f"{name} is no setting")
            # The environment has texts only: "24" is a number there.
            found[entry] = msgspec.convert(value, fields[entry], strict=False)
    return found


def check(settings: BoxSettings) -> BoxSettings:
    """What the types cannot say; answers with the same settings.

    Raises:
        BadSettingsError: a plain-text address off this machine, no address of Kodi, a language that the
            notice does not have,
            an unknown zone, or a steered clock on a box that is not simulated.
    """
    for url in (settings.headend_url, settings.relay_url):
        _check_url(url)
    if settings.kodi is not None:
        settings.kodi_address()
    try:
        settings.timezone()
    except (KeyError, ValueError, OSError) as error:
        raise BadSettingsError(f"no time zone {settings.zone!r}") from error
    if settings.language not in LANGUAGES:
        raise BadSettingsError(f"the language is one of {', '.join(LANGUAGES)}, not {settings.language!r}")
    if settings.steered_clock is not None and not settings.simulated:
        raise BadSettingsError("a steered clock needs simulated = true")
    return settings


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
        raise BadSettingsError(f"{text!r} is not of the form host:port")
    return host.strip("[]"), int(port)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise BadSettingsError(f"{url!r} is no address") from error
    if host is None or parts.username is not None or parts.query or parts.fragment:
        raise BadSettingsError(f"{url!r} is not of the form https://host/path")
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return
    raise BadSettingsError(f"{url!r}: https is needed, but on this machine itself")
